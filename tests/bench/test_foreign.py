"""Somebody else's code at work: it moves no neighbour's number, and its own are right or absent."""

from __future__ import annotations

import csv
import random
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

import bench
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve
from bench.inference.foreign import Foreign, guarded
from bench.protocol.suite import Suite

SUITE = Suite(
    name="foreign", slices=["generator"], conditions=["clean", "jpeg(quality=75)"], split=""
)
HEAD = """
import os, random, sys
import numpy as np
import torch
from detectors import Detector, DetectorCard, InputSpec

class Base(Detector):
    card = DetectorCard(name="own", arch="own", input=InputSpec(size=32, fit="crop"))

    def score(self, batch):
        means = batch.mean(dim=(2, 3))
        return 40 * (means[:, 0] - means[:, 2])

    def logits(self, batch):
        return self.score(batch)
"""


@pytest.fixture
def own(tmp_path):
    """Write a detector file; gives what to say after --detector."""

    def write(body, name="Own", file="own.py"):
        path = tmp_path / file
        path.write_text(HEAD + textwrap.dedent(body))
        return f"{path}:{name}"

    return write


def rows(run):
    return list(csv.DictReader(run.board.to_csv().splitlines()))


def of(run, label):
    return [row for row in rows(run) if row["detector"] == label]


NASTY = {
    "fit writes into the image": """
        def fit(self, image):
            canvas = super().fit(image).copy()
            image[:] = 0
            return canvas
    """,
    "logits write into the batch": """
        def logits(self, batch):
            out = self.score(batch)
            batch.zero_()
            return out
    """,
    "logits change the default dtype, the folder, the seed and the threads": """
        def logits(self, batch):
            torch.set_default_dtype(torch.float64)
            os.chdir("/")
            torch.manual_seed(0); random.seed(0); np.random.seed(0)
            torch.set_num_threads(1 + torch.get_num_threads())
            return self.score(batch.float()).float()
    """,
    "the constructor does": """
        def __init__(self):
            torch.set_default_dtype(torch.float64)
            torch.set_grad_enabled(False)
            os.chdir("/")
            torch.manual_seed(0); random.seed(0); np.random.seed(0)
    """,
    "logits end the process": """
        def logits(self, batch):
            sys.exit(0)
    """,
    "logits raise what cannot even be printed": """
        def logits(self, batch):
            class Broken(Exception):
                def __str__(self):
                    raise RuntimeError("no words")
            raise Broken
    """,
}


