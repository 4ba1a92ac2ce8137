"""Tab in a shell: names of what there is, at once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.cli import completion


def complete(cli, monkeypatch, line):
    words = line.split(" ")
    monkeypatch.setenv("_BENCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    code, out, _ = cli()
    assert code == 0
    return out.split()


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("bench run --detector resnet5", {"resnet50", "resnet50.pocket"}),
        ("bench run -d a=genimage-cnn.v", {"a=genimage-cnn.vae"}),
        ("bench run -d vit,resnet5", {"vit,resnet50"}),
        ("bench run --suite cross", {"cross-generator"}),
        ("bench run --layout geni", {"genimage"}),
        ("bench run --equalise resize(scale=0.5)+jp", {"resize(scale=0.5)+jpeg"}),
        ("bench train --recipe S3", {"S3a", "S3b"}),
        ("bench show pg", {"pgd"}),
        ("bench plot runs/a heat", {"heatmap"}),
        ("bench export runs/a --format la", {"latex"}),
        ("bench ls rec", {"recipes"}),
        ("bench exp", {"explain", "export"}),
        ("bench run --dete", {"--detector"}),
    ],
)
def test_names_are_completed(cli, monkeypatch, line, among):
    assert among <= set(complete(cli, monkeypatch, line))


def test_what_is_completed_is_what_is_listed():
    from bench import registry
    from bench.datasets.open import layouts
    from detectors import zoo

    assert set(completion.suites("")) == set(registry.suites())
    assert set(completion.recipes("")) == set(registry.recipes())
    assert set(completion.layouts("")) == {"auto", *layouts()}
    assert set(completion.corruptions("")) == set(registry.corruptions())
    assert {*registry.detectors(), *zoo.weights()} <= set(completion.detectors(""))
    own = {name for name in registry.attacks() if not name.startswith("torchattacks/")}
    assert own <= set(completion.anything(""))


def test_no_key_waits_for_torch():
    code = (
        "import sys; from bench.cli import completion as c, main; "
        "[f('') for f in (c.detectors, c.suites, c.recipes, c.layouts, c.corruptions, c.anything)]; "
        "print([m for m in ('torch', 'pandas', 'pyarrow', 'scipy', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_completion_can_be_installed(tmp_path, shell, file):
    home = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--install-completion", shell],
        env={**os.environ, **home}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_BENCH_COMPLETE" in path.read_text() for path in written)
    assert (tmp_path / file).is_file()
