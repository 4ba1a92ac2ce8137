"""What holds for every manifest, condition, card and gate, whatever is in it."""

from __future__ import annotations

import json
import re
import string

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import registry
from bench.datasets.manifest import Manifest
from bench.datasets.record import SCHEMA
from bench.errors import BenchError
from bench.protocol.condition import Condition, parse
from bench.results.gating.rules import load_rules
from detectors.card import DetectorCard, InputSpec, TrainingData, read_card
from detectors.errors import DetectorError
from leaderboards.gate import Rules, Verdict, judge, outcome
from leaderboards.statistics.paired_cells import CellName, PairedCell

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def manifests(draw):
    ids = draw(st.lists(TEXT.filter(bool), min_size=1, max_size=8, unique=True))
    rows = [
        {
            "sample_id": name, "locator": draw(TEXT), "label": draw(st.integers(0, 1)),
            "generator": draw(TEXT), "domain": draw(TEXT), "split": draw(st.sampled_from(["", "val"])),
            "group": draw(TEXT), "format": "PNG", "width": draw(st.integers(1, 1 << 30)),
            "height": 7, "bytes": draw(st.integers(0, 1 << 40)), "sha256": draw(TEXT),
        }
        for name in ids
    ]  # fmt: skip
    pairing = draw(st.dictionaries(TEXT, st.lists(TEXT, max_size=3), max_size=3))
    return rows, pairing


def built(rows, pairing, root):
    return Manifest.build(
        name="n", layout="l", recognised="r", root=root, pairing=pairing,
        table=pa.Table.from_pylist(rows, schema=SCHEMA),
    )  # fmt: skip


@settings(max_examples=40)
@given(content=manifests(), order=st.randoms(use_true_random=False))
def test_a_manifest_is_read_as_it_was_saved_in_whatever_order_it_came(
    tmp_path_factory, content, order
):
    rows, pairing = content
    folder = tmp_path_factory.mktemp("m")
    first = built(rows, pairing, folder)
    first.save(folder / "m.parquet")
    again = Manifest.load(folder / "m.parquet")
    assert again.table.to_pylist() == first.table.to_pylist()
    assert (again.digest, dict(again.pairing)) == (first.digest, dict(first.pairing))
    assert sorted(row["sample_id"] for row in rows) == sorted(again.table["sample_id"].to_pylist())
    shuffled = list(rows)
    order.shuffle(shuffled)
    assert built(shuffled, pairing, folder).digest == first.digest
    changed = [{**rows[0], "label": 1 - rows[0]["label"]}, *rows[1:]]
    assert built(changed, pairing, folder).digest != first.digest


CORRUPTIONS = sorted(registry.corruptions())
STEPS = st.builds(
    lambda name, severity: f"{name}(severity={severity})",
    st.sampled_from(CORRUPTIONS),
    st.integers(1, 5),
)


@settings(max_examples=60)
@given(st.lists(STEPS, min_size=1, max_size=3))
def test_a_chain_of_any_corruptions_is_read_as_it_is_spelt(steps):
    condition = parse("+".join(steps))
    assert parse(str(condition)) == condition
    assert parse(str(parse(condition.resolved))) == parse(condition.resolved)
    assert len(condition.corruptions) == len(steps)


@settings(max_examples=150)
@given(
    st.text(max_size=40)
    | st.text(alphabet="jpegnoisqualtybrfm()=,+/.0123456789 e-", max_size=40)
    | st.builds(
        lambda name, key, value: f"{name}({key}={value})",
        st.sampled_from(CORRUPTIONS),
        st.text(string.ascii_lowercase, min_size=1, max_size=9),
        st.integers() | st.floats() | TEXT,
    )
)
def test_any_text_is_a_condition_or_one_sentence(text):
    try:
        condition = parse(text)
    except BenchError:
        return
    assert isinstance(condition, Condition)
    assert parse(str(condition)) == condition


@st.composite
def cards(draw):
    training = st.builds(
        TrainingData, dataset=TEXT, generators=st.lists(TEXT, max_size=3).map(tuple)
    )
    return DetectorCard(
        name=draw(TEXT.filter(str.strip)),
        arch=draw(TEXT.filter(str.strip)),
        input=InputSpec(size=draw(st.integers(1, 4000)), fit="crop"),
        training_data=draw(st.none() | training),
        fake_logit=draw(st.sampled_from(["z", "-z", "z1-z0", "z0-z1"])),
    )


