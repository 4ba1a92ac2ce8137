"""Every call into somebody's code may fail in any way: its own cells say so, and the others' are there."""

from __future__ import annotations

import csv
import signal
import textwrap

import pytest

import bench
from bench.errors import BenchError, DetectorFailedError
from bench.inference.foreign import border
from bench.protocol.suite import Suite
from bench.support.interruption import Interruption
from detectors.errors import ForeignCodeError, described
from tests.faults.kinds.detectors import HEAD

SUITE = Suite(name="faults", slices=["generator"], conditions=["clean"], split="")
CALLS = {
    "constructor": "def __init__(self): {}",
    "to": "def to(self, device): {}",
    "fold": "def fold(self): {}",
    "replica": "def replica(self): {}",
    "fits_by_card": "@property\n    def fits_by_card(self): {}",
    "fit": "def fit(self, image): {}",
    "logits": "def logits(self, batch): {}",
    "identity": "def identity(self): {}",
}
FAULTS = {
    "an error": "raise RuntimeError('boom')",
    "exit": "sys.exit(0)",
    "a base exception": "raise BaseException('x')",
    "an error without words": "raise Silent",
    "out of memory": "raise torch.OutOfMemoryError('x')",
    "too deep": "return self.{name}() if 0 else (lambda f: f(f))(lambda f: f(f))",
}


@pytest.fixture
def pair(tree, tmp_path):
    """Run somebody's class beside a detector of ours; gives the rows of the board by label."""

    def run(body, *, module=""):
        file = tmp_path / "own.py"
        file.write_text(HEAD + module + "\nclass Own(Base):\n" + textwrap.indent(body, "    "))
        result = bench.run(
            [f"{file}:Own", "genimage-cnn"], suite=SUITE, data=tree, out=tmp_path / "out"
        )
        rows = list(csv.DictReader(result.board.to_csv().splitlines()))
        return {
            name: [r for r in rows if r["detector"] == name] for name in ("Own", "genimage-cnn")
        }

    return run


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_a_call_raises_fails_its_own_cells(pair, call, fault):
    body = CALLS[call].format(FAULTS[fault].replace("{name}", call))
    rows = pair(body)
    assert {row["status"] for row in rows["Own"]} == {"failed"}
    assert all(row["reason"] for row in rows["Own"])
    assert {row["status"] for row in rows["genimage-cnn"]} == {"ok"}


@pytest.mark.parametrize(
    "fault", ["raise SystemExit(0)", "raise BaseException('x')", "1 / 0", "def ("]
)
def test_a_module_that_cannot_be_imported_fails_its_own_cells(pair, fault):
    rows = pair("pass", module=fault)
    assert {row["status"] for row in rows["Own"]} == {"failed"}
    assert all("cannot be imported" in row["reason"] for row in rows["Own"])
    assert {row["status"] for row in rows["genimage-cnn"]} == {"ok"}


def test_a_run_of_which_every_detector_fails_is_refused_with_the_reason(tree, tmp_path):
    file = tmp_path / "own.py"
    file.write_text("raise SystemExit(0)")
    with pytest.raises(DetectorFailedError, match="cannot be imported"):
        bench.run([f"{file}:A", f"{file}:B"], suite=SUITE, data=tree, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_detector_that_interrupts_itself_is_no_ctrl_c(pair):
    rows = pair("def logits(self, batch): raise KeyboardInterrupt")
    assert {row["status"] for row in rows["Own"]} == {"failed"}
    assert {row["status"] for row in rows["genimage-cnn"]} == {"ok"}


def test_a_persons_ctrl_c_passes_the_border(ctrl_c):
    ctrl_c(signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), border("logits"):
        raise KeyboardInterrupt
    ctrl_c(lambda *_: None)  # as on the command line, where a handler of ours raises its own
    with pytest.raises(Interruption), border("logits"):
        raise Interruption
    with pytest.raises(ForeignCodeError, match="logits ended with SystemExit"), border("logits"):
        raise SystemExit


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None], ids=["ignored", "ours"])
def test_a_detector_s_own_keyboard_interrupt_does_not(ctrl_c, handler):
    ctrl_c(handler)
    with (
        pytest.raises(ForeignCodeError, match="logits ended with KeyboardInterrupt"),
        border("logits"),
    ):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ("card = None", "is not a detector"),
        ("card = Base.card.model_copy(update={'training': {'auc': float('nan')}})", "training"),
        ("card = Base.card.model_copy(update={'name': '\\ud800'})", "cannot be written down"),
        ("card = Base.card.model_copy(update={'input': 7})", "input"),
    ],
)
def test_a_card_that_no_board_can_hold_is_refused_before_an_image(pair, tmp_path, card, says):
    with pytest.raises(BenchError, match=says):
        pair(card)
    assert not list((tmp_path / "out").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("column", "name"), [("generator", "all"), ("generator", "(macro mean)"), ("domain", "all")]
)
def test_a_name_that_the_board_has_for_something_else_is_refused_at_once(
    tree, tmp_path, column, name
):
    lines = [f"path,label,{column}"]
    for label in ("real", "fake"):
        for i in range(3):
            lines.append(f"alpha/{label}/{i:02d}.png,{label},{name if label == 'fake' else ''}")
    (tree / "t.csv").write_text("\n".join(lines) + "\n")
    suite = SUITE.model_copy(update={"slices": [column]})
    with pytest.raises(BenchError, match="rename it"):
        bench.run("genimage-cnn", suite=suite, data=tree / "t.csv", out=tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_an_error_that_cannot_speak_has_its_kind():
    class MuteError(Exception):
        def __str__(self):
            raise SystemExit(0)

    assert described(MuteError()) == "MuteError"
