"""The questions to a GPU: one that hangs, dies or fails costs only itself."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
FAULTY = """
import dataclasses, json, os, time
from tests.benchmarks.gpu.ask import Question, put
from tests.benchmarks.gpu.setting import NotInstalledError, Setting

class Faulty(Question):
    def ask(self, setting):
        yield {"begun": {"first": 1}}
        if self.name == "hangs":
            time.sleep(60)
        if self.name == "dies":
            os.abort()
        if self.name == "raises":
            raise ValueError("no such layer")
        if self.name == "lacks":
            raise NotInstalledError("torchattacks")
        yield {"begun": {"second": 2}}

if __name__ == "__main__":
    setting = Setting("cpu", 1, 4, True)
    names = ("hangs", "dies", "raises", "lacks", "works")
    print(json.dumps({n: dataclasses.asdict(put(Faulty(n, "", 1), setting)) for n in names}))
"""


def environment():
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    }


def test_a_question_that_fails_leaves_the_others_alone_and_keeps_its_figures(tmp_path):
    script = tmp_path / "faulty.py"
    script.write_text(FAULTY)
    done = subprocess.run(
        [sys.executable, script], env=environment(), capture_output=True, text=True, check=True
    )
    answers = json.loads(done.stdout)
    assert {name: answer["status"] for name, answer in answers.items()} == {
        "hangs": "timed out",
        "dies": "failed",
        "raises": "failed",
        "lacks": "not installed",
        "works": "ok",
    }
    assert answers["hangs"]["seconds"] < 30
    assert "-6" in answers["dies"]["reason"]
    assert answers["raises"]["reason"] == "ValueError: no such layer"
    assert answers["lacks"]["reason"] == "torchattacks"
    assert answers["works"]["figures"] == {"begun": {"first": 1, "second": 2}}
    assert all(answer["figures"]["begun"]["first"] == 1 for answer in answers.values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_cuda_it_says_so_and_exits_with_2(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.gpu", "--out", tmp_path / "gpu.json"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no CUDA device here" in done.stderr
    assert not (tmp_path / "gpu.json").exists()


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate_performance.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_made_from_the_committed_answers():
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate_performance.py", "--check"], check=False
    )
    assert done.returncode == 0


def test_the_cost_is_what_the_formula_says():
    module = generator()
    record = {
        "device": {"type": "cuda", "name": "a card"},
        "questions": {
            "forward": {
                "figures": {"timm/a": {module.RUN_MODE: 1000.0}, "timm/b": {module.RUN_MODE: 500.0}}
            },
            "lock": {
                "figures": {
                    "stages": {
                        "decode": {"times a condition": 0.5, "ms of a core": 4.0},
                        "fit": {"times a condition": 1.0, "ms of a core": 3.0},
                    }
                }
            },
        },
    }
    text = "\n".join(module.cost_section(record))
    scores = 2_600_000 * 13
    device = scores * (1 / 1000 + 1 / 500) / 3600
    core = scores * 0.005 / 3600
    assert f"| 1 GPU, 16 cores | {device:,.1f} | {max(device, core / 16):,.1f} | GPUs |" in text
    assert f"Core hours: {core:,.0f}." in text