@settings(max_examples=60)
@given(cards())
def test_a_card_is_read_as_it_was_written(tmp_path_factory, card):
    path = tmp_path_factory.mktemp("c") / "card.json"
    path.write_text(card.model_dump_json())
    assert read_card(path) == card


@settings(max_examples=100)
@given(
    JSON.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=60)
    | st.builds(
        lambda key, value: json.dumps({"name": "x", "arch": "y", key: value}).encode(),
        st.sampled_from(
            ["input", "weights", "training_data", "training", "name", "arch", "output"]
        ),
        JSON,
    )
)
def test_any_file_is_a_card_or_one_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("c") / "card.json"
    path.write_bytes(content)
    try:
        card = read_card(path)
    except DetectorError:
        with pytest.raises(DetectorError, match=re.escape(str(path))):
            read_card(path)
        return
    assert DetectorCard.model_validate_json(card.model_dump_json()) == card


DECISIONS = st.sampled_from(["PASS", "FAIL", "INCONCLUSIVE", "INCOMPLETE"])
VERDICTS = st.lists(
    st.builds(
        lambda decision, blind: Verdict(
            name=("d", "g", "all", "clean"), decision=decision, reason="r", blind=blind
        ),
        DECISIONS,
        st.booleans(),
    ),
    max_size=6,
)
RANK = ["PASS", "INCONCLUSIVE", "INCOMPLETE", "FAIL"]


@settings(max_examples=100)
@given(VERDICTS, DECISIONS, st.sampled_from(["regression", "non-inferior"]), st.randoms())
def test_a_further_verdict_never_makes_a_gate_milder(verdicts, decision, mode, order):
    before = outcome(verdicts, mode)
    more = [*verdicts, Verdict(name=("d", "h", "all", "clean"), decision=decision, reason="r")]
    order.shuffle(more)
    # Nothing was judged where there is no verdict: that is open, and a first PASS settles it.
    if verdicts:
        assert RANK.index(outcome(more, mode)) >= RANK.index(before)
    if decision in ("FAIL", "INCOMPLETE"):
        assert outcome(more, mode) in ("FAIL", decision)
    assert (outcome(more, mode) == "PASS") <= all(v.decision != "FAIL" for v in more)


@st.composite
def pairs(draw):
    n = draw(st.integers(20, 60))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    labels = np.arange(n) % 2
    logits = (rng.normal(0, 1, n) + labels * draw(st.floats(0, 3))).astype(np.float32)
    return labels, logits


@settings(max_examples=25)
@given(pairs(), st.sampled_from(["auc", "accuracy"]), st.floats(0.0, 0.2))
def test_equal_scores_never_fail_and_reversed_ones_never_pass(pair, metric, margin):
    labels, logits = pair
    strata = labels.astype(np.int64)

    def verdicts(candidate):
        cell = PairedCell(
            name=CellName("d", "g", "all", "clean"), rows=np.arange(len(labels)), labels=labels,
            baseline=logits, candidate=candidate, thresholds=(0.0, 0.0), ranked=True,
        )  # fmt: skip
        rules = Rules(metric=metric, margin=margin, min_images=5)
        return judge([cell], rules, strata)

    same = verdicts(logits)
    assert all(v.decision != "FAIL" and v.change == 0 for v in same)
    worse = verdicts(-logits)
    for verdict in worse:
        assert verdict.change <= 0 or verdict.decision != "FAIL"
        if verdict.change < -margin:
            assert verdict.decision != "PASS"


@settings(max_examples=100)
@given(
    TEXT
    | st.builds(
        lambda key, value: f"{key} = {json.dumps(value)}\n",
        st.sampled_from(
            ["metric", "margin", "level", "mode", "min_images", "blind", "floors", "x"]
        ),
        JSON,
    )
)
def test_any_rules_are_rules_or_one_sentence(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("r") / "gate.toml"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        rules = load_rules(path, {}, [])
    except BenchError:
        return
    assert 0 < rules.level < 1
    assert rules.margin >= 0
    with pytest.raises(BenchError):
        load_rules(path, {"metric": "no such metric"}, [])
