"""Parameters of the attacks: defaults, one spelling, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest

from attacks import fgsm, pgd
from attacks.apgd import APGD, APGDL2
from attacks.base import ThreatModel
from attacks.ensemble import Ensemble
from attacks.fgsm import FGSM
from attacks.mifgsm import MIFGSM
from attacks.pgd import PGD
from attacks.square import Square


def test_defaults_are_the_fields():
    assert list(fgsm.ATTACKS.items()) == [("fgsm", FGSM)]
    assert list(pgd.ATTACKS.items()) == [("pgd", PGD), ("pgd-l2", pgd.PGDL2)]
    assert PGD() == PGD(
        eps=8 / 255,
        steps=10,
        step=None,
        random_start=True,
        goal="both",
        quantize=True,
        loss="margin",
        restarts=1,
        keep="best",
        stop="never",
        samples=1,
        aware=False,
    )
    assert PGD().step_size == 2 / 255
    assert PGD(step=0.01).step_size == 0.01
    assert PGD(eps=1).threat == ThreatModel("linf", 1.0, "both", True, "white-box")
    assert FGSM(eps=4 / 255, goal="evade", quantize=False).threat.goal == "evade"
    assert repr(FGSM(eps=1)) == repr(FGSM(eps=1.0))


@pytest.mark.parametrize("kind", [FGSM, PGD])
def test_parameters_are_plain_and_frozen(kind):
    attack = kind()
    parameters = {f.name: getattr(attack, f.name) for f in dataclasses.fields(attack)}
    assert all(type(v) in (int, float, str, bool, type(None)) for v in parameters.values())
    assert kind(**parameters) == attack
    with pytest.raises(dataclasses.FrozenInstanceError):
        attack.eps = 0.0
    assert kind.name
    assert kind.summary


@pytest.mark.parametrize("kind", [FGSM, PGD])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"eps": 8}, r"eps is in units of \[0, 1\], got 8: write 8/255"),
        ({"eps": -0.1}, "eps must be a number of at least 0, got -0.1"),
        ({"eps": float("nan")}, "got nan"),
        ({"eps": float("inf")}, "got inf"),
        ({"eps": "8/255"}, "got '8/255'"),
        ({"eps": True}, "got True"),
        ({"eps": 0.5 / 255}, "less than one level of an 8-bit image.*or quantize=false"),
        ({"goal": "evad"}, "did you mean 'evade'"),
        ({"goal": None}, "must be one of evade, frame, both, got None"),
        ({"quantize": 1}, "quantize must be true or false, got 1"),
        ({"loss": "CE"}, "did you mean 'ce'"),
        ({"loss": "dlr"}, "must be one of margin, ce, got 'dlr'"),
    ],
)
def test_bad_parameters(kind, parameters, message):
    with pytest.raises(ValueError, match=f"^{kind.name} .*{message}"):
        kind(**parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"steps": 0}, "from 1 to 100000, got 0; the nearest valid one is 1"),
        ({"steps": 10.0}, "whole number"),
        ({"step": 2}, "wider than the whole budget .*use step <= 0.0627"),
        ({"step": 0}, "never moves"),
        ({"step": -0.01}, "at least 0"),
        ({"step": float("nan")}, "got nan"),
        ({"random_start": "no"}, "true or false"),
    ],
)
def test_bad_pgd_parameters(parameters, message):
    with pytest.raises(ValueError, match=f"^pgd .*{message}"):
        PGD(**parameters)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PGD(restarts=2, random_start=False), "repeats one search"),
        (lambda: PGD(restarts=0), "from 1 to 1000"),
        (lambda: PGD(keep="first"), "best, last"),
        (lambda: PGD(stop="sucess"), "did you mean 'success'"),
        (lambda: PGD(samples=0), "from 1 to 1000"),
        (lambda: PGD(aware=True, stop="success"), "fooled by luck"),
        (lambda: APGD(loss="dlr"), "third largest logit, which a detector of two classes"),
        (lambda: APGDL2(loss="DLR"), "third largest logit"),
        (lambda: APGD(rho=2), "rho must be a number from 0 to 1"),
        (lambda: MIFGSM(step=0), "never moves"),
        (lambda: MIFGSM(decay=-1), "decay"),
        (lambda: Square(queries=0), "from 1 to"),
        (lambda: Square(p_init=0), "p_init"),
        (lambda: Ensemble(members="pdg"), "did you mean 'pgd'"),
        (lambda: Ensemble(members="pgd+pgd"), "names one twice"),
        (lambda: Ensemble(members="square:ce"), "square has no loss"),
        (lambda: Ensemble(members="apgd:dlr"), "loss of apgd must be one of margin, ce"),
    ],
)
def test_bad_parameters_of_the_others(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_edges_that_are_valid():
    for levels in (1, 2, 4, 8, 16, 32):
        FGSM(eps=levels / 255)
    FGSM(eps=0.5 / 255, quantize=False)
    PGD(eps=8 / 255, step=16 / 255)
    PGD(eps=0, step=2 / 255)  # the sanity check at eps 0 keeps the other parameters
