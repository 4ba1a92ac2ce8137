"""The gate from end to end: real runs of toy detectors, exit codes, and every document it writes."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import textwrap
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from markdown_it import MarkdownIt
from PIL import Image

import bench
from bench.protocol.suite import Suite
from bench.store.rundir import RunDir
from bench.store.seal import sealed

SUITE = Suite(name="gated", slices=["generator"], conditions=["clean", "jpeg(quality=50)"])
DETECTORS = '''
import torch
from detectors import Detector, DetectorCard, InputSpec

class Net(Detector):
    card = DetectorCard(name="net", arch="toy", fake_logit="z", input=InputSpec(size=32, fit="crop"))

    def logits(self, batch):
        means = batch.mean(dim=(2, 3))
        return 40 * (means[:, 0] - means[:, 2]) + 0 * means[:, 1]

class Worse(Net):
    """The same with noise that depends on the image: most of the signal is gone."""
    def logits(self, batch):
        good = super().logits(batch)
        return 0.1 * good + torch.sin(1e5 * batch.mean(dim=(1, 2, 3)))

class Other(Net):
    """Sees every second row and column: scores of its own, nearly as good."""
    def logits(self, batch):
        means = batch[:, :, ::2, ::2].mean(dim=(2, 3))
        return 39 * (means[:, 0] - means[:, 2])
'''


def picture(seed, *, fake):
    """A noisy picture; fakes are redder than reals by some 12 levels."""
    rng = np.random.default_rng([seed, fake])
    image = rng.normal(110, 25, (40, 48, 3)) + rng.normal(0, 3, 3)
    image[..., 0] += 6 if fake else -6
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Runs of the three detectors over two generators with 60 + 60 images each."""
    root = tmp_path_factory.mktemp("gate")
    for g, name in enumerate(("alpha", "beta")):
        for i in range(60):
            for kind in ("real", "fake"):
                path = root / "images" / name / kind / f"{i:02d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture(1000 * g + i, fake=kind == "fake")).save(path)
    file = root / "net.py"
    file.write_text(textwrap.dedent(DETECTORS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(root / "cache"))
        for name in ("Net", "Worse", "Other"):
            bench.run(f"{file}:{name}", suite=SUITE, data=root / "images", out=root / name)
        bench.run(f"{file}:Net", suite=SUITE, data=root / "images", out=root / "limited", limit=100)
    return root


def test_a_degraded_detector_exits_10_and_names_its_cells(cli, world):
    code, out, err = cli("gate", world / "Worse", "--baseline", world / "Net", "--json")
    assert code == 10
    found = json.loads(out)
    failed = {(v["generator"], v["condition"]) for v in found["verdicts"] if v["verdict"] == "FAIL"}
    assert {("alpha", "clean"), ("beta", "clean"), ("(macro mean)", "")} <= failed
    assert "gate: FAIL" in err


@pytest.mark.parametrize("mode", ["regression", "non-inferior"])
def test_the_same_detector_passes(cli, world, mode):
    code, out, _ = cli("gate", world / "Net", "-b", world / "Net", "--mode", mode)
    assert code == 0
    assert out.startswith("# Gate: PASS")
    assert "every score is the same" in out


def test_another_detector_as_good_is_inconclusive_where_all_must_pass(cli, world):
    code, out, _ = cli(
        "gate", world / "Other", "-b", world / "Net", "--mode", "non-inferior", "--json"
    )
    assert code == 11
    open_ones = [v for v in json.loads(out)["verdicts"] if v["verdict"] == "INCONCLUSIVE"]
    assert open_ones
    assert all(v["needed"] > v["n_real"] + v["n_fake"] for v in open_ones)
    assert "images would decide" in open_ones[0]["reason"]


def test_too_few_images_are_11_even_for_a_disaster(cli, world, tmp_path):
    rules = tmp_path / "few.toml"
    rules.write_text("min_images = 500\n")
    code, out, _ = cli("gate", world / "Worse", "-b", world / "Net", "--rules", rules)
    assert code == 11
    assert "too few images: 60 real and 60 fake" in out


def test_a_gate_that_would_miss_a_large_drop_lets_nothing_through(cli, world, tmp_path):
    (tmp_path / "gate.toml").write_text("blind = 0.001\n")
    assert cli("gate", world / "Other", "-b", world / "Net")[0] == 11


def test_no_baseline_is_11(cli, world, tmp_path, monkeypatch):
    code, _, err = cli("gate", world / "Net", "-b", tmp_path / "baseline.json")
    assert code == 11
    assert "no baseline" in err
    assert "::error" not in err
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    err = cli("gate", world / "Net", "-b", tmp_path / "base\nline")[2]
    assert [
        line for line in err.splitlines() if line.startswith("::error title=bench gate::no bas")
    ]


def test_interrupted_is_not_one(cli, world, monkeypatch):
    from bench.results import gate as gating

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(gating, "gate", stop)
    assert cli("gate", world / "Net", "-b", world / "Net")[0] == 130


def test_a_deleted_shard_is_12(cli, world, tmp_path):
    shutil.copytree(world / "Net", tmp_path / "holed")
    run = RunDir(tmp_path / "holed")
    unit = run.units().to_pylist()[0]
    from bench.store.shards import Store

    Store(run.store(run.spec())).path(unit["fingerprint"]).unlink()
    for sides in ((tmp_path / "holed", world / "Net"), (world / "Net", tmp_path / "holed")):
        code, out, _ = cli("gate", sides[0], "-b", sides[1])
        assert code == 12
        assert "INCOMPLETE" in out
        assert "unscored" in out


def test_a_limited_run_is_never_a_pass(cli, world):
    code, out, _ = cli("gate", world / "limited", "-b", world / "limited")
    assert code == 12
    assert "limited run (100 images): never a pass" in out
    code, _, err = cli("gate", world / "limited", "-b", world / "Net")
    assert code == 2
    assert "other images: 140 only in" in err


def test_a_changed_suite_or_label_is_refused(cli, world, tmp_path):
    copy = tmp_path / "changed"
    shutil.copytree(world / "Net", copy)
    spec = json.loads((copy / "run.json").read_text())
    spec["conditions"][1]["resolved"] = "jpeg(quality=51)"
    (copy / "run.json").write_text(json.dumps(sealed(spec)))
    code, _, err = cli("gate", copy, "-b", world / "Net")
    assert code == 2
    assert "another protocol, conditions" in err
    assert "quality=51" in err


def test_labels_and_contents_must_agree(world):
    from dataclasses import replace

    from bench.errors import BenchError
    from bench.results.pairing import load_scores, pair

    base = load_scores(world / "Net")
    for column, value, what in (
        ("label", 0, "another label"),
        ("sha256", "0" * 64, "another content"),
    ):
        samples = base.samples.copy()
        row = samples.index[samples["label"] == 1][0]
        samples.loc[row, column] = value
        with pytest.raises(BenchError, match=what):
            pair(base, replace(base, samples=samples))


def test_the_order_of_images_does_not_matter(world):
    from dataclasses import replace

    from bench.results.pairing import load_scores, pair

    base = load_scores(world / "Net")
    order = np.random.default_rng(0).permutation(len(base.samples))
    shuffled = replace(
        base,
        samples=base.samples.iloc[order].reset_index(drop=True),
        columns=tuple(replace(c, logits=c.logits[order]) for c in base.columns),
    )
    assert all(cell.identical for cell in pair(base, shuffled).cells)


def test_floors_are_judged_on_the_lower_bound(cli, world):
    gate = ("gate", world / "Net", "-b", world / "Net", "--json")
    code, out, _ = cli(*gate, "--min", "auc=0.5")
    assert code == 0
    cells = json.loads(out)["floors"]
    assert {c["condition"] for c in cells} == {"clean"}
    between = (cells[0]["lower"] + cells[0]["candidate"]) / 2
    assert cells[0]["lower"] < cells[0]["candidate"]
    assert cli(*gate, "--min", f"auc={between}")[0] == 11
    assert cli("gate", world / "Worse", "-b", world / "Worse", "--min", "auc=0.97")[0] == 10
    assert cli(*gate, "--min", "auc@*=0.5")[0] == 0


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["--min", "auc"], 2, "METRIC=VALUE"),
        (["--min", "uac=0.5"], 2, "did you mean 'auc'"),
        (["--min", "auc@pgd=0.5"], 5, "no gated cell"),
        (["--metric", "aucc"], 2, "did you mean 'auc'"),
        (["--mode", "strict"], 2, "mode"),
        (["--margin", "7"], 2, "margin"),
        (["--rules", "nowhere.toml"], 2, "no rules at"),
        (["--format", "xml"], 2, "choose md, json or junit"),
    ],
)
def test_wrong_usage_says_the_way_out(cli, world, args, code, says):
    found, _, err = cli("gate", world / "Net", "-b", world / "Net", *args)
    assert found == code
    assert says in err


