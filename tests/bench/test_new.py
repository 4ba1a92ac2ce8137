"""``bench new``: what it writes runs, and it writes nowhere it must not."""

from __future__ import annotations

import json
import runpy
import sys

import pytest
import torch

import bench
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve
from bench.protocol.suite import load_suite
from bench.skeletons.skeleton import class_name


def test_a_new_detector_runs_says_that_it_is_untrained_and_takes_weights(cli, tree, tmp_path):
    code, out, err = cli("new", "detector", "my_net")
    assert (code, out) == (0, "my_net.py\n")
    assert "bench run --detector my_net.py:MyNet --suite smoke" in err
    run = bench.run("my_net.py:MyNet", suite=load_suite("smoke"), data=tree, out=tmp_path / "out")
    assert set(run.board.rows["status"]) == {"ok"}
    text = run.board.to_markdown()
    assert "MyNet has random weights" in text
    assert "not deterministic" not in text
    assert "name the files behind it" not in text
    torch.manual_seed(1)
    network = runpy.run_path("my_net.py")["ResidualNetwork"]()
    torch.save({"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, "w.pth")
    trained = resolve(DetectorRequest("my_net.py:MyNet", tmp_path / "w.pth"))
    assert trained.card.name == "my_net"
    batch = torch.rand(2, 3, 64, 64)
    assert torch.equal(trained.logits(batch), network(batch)[:, 0])
    torch.save({"head.weight": torch.ones(1)}, "other.pth")
    with pytest.raises(BenchError, match=r"head\.weight has shape"):
        resolve(DetectorRequest("my_net.py:MyNet", tmp_path / "other.pth"))


def test_a_file_that_is_there_is_left_alone(cli, tmp_path):
    (tmp_path / "mine.py").write_text("precious")
    code, _, err = cli("new", "detector", "mine")
    assert code == 2
    assert "is there already" in err
    assert (tmp_path / "mine.py").read_text() == "precious"
    (tmp_path / "link.py").symlink_to(tmp_path / "elsewhere.py")
    assert cli("new", "detector", "link")[0] == 2
    assert not (tmp_path / "elsewhere.py").exists()


def test_another_folder_and_json(cli, tmp_path):
    code, out, _ = cli("new", "detector", "Mine", "--out", "a b", "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["class"] == "Mine"
    assert facts["runs"].startswith("bench run --detector 'a b/Mine.py:Mine' ")
    assert resolve(DetectorRequest(str(tmp_path / "a b" / "Mine.py:Mine"))).card.arch == "Mine"


@pytest.mark.parametrize(
    "name",
    [
        "", "1net", "my-net", "my net", "../up", "a/b", "a.b", "/etc/x", "x\n", "x\0", "nét", "_x", "$name",
        "class", "None", "true", "match", "torch", "json", "detectors", "bench", "numpy", "a" * 300,
    ],
)  # fmt: skip
def test_hostile_and_hiding_names_are_refused(cli, tmp_path, name):
    before = set(tmp_path.rglob("*"))
    code, _, err = cli("new", "detector", "--", name)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert set(tmp_path.rglob("*")) == before


def test_every_module_of_python_is_a_name_that_would_be_hidden():
    for name in sorted(sys.stdlib_module_names)[::20]:
        with pytest.raises(BenchError):
            class_name(name)


def test_an_unknown_kind_is_refused(cli):
    code, _, err = cli("new", "sculpture", "mine")
    assert code == 2
    assert "detector" in err
