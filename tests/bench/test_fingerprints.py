"""A stored score counts as long as nothing that decides it has changed, and not a moment longer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.protocol.condition import parse
from bench.store.provenance import source_digest
from detectors.card import DetectorCard, InputSpec
from detectors.identity.source_code import SourceUnknownError, code_digest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bench", "detectors", "attacks", "corruptions", "leaderboards")
SUITE = """
name = "fingerprints"
slices = ["generator"]
split = ""
conditions = ["clean", "jpeg(quality=75)", "blur(sigma=1)", "noise(sigma=0.1)", "fgsm(eps=2/255)"]
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the five packages, to edit, with the weights of one detector."""
    root = tmp_path_factory.mktemp("checkout")
    heavy = shutil.ignore_patterns(
        "*.safetensors", "*.parquet", "__pycache__", "published", "build", "*.png"
    )
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=heavy)
    name = "detectors/zoo/genimage-cnn.pocket.safetensors"
    shutil.copy(ROOT / name, root / name)
    (root / "suite.toml").write_text(SUITE)
    return root


@pytest.fixture
def scored(checkout, tree, tmp_path):
    """Run the command in the copy; gives how many scores it had to make."""
    assert scores_made(checkout, tree, tmp_path) == 48 * 5
    return lambda *args: scores_made(checkout, tree, tmp_path, *args)


def scores_made(checkout, tree, folder, *args):
    command = ["-m", "bench", "run", "-d", "genimage-cnn", "--suite", checkout / "suite.toml"]
    done = subprocess.run(
        [sys.executable, *map(str, [*command, "--data", tree, "--out", folder / "out", *args])],
        env={**os.environ, "PYTHONPATH": str(checkout), "BENCH_CACHE": str(folder / "cache")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(re.search(r"(\d+) scored in this run", done.stderr)[1])


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_what_decides_no_score_scores_nothing_anew(checkout, scored):
    (checkout / "corruptions" / "unused_neighbour.py").write_text(
        '"""A plug-in that nobody asked for."""\n\nCORRUPTIONS = {}\n'
    )
    edit(
        checkout / "detectors" / "card.py",
        "    differentiable: bool = True\n",
        "    differentiable: bool = True\n    colour_space: str = 'sRGB'\n",
    )
    edit(checkout / "corruptions" / "jpeg.py", "from __future__", "# A remark.\nfrom __future__")
    assert scored() == 0


def test_another_seed_scores_anew_only_what_draws(scored):
    assert scored("--seed", "1", "--force") == 48  # noise


@pytest.mark.parametrize("module", ["corruptions/jpeg.py", "corruptions/checks.py"])
def test_an_edit_scores_anew_what_uses_it_and_nothing_else(checkout, scored, module):
    # checks.py stands for what jpeg imports; blur and noise import it too, clean and fgsm do not.
    path = checkout / module
    path.write_text(path.read_text() + "\n\nEDITED = True\n")
    assert scored() == (48 if path.name == "jpeg.py" else 48 * 3)


def plugin(folder, name, files):
    package = folder / name
    for path, text in files.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text)
    for each in {(package / path).parent for path in files}:
        (each / "__init__.py").touch()


CORRUPTION = """
from {package}.inner.deep import VALUE

class Own:
    def apply(self, image, rng):
        return image + VALUE
"""


def digest_of(folder, name, module="plug"):
    """The digest as a fresh process has it: code once imported cannot be another."""
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r})\n"
        f"import {name}.{module}\nfrom detectors.identity.source_code import code_digest\n"
        f"print(code_digest([{name}.{module}.Own]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_imports_are_followed_into_sub_packages(tmp_path):
    files = {
        "plug.py": CORRUPTION.format(package="own_plugin"),
        "inner/deep.py": "from .deeper import *\nfrom . import beside\nVALUE = 1\n",
        "inner/deeper.py": "X = 1\n",
        "inner/beside.py": "Y = 1\n",
        "neighbour.py": "Z = 1\n",
    }
    plugin(tmp_path, "own_plugin", files)
    before = digest_of(tmp_path, "own_plugin")
    assert len(before) == 64
    for name in ("inner/deep.py", "inner/deeper.py", "inner/beside.py", "inner/__init__.py"):
        path = tmp_path / "own_plugin" / name
        text = path.read_text()
        path.write_text(text + "\nEDITED = 1\n")
        assert digest_of(tmp_path, "own_plugin") != before, name
        path.write_text(text)
    (tmp_path / "own_plugin" / "neighbour.py").write_text("Z = 2\n")
    (tmp_path / "own_plugin" / "inner" / "deep.py").write_text(
        '"""A docstring."""\n' + files["inner/deep.py"] + "# and a remark\n"
    )
    assert digest_of(tmp_path, "own_plugin") == before


def test_an_import_by_a_computed_name_is_refused(tmp_path):
    plugin(
        tmp_path,
        "computed_plugin",
        {"plug.py": "import importlib\nX = importlib.import_module('js' + 'on')\nclass Own: ...\n"},
    )
    assert "line 2, imports a module by a computed name" in digest_of(tmp_path, "computed_plugin")


def test_a_class_in_no_file_is_refused():
    scope: dict[str, object] = {"__name__": "nowhere"}
    exec("class Own: ...", scope)
    with pytest.raises(SourceUnknownError, match="stands in no file"):
        code_digest([scope["Own"]])

    class Plugin(scope["Own"]):
        name = "mine"

    with pytest.raises(BenchError, match=r"'mine'.*write it into a file"):
        source_digest(Plugin())


def test_the_code_of_one_step_does_not_depend_on_its_parameters():
    first, second = (parse(f"jpeg(quality={q})").steps[0].plugin for q in (30, 90))
    assert source_digest(first) == source_digest(second)
    assert source_digest(first) != source_digest(parse("blur(sigma=1)").steps[0].plugin)


def test_the_defaults_that_identities_leave_out_stay_what_they_are():
    """Another default would be another score under the same identity: raise SCORING_PROTOCOL with it."""
    assert DetectorCard(name="n", arch="a").model_dump(exclude={"name", "arch"}) == {
        "reference": "",
        "licence": "unknown",
        "fake_logit": "z",
        "fake_labels": (),
        "real_labels": (),
        "output": None,
        "fake_outputs": (),
        "ignored_outputs": (),
        "input": InputSpec().model_dump(),
        "weights": None,
        "training_data": None,
        "differentiable": True,
        "training": {},
    }
    assert InputSpec().model_dump() == {
        "size": 224,
        "fit": "shortest-crop",
        "interpolation": "bicubic",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "resize_to": None,
        "padding": "mirror",
        "rounding": "even",
        "views": "one",
        "view_size": None,
        "stride": None,
        "pool": "mean",
    }