def test_primary_cells_are_all_that_count(cli, world, tmp_path):
    rules = tmp_path / "g.toml"
    rules.write_text('metric = "f1"\n[[primary]]\ncondition = "clean"\ngenerator = "beta"\n')
    code, out, _ = cli("gate", world / "Worse", "-b", world / "Net", "--rules", rules, "--json")
    names = [(v["generator"], v["condition"]) for v in json.loads(out)["verdicts"]]
    assert names == [("beta", "clean"), ("(macro mean)", "")]
    assert code == 10
    rules.write_text('[[primary]]\ncondition = "blur(sigma=1)"\n')
    code, _, err = cli("gate", world / "Net", "-b", world / "Net", "--rules", rules)
    assert (code, "jpeg(quality=50" in err) == (5, True)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1", "tpr_at_5_fpr"])
def test_other_metrics_see_the_degraded_detector_too(cli, world, metric):
    gate = ("gate", world / "Worse", "-b", world / "Net", "--metric", metric)
    assert cli(*gate)[0] == 10
    assert cli("gate", world / "Net", "-b", world / "Net", "--metric", metric)[0] == 0


def test_a_committed_baseline_stands_for_its_run(cli, world, tmp_path, monkeypatch):
    update = ("baseline", "update", world / "Net", "--to", tmp_path / "kept", "--reason", "first")
    monkeypatch.setenv("CI", "true")
    code, _, err = cli(*update)
    assert code == 2
    assert "not moved in CI" in err
    assert not (tmp_path / "kept").exists()
    monkeypatch.delenv("CI")
    assert cli(*update)[0] == 0
    kept = tmp_path / "kept" / "baseline.json"
    document = json.loads(kept.read_text())
    assert document["reason"] == "first"
    assert document["schema_version"] == 1
    assert document["cells"][0]["n_real"] == 60
    for base in (kept, kept.parent):
        assert cli("gate", world / "Net", "-b", base, "--mode", "non-inferior")[0] == 0
        assert cli("gate", world / "Worse", "-b", base)[0] == 10
    (scores,) = kept.parent.glob("baseline-scores-*.parquet")
    scores.write_bytes(scores.read_bytes()[:-1] + b"x")
    code, _, err = cli("gate", world / "Net", "-b", kept)
    assert code == 2
    assert "restore both" in err
    kept.write_text("{}")
    assert cli("gate", world / "Net", "-b", kept)[0] == 2


