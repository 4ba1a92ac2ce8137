"""``bench audit``, and the short audit before a run: what they say, and when they refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.audit.conftest import as_png


def confounded(picture, folder, i, kind, generator):
    """Fakes are framed PNGs of 96 px, reals JPEGs of 120."""
    del generator
    if kind == "fake":
        picture[:2], picture[-2:], picture[:, :2], picture[:, -2:] = 0, 0, 0, 0
        Image.fromarray(picture).save(folder / f"{i:03d}.png")
    else:
        Image.fromarray(picture).resize((120, 120)).save(folder / f"{i:03d}.jpg", quality=90)


def suite(tmp_path, **more):
    lines = ['name = "s"', 'slices = ["generator"]', 'conditions = ["clean"]', 'split = ""']
    lines += [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    path = tmp_path / "s.toml"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def run(cli, toy, tmp_path):
    def call(root, *more, **of_suite):
        path = suite(tmp_path, **of_suite)
        return cli("run", "-d", toy(), "-s", path, "--data", root, "-o", tmp_path / "run", *more)

    return call


def board(tmp_path):
    return (tmp_path / "run" / "leaderboard.md").read_text()


def test_a_built_confound_is_named_and_equalising_takes_it_away(cli, make):
    root = make(confounded)
    code, out, _ = cli("audit", root, "--json")
    document = json.loads(out)
    assert code == 0
    titles = [finding["caution"]["title"] for finding in document["findings"]]
    assert "metadata alone" in titles[0]
    for fact in ("format", "size", "border"):
        assert any(fact in title for title in titles), titles
    aucs = {row["name"]: row["auc"]["value"] for row in document["shortcuts"]}
    assert aucs["metadata"] > 0.99
    assert aucs["border"] > 0.99
    _, out, _ = cli("audit", root, "--json", "--equalise", "resize(size=64)+jpeg(quality=90)")
    after = {row["name"]: row["auc"]["value"] for row in json.loads(out)["shortcuts"]}
    assert abs(after["metadata"] - 0.5) < 0.1


def test_an_honest_set_has_no_warning(cli, make, tmp_path):
    code, out, _ = cli("audit", make(as_png), "--strict", "-o", tmp_path / "audit.md")
    assert code == 0
    assert "Nothing was found that makes numbers unusable." in out
    assert (tmp_path / "audit.md").read_text() == out


def test_strict_exits_with_2_and_every_format_is_written(cli, make, tmp_path):
    root = make(confounded, n=20)
    code, out, err = cli("audit", root, "--strict", "-o", tmp_path / "audit.json")
    assert code == 2
    assert "metadata alone tells real from fake" in err
    assert out.index("WARNING") < out.index("## Shortcuts")
    assert json.loads((tmp_path / "audit.json").read_text())["warnings"] >= 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--out", "audit.txt"), "ends in .md or .json"),
        (("--limit", "1"), "at least 2"),
        (("--workers", "0"), "at least 1"),
        (("--equalise", "pgd(eps=8/255)"), "not of attacks"),
        (("--equalise", "clean"), "changes nothing"),
        (("--equalise", "resize(size=64,back=true)"), "leave it out"),
        (("--equalise", "jpg(quality=90)"), "did you mean"),
        (("--split", "nowhere"), "pass"),
    ],
)
def test_what_cannot_be_is_one_sentence(cli, make, arguments, says):
    code, _, err = cli("audit", make(as_png, n=2), *arguments)
    if arguments[0] != "--split":  # a set without splits is taken whole
        assert code == 2
        assert says in err


def test_a_limit_audits_some_of_every_kind(cli, make):
    _, out, _ = cli("audit", make(as_png), "--limit", "40", "--json")
    document = json.loads(out)
    assert document["audited"] == 40
    images = {row["name"]: row["images"] for row in document["summaries"] if row["by"] == "class"}
    assert images == {"fake": 20, "real": 20}


def test_every_board_says_what_the_files_give_away(run, make, tmp_path):
    code, out, err = run(make(confounded))
    assert code == 0
    warning, headline = out.index("metadata alone tells real from fake"), out.index("| Detector")
    assert warning < headline < out.index("shortcut: metadata")
    assert "WARNING: metadata alone" in err
    shortcuts = json.loads((tmp_path / "run" / "run.json").read_text())["audit"]["shortcuts"]
    assert {row["name"]: row["auc"] > 0.99 for row in shortcuts}["metadata"]
    rows = (tmp_path / "run" / "leaderboard.csv").read_text()
    assert "shortcut: metadata" in rows


def test_an_honest_board_has_the_row_and_no_warning(run, make):
    _, out, _ = run(make(as_png))
    assert "shortcut: metadata" in out
    assert "alone tells real from fake" not in out


def test_without_an_audit_nothing_is_said(run, make):
    _, out, _ = run(make(confounded, n=20), "--no-audit")
    assert "shortcut" not in out


def test_a_suite_that_requires_an_audit_refuses_a_confounded_set(run, make, tmp_path):
    root = make(confounded, n=20)
    code, _, err = run(root, requires_audit=True)
    assert code == 2
    assert "confounded" in err
    assert "metadata alone" in err
    assert not (tmp_path / "run").exists()
    code, _, err = run(root, "--no-audit", requires_audit=True)
    assert code == 2
    assert "--no-audit" in err
    code, _, _ = run(make(as_png, n=20, name="honest"), requires_audit=True)
    assert code == 0


def test_a_required_audit_sees_borders_and_conflicting_labels(run, make):
    def framed(picture, folder, i, kind, generator):
        if kind == "fake":
            picture[:2], picture[-2:], picture[:, :2], picture[:, -2:] = 0, 0, 0, 0
        as_png(picture, folder, i, kind, generator)

    code, _, err = run(make(framed, name="framed"), requires_audit=True)
    assert (code, "border" in err) == (2, True)
    root = make(as_png, name="conflict")
    fake, real = (root / "alpha" / kind / "000.png" for kind in ("fake", "real"))
    fake.write_bytes(real.read_bytes())
    code, _, err = run(root, requires_audit=True)
    assert (code, "both classes" in err) == (2, True)


def test_equalising_shows_both_and_the_paired_difference(run, make, tmp_path):
    code, out, _ = run(make(confounded), "--equalise", "resize(size=64)+jpeg(quality=90)")
    assert code == 0
    assert "## Equalised: AUC, raw and equalised" in out
    assert "shortcut: metadata, equalised" in out
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    spelled = [condition["spelled"] for condition in document["conditions"]]
    assert spelled == ["clean", "raw"]
    resolved = document["conditions"][0]["resolved"]
    assert resolved.startswith("resize(")
    assert "back=false" in resolved
    aucs = {row["name"]: row["auc"] for row in document["audit"]["shortcuts"]}
    assert aucs["metadata"] > 0.99
    assert abs(aucs["metadata, equalised"] - 0.5) < 0.1


def test_copies_are_dropped_for_every_detector_and_counted(run, make, tmp_path):
    root = make(as_png)
    folder = root / "alpha" / "fake"
    for i in range(3):
        (folder / f"copy{i}.png").write_bytes((folder / f"{i:03d}.png").read_bytes())
    code, out, _ = run(root, "--drop-duplicates")
    assert code == 0
    assert "COPIES DROPPED: 3 of 99 images (0 real; 3 fake (alpha 3))" in out.replace("\\", "")
    assert out.index("COPIES DROPPED") < out.index("| Detector")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["n_images"] == 96
    code, _, _ = run(root, "--drop-duplicates")  # the same request goes on in its folder
    assert code == 0
    code, _, err = run(root)
    assert code == 2
    assert "drop duplicates" in err


def test_a_broken_cache_entry_is_made_anew(run, make, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("BENCH_CACHE", str(cache))
    root = make(as_png, n=8)
    assert run(root)[0] == 0
    records = list((cache / "audits").glob("*.json"))
    assert records
    records[0].write_text("{")
    assert run(root, "--force")[0] == 0
    assert json.loads(records[0].read_text())["images"] == 32


def test_the_record_of_an_audit_is_finite_json(run, make, tmp_path):
    code, _, _ = run(make(as_png, n=2), "--force")
    assert code in (0, 12)
    text = (tmp_path / "run" / "run.json").read_text()
    assert "NaN" not in text
    assert np.isfinite(len(text))


def test_a_table_whose_labels_are_numbers_is_audited_as_it_is_run(cli, make, tmp_path):
    root = make(as_png, n=6)
    rows = ["target,path,model"]
    for path in sorted(root.rglob("*.png")):
        fake = path.parent.name == "fake"
        rows.append(f"{int(fake)},{path},{path.parent.parent.name if fake else ''}")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(rows))
    assert cli("audit", table)[0] == 2
    stated = ("--columns", "label=target,fake=1,generator=model")
    code, out, _ = cli("audit", table, *stated, "--against", table, "--json")
    document = json.loads(out)
    assert code == 0
    assert set(document["pairing"]) == {"alpha", "beta"}
    assert document["findings"][0]["caution"]["title"].startswith("WARNING: 24 images are also in")


def test_reals_that_lie_elsewhere_are_audited_with_the_fakes(cli, make, tmp_path):
    root = make(as_png, n=6)
    for generator in ("alpha", "beta"):
        (root / generator / "real").rename(tmp_path / f"photos-{generator}")
    reals = ("--reals", tmp_path / "photos-alpha", "--reals", tmp_path / "photos-beta")
    _, out, _ = cli("audit", root, *reals, "--json")
    images = {r["name"]: r["images"] for r in json.loads(out)["summaries"] if r["by"] == "class"}
    assert images == {"fake": 12, "real": 12}


def test_an_equalised_board_says_which_of_its_numbers_a_warning_is_about(run, make, tmp_path):
    _, out, _ = run(make(confounded), "--equalise", "resize(size=64)+jpeg(quality=90)")
    headline = out.index("| Detector")
    for fact in ("file format", "image size", "metadata", "bytes per pixel"):
        assert out.index(f"in the images as they lie, {fact} alone tells") < headline
    assert "WARNING: metadata" not in out
    rows = (tmp_path / "run" / "leaderboard.csv").read_text()
    assert "shortcut: metadata (raw)" in rows


def test_what_the_chain_leaves_standing_stands_above_an_equalised_board(run, make):
    def wide_fakes(picture, folder, i, kind, generator):
        del generator
        cut = picture[: 96 if kind == "real" else 48]
        Image.fromarray(cut).save(folder / f"{i:03d}.png")

    root = make(wide_fakes)
    _, out, err = run(root, "--equalise", "resize(size=48)")
    assert out.index("even equalised, metadata alone tells") < out.index(
        "in the images as they lie"
    )
    assert "even equalised, metadata" in err
    _, out, _ = run(root, "--force", "--equalise", "resize(size=48)+crop(size=48)")
    assert "even equalised, metadata" not in out