@pytest.mark.parametrize("what", NASTY)
def test_a_neighbour_keeps_its_numbers(tree, own, tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    nasty = own("class Own(Base):" + textwrap.indent(textwrap.dedent(NASTY[what]), "    "))
    alone = bench.run("genimage-cnn", suite=SUITE, data=tree, out=tmp_path / "alone")
    state = (random.getstate(), np.random.get_state()[1].tolist())
    both = bench.run(
        [nasty, "genimage-cnn"], suite=SUITE, data=tree, out="both", store=tmp_path / "store"
    )
    assert of(both, "genimage-cnn") == of(alone, "genimage-cnn")
    assert Path.cwd() == tmp_path
    assert (tmp_path / "both" / "leaderboard.csv").is_file()
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert state[0] == random.getstate()
    assert state[1] == np.random.get_state()[1].tolist()
    later = bench.run(
        "genimage-cnn", suite=SUITE, data=tree, out=tmp_path / "l", store=tmp_path / "store"
    )
    assert later.counts.scored == 0
    assert of(later, "genimage-cnn") == of(alone, "genimage-cnn")


@pytest.mark.parametrize(
    "what", ["logits end the process", "logits raise what cannot even be printed"]
)
def test_code_that_fails_in_its_own_way_fails_its_own_cells(tree, own, tmp_path, what):
    nasty = own("class Own(Base):" + textwrap.indent(textwrap.dedent(NASTY[what]), "    "))
    run = bench.run(nasty, suite=SUITE, data=tree, out=tmp_path / "out")
    assert {row["status"] for row in rows(run)} == {"failed"}
    assert run.report.incomplete


def test_code_that_exits_while_it_is_imported_or_built_is_one_sentence(own):
    with pytest.raises(BenchError, match="cannot be imported"):
        resolve(DetectorRequest(own("raise SystemExit(0)\nclass Own(Base): ...")))
    with pytest.raises(BenchError, match="failed while being built"):
        resolve(DetectorRequest(own("class Own(Base):\n    def __init__(self): sys.exit(0)")))


BROKEN = {
    "fit of floats": ("fit", "super().fit(image) / 255", "type float64"),
    "fit of height first": ("fit", "super().fit(image).transpose(1, 2, 0)", "shape"),
    "fit of a list": ("fit", "super().fit(image).tolist()", "returned list"),
    "a numpy answer": ("logits", "self.score(batch).numpy()", "returned ndarray"),
    "complex logits": ("logits", "self.score(batch) + 1j", "complex"),
    "verdicts": ("logits", "self.score(batch) > 0", "bool"),
    "two columns": ("logits", "self.score(batch)[:, None].repeat(1, 2)", "shape (N,)"),
    "not a number": ("logits", "self.score(batch) * float('nan')", "not finite"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_canvas_or_no_logit_fails_the_cell(tree, own, tmp_path, what):
    method, expression, says = BROKEN[what]
    argument = {"fit": "image", "logits": "batch"}[method]
    body = f"class Own(Base):\n    def {method}(self, {argument}):\n        return {expression}\n"
    run = bench.run(own(body), suite=SUITE, data=tree, out=tmp_path / "out")
    cells = rows(run)
    assert {row["status"] for row in cells} == {"failed"}
    assert says in run.board.to_markdown()


def test_one_buffer_handed_out_again_and_again_is_copied(tree, own, tmp_path):
    buffers = own(
        """
        class Plain(Base):
            def fit(self, image):
                return super().fit(image)

        class Own(Base):
            canvas = np.empty((3, 32, 32), np.uint8)
            out = torch.empty(64)

            def fit(self, image):
                self.canvas[:] = super().fit(image)
                return self.canvas

            def logits(self, batch):
                self.out[: len(batch)] = self.score(batch)
                return self.out[: len(batch)]
        """
    )
    run = bench.run(
        [buffers, buffers.replace(":Own", ":Plain")], suite=SUITE, data=tree, out=tmp_path
    )
    ours, plain = ([{**r, "detector": ""} for r in of(run, name)] for name in ("Own", "Plain"))
    drop = {"rank", "rank_lo", "rank_hi"}
    assert [{k: v for k, v in r.items() if k not in drop} for r in ours] == [
        {k: v for k, v in r.items() if k not in drop} for r in plain
    ]


WEIGHTS = {
    "an array of a file": (
        "class Own(Base):\n"
        "    def __init__(self): self.w = np.load(FILE)\n"
        "    def logits(self, b): return self.score(b) * float(self.w)\n"
    ),
    "a tensor in a list in a dict": (
        "class Own(Base):\n"
        "    def __init__(self): self.w = {'a': [torch.from_numpy(np.load(FILE))]}\n"
        "    def logits(self, b): return self.score(b) * float(self.w['a'][0])\n"
    ),
    "a list of networks": (
        "class Own(Base):\n"
        "    def __init__(self):\n"
        "        self.nets = [torch.nn.Linear(1, 1, bias=False) for _ in range(2)]\n"
        "        for n in self.nets: n.weight.data.fill_(float(np.load(FILE)))\n"
        "    def logits(self, b): return self.nets[1](self.score(b)[:, None])[:, 0]\n"
    ),
    "an object of its own": (
        "class Scale:\n"
        "    def __init__(self): self.value = np.load(FILE)\n"
        "class Own(Base):\n"
        "    def __init__(self): self.scale = Scale()\n"
        "    def logits(self, b): return self.score(b) * float(self.scale.value)\n"
    ),
    "a number kept on a network": (
        "class Net(torch.nn.Module):\n"
        "    def __init__(self): super().__init__(); self.temperature = float(np.load(FILE))\n"
        "    def forward(self, x): return x * self.temperature\n"
        "class Own(Base):\n"
        "    def __init__(self): self.net = Net()\n"
        "    def logits(self, b): return self.net(self.score(b))\n"
    ),
    "a global of the module": (
        "W = np.load(FILE)\n"
        "class Own(Base):\n"
        "    def logits(self, b): return self.score(b) * float(W)\n"
    ),
    "an attribute of the class": (
        "class Own(Base):\n"
        "    w = np.load(FILE)\n"
        "    def logits(self, b): return self.score(b) * float(self.w)\n"
    ),
    "a closure": (
        "def make():\n"
        "    w = float(np.load(FILE))\n"
        "    return lambda z: z * w\n"
        "class Own(Base):\n"
        "    def __init__(self): self.head = make()\n"
        "    def logits(self, b): return self.head(self.score(b))\n"
    ),
    "a file read at each call": (
        "class Own(Base):\n    def logits(self, b): return self.score(b) * float(np.load(FILE))\n"
    ),
    "a neighbouring file": (
        "sys.path.insert(0, os.path.dirname(__file__))\n"
        "sys.modules.pop('scale_helper', None)\n"
        "import scale_helper\n"
        "class Own(Base):\n"
        "    def logits(self, b): return scale_helper.scale(self.score(b))\n"
    ),
}
HELPER = "import numpy as np\nW = np.load({file!r})\ndef scale(z):\n    return z * float(W)\n"


@pytest.mark.parametrize("where", WEIGHTS)
def test_other_weights_are_scored_anew_wherever_they_are_kept(
    tree, own, tmp_path, monkeypatch, where
):
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    file = tmp_path / "w.npy"
    (tmp_path / "scale_helper.py").write_text(HELPER.format(file=str(file)))
    detector = own(f"FILE = {str(file)!r}\n" + WEIGHTS[where])
    boards = []
    for scale, scored in ((1.0, 96), (1.0, 0), (-1.0, 96)):
        np.save(file, np.float64(scale))
        run = bench.run(detector, suite=SUITE, data=tree, out=tmp_path / "out")
        assert run.counts.scored == scored, f"{where}, weights {scale}"
        boards.append(float(rows(run)[0]["auc"]))
    assert boards[0] == boards[1] == pytest.approx(1 - boards[2])


OPAQUE = "class Own(Base):\n    def __init__(self): self.session = (x for x in ())\n"


def test_what_nobody_can_look_into_is_asked_for_and_not_stored(tree, own, tmp_path):
    detector = own(OPAQUE)
    for _ in range(2):
        run = bench.run(detector, suite=SUITE, data=tree, out=tmp_path / "out")
        assert run.counts.scored == 96
    assert "self.session (generator)" in run.board.to_markdown()
    assert "name the files behind it" in run.board.to_markdown()


def test_a_file_read_while_scoring_whose_path_no_value_holds_is_not_stored(
    tree, own, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    detector = own(
        "def scale(): return float(np.load('w.npy'))\n"
        "class Own(Base):\n    def logits(self, b): return self.score(b) * scale()\n"
    )
    areas = []
    for weight in (1.0, -1.0):
        np.save("w.npy", np.float64(weight))
        run = bench.run(detector, suite=SUITE, data=tree, out=tmp_path / "out")
        assert run.counts.scored == 96
        areas.append(float(rows(run)[0]["auc"]))
    assert areas[0] == pytest.approx(1 - areas[1])
    assert "what np.load() answers" in run.board.to_markdown()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("files = ['nope.bin']", "Own: files names 'nope.bin', and there is no such file"),
        ("files = 'w.bin'", r"Own: files is the text 'w.bin': make it a list"),
        ("def identity(self): return 5", r"Own: identity\(\) returned 5: return a text"),
        (
            "def identity(self): raise RuntimeError('no')",
            r"Own: identity failed \(RuntimeError: no\)",
        ),
        ("def identity(self): raise SystemExit(0)", "identity ended with SystemExit"),
        ("def to(self, device): raise RuntimeError('no')", r"Own: to failed \(RuntimeError: no\)"),
        ("def fold(self): raise RuntimeError('no')", r"Own: fold failed \(RuntimeError: no\)"),
    ],
)
def test_code_that_fails_before_it_scores_is_a_sentence(tree, own, tmp_path, body, reason):
    detector = own(f"class Own(Base):\n    {body}\n")
    with pytest.raises(BenchError, match=reason) as error:
        bench.run(detector, suite=SUITE, data=tree, out=tmp_path / "out")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "way", ["    files = ['weights.bin']\n", "    def identity(self): return 'v1'\n"]
)
def test_files_or_an_identity_say_what_nobody_can_look_into(tree, own, tmp_path, way):
    (tmp_path / "weights.bin").write_bytes(b"1")
    detector = own(OPAQUE + way)
    scored = []
    for content in (b"1", b"1", b"2"):
        (tmp_path / "weights.bin").write_bytes(content)
        run = bench.run(detector, suite=SUITE, data=tree, out=tmp_path / "out")
        scored.append(run.counts.scored)
    assert scored == [96, 0, 96 if "files" in way else 0]


def test_networks_in_lists_and_objects_are_put_in_inference_mode(own):
    detector = guarded(resolve(DetectorRequest(own(
        "class Holder:\n    pass\n"
        "class Own(Base):\n"
        "    def __init__(self):\n"
        "        self.nets = {'a': [torch.nn.Dropout()], 'b': (torch.nn.Dropout(),)}\n"
        "        self.holder = Holder(); self.holder.net = torch.nn.Dropout()\n"
    ))))  # fmt: skip
    assert isinstance(detector, Foreign)
    modules = detector.to(torch.device("cpu")).modules()
    assert len(modules) == 3
    assert not any(module.training for module in modules)


UNSTEADY = {
    "dropout left on": "return torch.nn.functional.dropout(self.score(batch), 0.5, training=True)",
    "randomness of its own": "return self.score(batch) + torch.randn(len(batch))",
    "the batch counts": "return self.score(batch - batch.mean(dim=0) * 0.9)",
    "the place in the batch counts": "return self.score(batch) + torch.arange(len(batch))",
    "the call counts": "self.n = getattr(self, 'n', 0) + 1\n        return self.score(batch) + self.n",
}


@pytest.mark.parametrize("what", UNSTEADY)
def test_answers_that_vary_are_told_and_never_used_again(tree, own, tmp_path, what):
    detector = own(f"class Own(Base):\n    def logits(self, batch):\n        {UNSTEADY[what]}\n")
    store = {"store": tmp_path / "store", "suite": SUITE, "data": tree}
    first = bench.run([detector, "genimage-cnn"], out=tmp_path / "a", **store)
    assert "Own: not deterministic" in first.board.to_markdown()
    assert "genimage-cnn: not deterministic" not in first.board.to_markdown()
    again = bench.run([detector, "genimage-cnn"], out=tmp_path / "b", **store)
    assert again.counts.scored == 96
    assert of(again, "genimage-cnn") == of(first, "genimage-cnn")


def test_a_steady_detector_is_not_suspected(tree, own, tmp_path):
    run = bench.run(own("class Own(Base): ..."), suite=SUITE, data=tree, out=tmp_path / "out")
    assert "not deterministic" not in run.board.to_markdown()
    assert (
        bench.run(
            own("class Own(Base): ..."), suite=SUITE, data=tree, out=tmp_path / "out"
        ).counts.scored
        == 0
    )


def test_probabilities_handed_in_as_logits_are_told_above_the_headline(tree, own, tmp_path):
    squashed = own(
        "class Own(Base):\n    def logits(self, b): return torch.sigmoid(self.score(b))\n"
    )
    run = bench.run(squashed, suite=SUITE, data=tree, out=tmp_path / "out")
    text = run.board.to_markdown()
    assert text.index("look like probabilities, not logits") < text.index("| Detector")
    plain = bench.run(own("class Own(Base): ..."), suite=SUITE, data=tree, out=tmp_path / "plain")
    assert "look like probabilities" not in plain.board.to_markdown()


def test_code_that_draws_its_weights_draws_the_same_each_time(tree, own, tmp_path):
    drawn = own(
        "class Own(Base):\n"
        "    def __init__(self):\n"
        "        self.net = torch.nn.Conv2d(3, 1, 3)\n"
        "        self.w = np.random.rand() + random.random()\n"
        "    def logits(self, b): return self.net(b).mean((1, 2, 3)) * self.w\n"
    )
    first = bench.run(drawn, suite=SUITE, data=tree, out=tmp_path / "a")
    torch.manual_seed(7)
    second = bench.run(drawn, suite=SUITE, data=tree, out=tmp_path / "b")
    assert first.board.to_csv() == second.board.to_csv()


def test_two_files_with_one_class_name_are_told_apart_or_refused(tree, own, tmp_path):
    (tmp_path / "other").mkdir()
    one, two = own("class Own(Base): ..."), own("class Own(Base): ...", file="other/own.py")
    with pytest.raises(
        BenchError, match=r"both stand on the board as 'Own': give one a name of its own"
    ):
        bench.run([one, two], suite=SUITE, data=tree, out=tmp_path / "out")
    with pytest.raises(BenchError, match="given twice"):
        bench.run([one, one], suite=SUITE, data=tree, out=tmp_path / "out")


def test_two_files_of_one_name_are_two_detectors(tree, own, tmp_path):
    (tmp_path / "other").mkdir()
    one = own("class One(Base): ...", "One")
    two = own(
        "class Two(Base):\n    def logits(self, b): return -self.score(b)\n", "Two", "other/own.py"
    )
    run = bench.run([one, two], suite=SUITE, data=tree, out=tmp_path / "out")
    alone = bench.run(two, suite=SUITE, data=tree, out=tmp_path / "alone")
    assert [r["auc"] for r in of(run, "Two")] == [r["auc"] for r in of(alone, "Two")]


def test_a_batch_is_never_larger_than_a_chunk(tree, tmp_path):
    run = bench.run("genimage-cnn", suite=SUITE, data=tree, out=tmp_path / "out", batch_size=10**9)
    assert '"batch_size": 256' in (run.folder / "run.json").read_text()


ELSEWHERE = {
    "a service": "import urllib.request\n",
    "another program": "import subprocess\n",
    "a program by the system": "def ask(): return os.popen('true')\n",
    "a compiled library": "import ctypes\n",
    "a library with models of its own": "import hypothesis\n",
    "an import inside a function": "def ask():\n    import socket\n    return socket\n",
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_an_answer_from_elsewhere_is_told_and_asked_for(own, what):
    source = ELSEWHERE[what]
    detector = guarded(resolve(DetectorRequest(own(source + "class Own(Base): ...\n"))))
    assert detector.identify().unknown[0].startswith("what ")
    for way in ("def identity(self): return 'v1'", "files = [__file__]", "net = torch.nn.ReLU()"):
        said = guarded(resolve(DetectorRequest(own(f"{source}class Own(Base):\n    {way}\n"))))
        assert not said.identify().unknown, way


def test_an_answer_from_elsewhere_is_never_used_again(tree, own, tmp_path):
    detector = own("import urllib.request\nclass Own(Base): ...\n")
    for _ in range(2):
        run = bench.run(detector, suite=SUITE, data=tree, out=tmp_path / "out")
        assert run.counts.scored == 96
    assert "what urllib answers" in run.board.to_markdown()
    assert "name the files behind it" in run.board.to_markdown()


def test_arithmetic_alone_needs_no_word(own):
    for source in ("import numpy.fft, scipy.ndimage, math, json\n", "from PIL import Image\n"):
        plain = guarded(resolve(DetectorRequest(own(source + "class Own(Base): ...\n"))))
        assert not plain.identify().unknown


@pytest.mark.parametrize(
    ("signature", "given", "says"),
    [
        ("self", "weights", "takes no parameter 'weights'"),
        ("self, weights=None", "fake_logit", "takes no parameter 'fake_logit'"),
        ("self, path=None", "weights", "takes no parameter 'weights'"),
    ],
)
def test_an_option_that_a_class_does_not_take_is_an_error(own, tmp_path, signature, given, says):
    (tmp_path / "w.bin").write_bytes(b"1")
    options = {"weights": tmp_path / "w.bin"} if given == "weights" else {"fake_logit": "z"}
    name = own(f"class Own(Base):\n    def __init__({signature}): ...\n")
    with pytest.raises(BenchError, match=says):
        resolve(DetectorRequest(name, **options))