def test_a_baseline_is_made_from_a_whole_run_only(cli, world):
    code, _, err = cli("baseline", "update", world / "limited", "--reason", "why")
    assert code == 12
    assert "limited run" in err
    assert cli("baseline", "update", world / "Net", "--reason", " ")[0] == 2


def test_documents_parse_and_the_step_summary_renders(cli, world, tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    code, out, err = cli("gate", world / "Worse", "-b", world / "Net", "-o", tmp_path / "docs")
    assert code == 10
    root = ET.parse(tmp_path / "docs" / "gate.junit.xml").getroot()
    suite = root.find("testsuite")
    assert len(suite.findall("testcase")) == int(suite.get("tests")) == 5
    assert len(suite.findall("testcase/failure")) == int(suite.get("failures")) >= 3
    assert summary.read_text() == out == (tmp_path / "docs" / "gate.md").read_text()
    html = MarkdownIt("commonmark").enable("table").render(summary.read_text())
    assert html.count("<tr>") == 1 + 5
    errors = [line for line in err.splitlines() if line.startswith("::error")]
    assert 3 <= len(errors) <= 10
    assert json.loads((tmp_path / "docs" / "gate.json").read_text())["decision"] == "FAIL"


def test_a_dropped_detector_is_a_hole_not_a_pass(cli, world, tmp_path):
    file = world / "net.py"
    bench.run(
        [f"{file}:Net", f"{file}:Other"], suite=SUITE, data=world / "images", out=tmp_path / "two"
    )
    assert cli("gate", tmp_path / "two", "-b", world / "Net")[0] == 0
    code, out, _ = cli("gate", world / "Net", "-b", tmp_path / "two")
    assert code == 12
    assert "not run" in out


def test_compare_pairs_detectors_of_several_runs(cli, world):
    code, out, _ = cli(
        "compare", world / "Net", world / "Other", world / "Worse", "--format", "csv"
    )
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 2 * (4 + 2)
    by = {(r["detector"], r["generator"], r["condition"]): r for r in rows}
    worse = by["Worse", "(macro mean)", "clean"]
    assert float(worse["difference_hi"]) < 0
    assert float(worse["p"]) <= float(worse["p_bh"]) <= float(worse["p_holm"]) < 0.05
    assert float(by["Other", "(macro mean)", "clean"]["p_holm"]) > 0.05
    code, out, _ = cli("compare", world / "Net", world / "Net")
    assert code == 0
    assert "Net (" in out
    code, _, err = cli("compare", world / "Net")
    assert (code, "one detector only" in err) == (5, True)
    assert cli("compare", world / "Net", world / "Other", "--metric", "nothing")[0] == 2


def test_export_writes_every_format(cli, world, tmp_path):
    for form, start in (
        ("latex", "% suite"),
        ("csv", "detector,"),
        ("md", "# Leaderboard"),
        ("json", "{"),
    ):
        code, out, err = cli("export", world / "Net", "--format", form)
        assert code == 0, err
        assert out.startswith(start)
    code, out, _ = cli("export", world / "Net", "--format", "hf", "--dataset-id", "me/set")
    assert code == 0
    assert "id: me/set" in out
    assert cli("export", world / "Net", "-f", "hf", "-o", tmp_path / "hub")[0] == 0
    assert (tmp_path / "hub" / ".eval_results" / "detector-bench.yaml").is_file()
    assert (tmp_path / "hub" / "model-index.yml").is_file()
    assert cli("export", world / "Net", "--format", "pdf")[0] == 2
    assert cli("export", world / "Net", "--format", "latex", "--metric", "beauty")[0] == 2
    assert cli("export", world / "Net", "--format", "hf", "-d", "Nets")[0] == 2


def test_a_killed_update_leaves_the_old_baseline_or_the_new(cli, world, tmp_path):
    """Killed before any of its renames or removals, in a process of its own."""
    folder = tmp_path / "kept"
    assert cli("baseline", "update", world / "Net", "--to", folder, "--reason", "first")[0] == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code = (
        "import os, sys, pathlib\n"
        "left = int(sys.argv[1])\n"
        "def fatal(method):\n"
        "    def call(*args, **options):\n"
        "        global left\n"
        "        if left == 0: os._exit(9)\n"
        "        left -= 1\n"
        "        return method(*args, **options)\n"
        "    return call\n"
        "for name in ('replace', 'unlink'):\n"
        "    setattr(pathlib.Path, name, fatal(getattr(pathlib.Path, name)))\n"
        "from bench.results.baseline import update\n"
        "update(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), 'second')\n"
    )
    reasons = set()
    for moment in range(4):
        for path in folder.iterdir():
            path.unlink()
        for name, content in before.items():
            (folder / name).write_bytes(content)
        arguments = [str(moment), str(world / "Worse"), str(folder)]
        done = subprocess.run([sys.executable, "-c", code, *arguments], check=False)
        reasons.add((done.returncode, json.loads((folder / "baseline.json").read_text())["reason"]))
        assert cli("gate", world / "Net", "-b", folder)[0] in (0, 10, 11)
    assert reasons == {(9, "first"), (9, "second"), (0, "second")}
    assert len(list(folder.iterdir())) == 2


def run_of(world, root, name="Net"):
    detector, out = f"{world / 'net.py'}:{name}", root.parent / f"{root.name}-{name}"
    return bench.run(detector, suite=SUITE, data=root, out=out)


@pytest.fixture
def grown(world, tmp_path):
    """The set of the world and a third generator, whose reals are its own."""
    root = tmp_path / "grown"
    shutil.copytree(world / "images", root)
    for i in range(60):
        for kind in ("real", "fake"):
            path = root / "gamma" / kind / f"{i:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(9000 + i, fake=kind == "fake")).save(path)
    return root


def test_a_new_generator_is_listed_and_the_others_are_judged(cli, world, grown, tmp_path):
    candidate = run_of(world, grown).folder
    code, out, err = cli("gate", candidate, "-b", world / "Net", "--json")
    assert code == 0, err
    alone = json.loads(cli("gate", world / "Net", "-b", world / "Net", "--json")[1])
    document = json.loads(out)
    facts = ("generator", "condition", "verdict", "n_real", "n_fake", "candidate", "baseline")
    rows = [[[v[key] for key in facts] for v in doc["verdicts"]] for doc in (document, alone)]
    assert rows[0] == rows[1]
    assert any("gamma" in note and "new" in note for note in document["notes"])
    assert "{" not in " ".join(document["notes"])
    worse = run_of(world, grown, "Worse").folder
    assert cli("gate", worse, "-b", world / "Net")[0] == 10
    (tmp_path / "rules.toml").write_text('new = "block"\n')
    code, out, _ = cli("gate", candidate, "-b", world / "Net", "--rules", "rules.toml", "--json")
    assert code == 11
    blocked = [v for v in json.loads(out)["verdicts"] if v["generator"] == "gamma"]
    assert [v["verdict"] for v in blocked] == ["INCONCLUSIVE"] * 2


def test_a_gone_generator_is_a_hole_unless_the_rules_say_otherwise(cli, world, grown, tmp_path):
    baseline = run_of(world, grown).folder
    code, out, _ = cli("gate", world / "Net", "-b", baseline)
    assert code == 12
    assert "gamma" in out
    (tmp_path / "rules.toml").write_text('gone = "note"\n')
    code, out, _ = cli("gate", world / "Net", "-b", baseline, "--rules", "rules.toml")
    assert code == 0
    assert "gone in the data, not gated: gamma" in out
    (tmp_path / "rules.toml").write_text('[[primary]]\ngenerator = "alpha"\n')
    assert cli("gate", world / "Net", "-b", baseline, "--rules", "rules.toml")[0] == 0


def test_sets_without_a_generator_in_common_are_refused(cli, world, tmp_path):
    root = tmp_path / "others"
    for kind in ("real", "fake"):
        shutil.copytree(world / "images" / "alpha" / kind, root / "delta" / kind)
    code, _, err = cli("gate", run_of(world, root).folder, "-b", world / "Net")
    assert code == 2
    assert "other images" in err


def test_fewer_images_of_a_common_generator_are_still_other_images(cli, world, grown):
    (grown / "alpha" / "fake" / "00.png").unlink()
    code, _, err = cli("gate", run_of(world, grown).folder, "-b", world / "Net")
    assert code == 2
    assert "other images: 1 only in" in err


def test_compare_lists_what_only_one_set_holds(cli, world, grown):
    code, out, err = cli("compare", world / "Net", run_of(world, grown, "Worse").folder)
    assert code == 12
    assert "alpha" in out
    assert "gamma" in err


def table_set(tmp_path, name, rows):
    """A data set as a table of (generator, domain, label, number of the first image, images)."""
    root = tmp_path / name
    root.mkdir()
    lines = ["path,label,generator,domain"]
    for generator, domain, label, first, count in rows:
        for i in range(first, first + count):
            file = f"{generator or 'photo'}-{domain}-{label}-{i}.png"
            Image.fromarray(picture(i, fake=label == "fake")).save(root / file)
            lines.append(f"{file},{label},{generator},{domain}")
    (root / "t.csv").write_text("\n".join(lines) + "\n")
    return root / "t.csv"


def test_a_new_domain_is_listed_and_the_others_are_judged(cli, world, tmp_path):
    indoor = [("", "indoor", "real", 0, 40), ("sd", "indoor", "fake", 100, 40)]
    outdoor = [("", "outdoor", "real", 200, 30), ("sd", "outdoor", "fake", 300, 30)]
    runs = []
    for name, rows in (("one", indoor), ("two", [*indoor, *outdoor])):
        table = table_set(tmp_path, name, rows)
        suite = SUITE.model_copy(update={"slices": ["domain", "generator*domain"]})
        runs.append(
            bench.run(
                f"{world / 'net.py'}:Net", suite=suite, data=table, out=tmp_path / f"r{name}"
            ).folder
        )
    code, out, err = cli("gate", runs[1], "-b", runs[0], "--json")
    assert code == 0, err
    document = json.loads(out)
    assert {v["domain"] for v in document["verdicts"] if not v["macro"]} == {"indoor"}
    assert any("outdoor" in note for note in document["notes"])
    assert cli("gate", runs[0], "-b", runs[1])[0] == 12
