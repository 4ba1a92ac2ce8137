"""The campaign: every kind of fault that people's data, code and machines bring, injected and classified.

``pytest -m faults`` runs all of it; each ordinary run of the tests tries a few cases of every kind.
"""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.faults.child import campaign
from tests.faults.conftest import PROPERTY
from tests.faults.kinds import KINDS, TOGETHER


@pytest.fixture
def attempt(tmp_path, record_property):
    """Try some cases of a kind, and put each outcome into the table."""

    def run(kind, cases):
        outcomes = []
        for outcome in campaign(kind, cases, tmp_path):
            record_property(PROPERTY, json.dumps(dataclasses.asdict(outcome)))
            outcomes.append(outcome)
        assert [outcome.case for outcome in outcomes] == list(cases)
        bad = [f"{o.word}: {o.case}: {o.why}" for o in outcomes if o.word != "right"]
        assert not bad, "\n".join(bad)

    return run


@pytest.mark.faults
@pytest.mark.enable_socket
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", KINDS)
def test_the_whole_campaign(attempt, name):
    attempt(KINDS[name], KINDS[name].cases)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TOGETHER)
def test_some_faults_of_many_kinds(attempt, name):
    kind = KINDS[name]
    step = max(1, len(kind.cases) // kind.few)
    attempt(kind, list(kind.cases)[::step][: kind.few])
