"""Deliberate mistakes of newcomers: each ends with its exit code and with one sentence that says the way out.

The table is `mistakes.toml`; `docs/mistakes.md` is made of it. What `[...]` stands for may be anything.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

import bench
from bench.cli import main as entry
from tests.conftest import TOY, picture

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MISTAKES = tomllib.loads((HERE / "mistakes.toml").read_text())["mistake"]
SUITES = {
    "eps.toml": ["pgd(eps=8)"],
    "epsilon.toml": ["pgd(epsilon=8/255)"],
    "two-attacks.toml": ["fgsm(eps=8/255)+pgd(eps=8/255)"],
    "pgb.toml": ["pgb(eps=8/255)"],
    "only.toml": ["only(real)+jpeg(quality=75)"],
}
FILES = {
    "toy.py": TOY,
    "nolabel.csv": "path,lable\nimages/alpha/real/0.png,real\nimages/alpha/fake/0.png,fake\n",
    "ok.csv": "path,label\nimages/alpha/real/0.png,real\nimages/alpha/fake/0.png,fake\n",
    "fakes.csv": "path,label\nimages/alpha/fake/0.png,fake\nimages/alpha/fake/1.png,fake\n",
    "ghost.csv": "path,label\nimages/no.png,real\nimages/no2.png,fake\n",
    "twice.csv": "path,label\nimages/alpha/real/0.png,real\nimages/alpha/real/0.png,fake\n",
    "p_real.csv": "path,p_real\nimages/alpha/real/0.png,0.5\n",
    "score.csv": "path,score\nimages/alpha/real/0.png,0.5\n",
    "note.txt": "hello",
    "text.pth": "not a checkpoint",
    "gate-key.toml": "marjin = 0.1\n",
    "gate-value.toml": "margin = -1\n",
    "suite-key.toml": 'name = "mine"\ncondition = ["clean"]\n',
    "suite-name.toml": 'name = "mine"\nslices = ["generator"]\nconditions = ["jpg(quality=75)"]\n',
    "suite-quote.toml": 'name = "mine\n',
    "recipe-key.toml": 'nam = "x"\n[train]\nepochs = 3\n',
    "config-key.toml": 'detectr = "toy.py:Toy"\n',
    "images.7z": "7z\xbc\xaf\x27\x1c" + "0" * 50,
    "photos.xlsx": "PK\x03\x04 a spreadsheet",
} | {
    name: f'name = "mine"\nslices = ["generator"]\nconditions = {conditions!r}\n'
    for name, conditions in SUITES.items()
}


def build(root: Path) -> None:
    """Lay out a newcomer's folder: data in many forms, code, weights, files with a slip in each."""

    def save(path: str, seed: int, *, fake: bool) -> None:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(seed, fake=fake)).save(place)

    for i in range(6):
        for kind in ("real", "fake"):
            for g, generator in enumerate(("alpha", "beta")):
                save(f"images/{generator}/{kind}/{i}.png", 100 * g + i, fake=kind == "fake")
    for i in range(2):
        save(f"flat/{i}.png", i, fake=False)
        save(f"only-fakes/alpha/fake/{i}.png", i, fake=True)
        for split in ("train", "test"):
            for kind in ("real", "fake"):
                save(f"splits/{split}/{kind}/{i}.png", i, fake=kind == "fake")
    shutil.copytree(root / "images", root / "download" / "release" / "images")
    (root / "empty").mkdir()
    for name, text in FILES.items():
        (root / name).write_bytes(text.encode("latin-1"))
    with zipfile.ZipFile(root / "whole.zip", "w") as archive:
        for path in (root / "images").rglob("*.png"):
            archive.write(path)
    (root / "cut.zip").write_bytes((root / "whole.zip").read_bytes()[:1000])
    torch.save({"fc.weight": torch.ones(2, 512), "fc.bias": torch.zeros(2)}, root / "head.pth")
    torch.save(nn.Linear(2, 2), root / "pickled.pth")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("newcomer").resolve()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.chdir(root)
        build(root)
        for out, limit in (("runs/a", None), ("runs/part", 12)):
            bench.run("toy.py:Toy", suite="smoke", data="images", limit=limit, out=out)
    return root


def fits(text: str, pattern: str) -> bool:
    parts = [re.escape(part) for part in pattern.split("[...]")]
    return re.fullmatch(".*?".join(parts), text) is not None


def answer(place, capsys, monkeypatch, mistake):
    """Make the mistake; gives (exit code or kind of error, the sentence)."""
    monkeypatch.chdir(place)
    if "python" in mistake:
        try:
            eval(mistake["python"], {"bench": bench})
        except Exception as error:
            return type(error).__name__, str(error).replace(str(place), "/home/me")
        return "nothing", ""
    monkeypatch.setattr(sys, "argv", shlex.split(mistake["command"]))
    with pytest.raises(SystemExit) as stop:
        entry.main()
    err = capsys.readouterr().err.replace(str(place), "/home/me").strip().splitlines()
    return stop.value.code, (err or [""])[-1]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.get("command") or m["python"])
def test_a_mistake_ends_with_the_way_out(place, capsys, monkeypatch, mistake):
    code, said = answer(place, capsys, monkeypatch, mistake)
    assert code == mistake["code"]
    said = said.removeprefix("error: ")
    assert fits(said, mistake["now"]), said
    assert "Traceback" not in said
    assert "internal error" not in said


def test_there_are_enough_of_them_and_the_page_shows_each():
    assert len(MISTAKES) >= 59
    assert len({m.get("command") or m["python"] for m in MISTAKES}) == len(MISTAKES)
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate_mistakes.py"), "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
