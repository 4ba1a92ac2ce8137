"""Scores made elsewhere: joined strictly, stamped, and otherwise a run like any other."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

import bench
from bench.protocol.suite import Suite
from bench.runs.imported.exporting import export_scores
from bench.runs.imported.importing import import_scores
from bench.runs.imported.request import ImportRequest
from bench.support.progress import Silent

SUITE = Suite(
    name="mini",
    slices=["generator"],
    conditions=[
        "clean", "noise(sigma=0.1)", "pgd(eps=2/255,steps=3)",
        "square(eps=8/255,queries=4,stop=success)",
    ],
)  # fmt: skip
CLEAN = Suite(name="clean", slices=["generator"], conditions=["clean"])


@pytest.fixture
def scored(tree):
    """Every image's path, its label, and a logit that overlaps between the classes."""
    rng = np.random.default_rng(0)
    paths = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*.png"))
    labels = ["fake" in path for path in paths]
    return pd.DataFrame(
        {"path": paths, "label": labels, "logit": rng.normal(labels, 1).astype(np.float32)}
    )


def imported(tree, file, out="imported", **options):
    options.setdefault("suite", CLEAN)
    request = ImportRequest(file=file, data=str(tree), out=tree.parent / out, **options)
    return import_scores(request, Silent())


def cells(result):
    return list(csv.DictReader(io.StringIO(result.report.board.to_csv())))


def refused(tree, file, **options):
    with pytest.raises(bench.BenchError) as error:
        imported(tree, file, **options)
    assert not (tree.parent / "imported" / "run.json").exists()
    return str(error.value)


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def lines(*rows, head="path,logit"):
    return "\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n"


def test_an_exported_run_comes_back_as_the_same_board_but_for_the_stamp(tree, toy, tmp_path):
    (tree / "alpha" / "fake" / "00.png").write_bytes(b"no image")
    detectors = [toy(), toy("Rounds"), toy("Raises")]
    run = bench.run(detectors, suite=SUITE, data=tree, out=tmp_path / "out", batch_size=8)
    file = write(tmp_path / "scores.csv", export_scores(run.folder).text)
    back = imported(tree, file, suite=SUITE)
    first, second = (
        pd.read_csv(folder / "leaderboard.csv", keep_default_na=False)
        for folder in (run.folder, back.folder)
    )
    assert all("imported" in text.split("; ") for text in second["warning"])
    pd.testing.assert_frame_equal(
        first.drop(columns="warning"), second.drop(columns="warning"), check_exact=True
    )
    assert {"ok", "failed", "not attackable"} <= set(second["status"])
    assert not set(first["attack_success"]) <= {"n/a"}
    assert run.report.board.notes.bad_images == back.report.board.notes.bad_images == 1
    before, after = (
        (folder / "leaderboard.md").read_text().split("### Versions")[0].split("\n")
        for folder in (run.folder, back.folder)
    )
    assert [line for line in before if line not in after and line.startswith("|")] == []
    assert [line for line in after if line not in before and line.startswith("|")] == []
    again = export_scores(back.folder).text
    tables = [
        pd.read_csv(io.StringIO(text)).drop(columns="facts") for text in (again, file.read_text())
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert json.loads((back.folder / "run.json").read_text())["imported"]["file"] == "scores.csv"
    assert "imported" not in json.loads((run.folder / "run.json").read_text())
    stores = [
        {path.name for path in (folder / "store").rglob("*.parquet")}
        for folder in (run.folder, back.folder)
    ]
    assert not stores[0] & stores[1]


@pytest.mark.parametrize("policy", ["oracle", "fpr(0.2,split=val)"])
def test_thresholds_come_back_or_are_chosen_from_the_table(tree, toy, tmp_path, policy):
    table = "path,label,generator,split\n"
    for path in sorted(tree.rglob("*.png")):
        fake = path.parent.name == "fake"
        generator = path.parent.parent.name if fake else ""
        split = "val" if int(path.stem) % 2 else "test"
        table += f"{path.relative_to(tree)},{int(fake)},{generator},{split}\n"
    write(tree / "manifest.csv", table)
    suite = CLEAN.with_threshold(policy)
    run = bench.run(toy(), suite=suite, data=tree, out=tmp_path / "out")
    file = write(tmp_path / "scores.csv", export_scores(run.folder).text)
    back = imported(tree, file, suite=suite)
    want = pd.read_csv(run.folder / "leaderboard.csv").drop(columns="warning")
    got = pd.read_csv(back.folder / "leaderboard.csv").drop(columns="warning")
    pd.testing.assert_frame_equal(want, got)
    everything = bench.run(toy(), suite=CLEAN, split="", data=tree, out=tmp_path / "all")
    frame = pd.read_csv(io.StringIO(export_scores(everything.folder).text))
    frame.drop(columns="facts").to_csv(tmp_path / "bare.csv", index=False)
    if policy == "oracle":
        return
    chosen = imported(tree, tmp_path / "bare.csv", out="bare", suite=suite)
    assert set(chosen.report.board.rows["status"]) == {"ok"}
    reals = frame[(frame["label"] == 0) & (frame["path"].str[-6:-4].astype(int) % 2 == 1)]
    threshold = chosen.report.board.rows["threshold"].iloc[0]
    assert (reals["logit"] > threshold).mean() <= 0.2


def test_logits_probabilities_and_verdicts(tree, scored, tmp_path):
    logit = scored["logit"].to_numpy(np.float64)
    auc = [
        roc_auc_score(part["label"], part["logit"])
        for _, part in scored.groupby(scored["path"].str.split("/").str[0])
    ]
    frames = {
        "logit": scored[["path", "logit"]],
        "probability": pd.DataFrame(
            {"image_name": scored["path"], "pred": 1 / (1 + np.exp(-logit))}
        ),
        "own": scored[["path", "logit"]].set_axis(["filename", "MINE"], axis=1),
    }
    for name, frame in frames.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        detector = None if name == "own" else "mine"
        rows = cells(imported(tree, tmp_path / f"{name}.csv", out=name, detector=detector))
        assert [float(row["auc"]) for row in rows] == pytest.approx(auc, abs=1e-6)
        assert {row["detector"] for row in rows} == {detector or "MINE"}
    words = np.where(logit > 0, "fake", "real")
    for name, verdicts in {"words": words, "numbers": (logit > 0).astype(int)}.items():
        frame = pd.DataFrame({"filename": scored["path"], "label": verdicts})
        if name == "numbers":
            frame = frame.rename(columns={"label": "pred"})
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        result = imported(tree, tmp_path / f"{name}.csv", out=name, detector="mine")
        for row, (_, part) in zip(
            cells(result), scored.groupby(scored["path"].str.split("/").str[0]), strict=True
        ):
            assert row["auc"] == row["ap"] == row["tpr_at_5_fpr"] == "n/a"
            right = np.mean((part["logit"] > 0) == part["label"])
            assert float(row["accuracy"]) == pytest.approx(right, abs=1e-6)
            assert "verdicts only" in row["warning"]


def test_ties_and_clamped_probabilities_are_counted(tree, scored, tmp_path):
    p = np.round(1 / (1 + np.exp(-3 * scored["logit"].to_numpy(np.float64))), 1)
    pd.DataFrame({"path": scored["path"], "prob": p}).to_csv(tmp_path / "p.csv", index=False)
    result = imported(tree, tmp_path / "p.csv", detector="rounded")
    reals, fakes = p[~scored["label"]], p[scored["label"]]
    share = np.mean(reals[:, None] == fakes[None, :])
    stored = json.loads((result.folder / "run.json").read_text())["imported"]["scores"]["rounded"]
    assert stored["tied_pairs"] == pytest.approx(share)
    assert stored["n_clamped"] == np.isin(p, [0, 1]).sum() > 0
    warning = next(c for c in result.report.board.notes.warnings if c.code == "ties")
    assert f"{share:.1%}" in warning.title
    rows = cells(result)
    for row, (_, part) in zip(
        rows, scored.assign(p=p).groupby(scored["path"].str.split("/").str[0]), strict=True
    ):
        assert float(row["auc"]) == pytest.approx(roc_auc_score(part["label"], part["p"]), abs=1e-6)


def test_what_does_not_fit_is_listed_and_refused(tree, scored, tmp_path):
    rows = list(scored[["path", "logit"]].itertuples(index=False, name=None))
    file = tmp_path / "s.csv"

    def says(text, **options):
        return refused(tree, write(file, text), detector="mine", **options)

    missing = says(lines(*rows[2:]))
    assert "2 scores missing" in missing
    assert rows[0][0] in missing
    assert "--allow-missing" in missing
    extra = says(lines(*rows, ("gamma/fake/77.png", 1), ("gamma/fake/78.png", 1)))
    assert "2 rows: no such image (line 50 'gamma/fake/77.png'" in extra
    assert "1 rows: a second score of one image" in says(lines(*rows, rows[0]))
    odd = ["nan", "inf", "9" * 400, "-1e39", "x", "1_0", "0x1f", "٣", "true"]
    broken = says(
        lines(*((path, value) for (path, _), value in zip(rows, odd, strict=False)), *rows[9:])
    )
    assert "4 rows: not finite" in broken
    assert "5 rows: not a number" in broken
    assert "outside [0, 1]" in says(lines(*rows, head="path,probability"))
    assert "several images of that name" in says(lines(*((p.split("/")[-1], x) for p, x in rows)))
    assert "did you mean 'jpeg'" in says(
        lines(*((*row, "jpegg(quality=3)") for row in rows), head="path,logit,condition")
    )
    swapped = zip(scored["path"], (~scored["label"]).astype(int), scored["logit"], strict=True)
    assert "another label" in says(lines(*swapped, head="path,label,logit"))
    labels = zip(scored["path"], scored["label"].astype(int), ["g"] * 48, strict=True)
    assert "no column of scores" in says(lines(*labels, head="path,label,generator"))
    p = [(path, 1 / (1 + math.exp(-x))) for path, x in rows]
    assert "--scores logit or --scores probability" in says(lines(*p, head="path,score"))
    assert "`logit`, which is a logit" in says(lines(*p), scores="probability")
    assert "is empty" in says("")
    assert "no row" in says("path,logit\n")
    assert "names no image" in says(lines(*rows, head="a,b"))
    assert "3 values for 2 columns" in says("path,logit\na,1,2\n")
    no_name = write(file, lines(*rows))
    assert "--detector NAME" in refused(tree, no_name)
    assert "no file" in refused(tree, tmp_path / "none.csv")


@pytest.mark.parametrize("column", ["prob_real", "Real score", "p-real", "human", "logit_real"])
def test_scores_of_real_are_not_taken_for_scores_of_fakes(tree, scored, tmp_path, column):
    rows = zip(scored["path"], scored["logit"], strict=True)
    file = write(tmp_path / "x.csv", lines(*rows, head=f"path,{column}"))
    said = refused(tree, file, detector="x", scores="logit")
    assert "is a score of *real* by its name" in said
    rows = zip(scored["path"], scored["logit"], strict=True)
    named = write(tmp_path / "y.csv", lines(*rows, head="path,realguard"))
    assert imported(tree, named, scores="logit").report.board.rows["detector"][0] == "realguard"


def test_missing_scores_leave_their_images_out_for_all_where_that_is_asked_for(
    tree, scored, tmp_path
):
    rows = [
        (p, x, d) for d in ("a", "b") for p, x in zip(scored["path"], scored["logit"], strict=True)
    ]
    rows[0] = (rows[0][0], "", "a")
    del rows[60]
    file = write(tmp_path / "s.csv", lines(*rows, head="path,logit,detector"))
    result = imported(tree, file, allow_missing=True)
    assert {name for name, _ in result.report.bad} == {scored["path"][0], scored["path"][12]}
    assert result.report.board.notes.bad_images == 2
    keep = scored.drop(index=[0, 12])
    for row in cells(result):
        part = keep[keep["path"].str.startswith(row["generator"])]
        assert float(row["auc"]) == pytest.approx(
            roc_auc_score(part["label"], part["logit"]), abs=1e-6
        )
    assert (result.folder / "bad_images.csv").read_text().count("\n") == 3


def test_images_that_the_table_calls_unreadable_are_left_out_unasked(tree, scored, tmp_path):
    rows = [(p, x, "", "") for p, x in zip(scored["path"], scored["logit"], strict=True)]
    rows[5] = (rows[5][0], "", "unreadable", "cut short")
    file = write(tmp_path / "s.csv", lines(*rows, head="path,logit,status,reason"))
    result = imported(tree, file, detector="mine")
    assert result.report.bad == ((rows[5][0], "cut short"),)
    rows[6] = (rows[6][0], "", "failed", "429 too many requests")
    text = lines(*rows, head="path,logit,status,reason")
    write(tmp_path / "t.csv", text)
    with pytest.raises(bench.BenchError, match="1 rows without a score"):
        imported(tree, tmp_path / "t.csv", out="t", detector="mine")


@pytest.mark.parametrize(
    ("spell", "form"),
    [
        (lambda path: f"/data/set/images/{path}", {}),
        (lambda path: "C:\\set\\" + path.replace("/", "\\"), {}),
        (lambda path: f"./{path}", {"encoding": "utf-8-sig", "newline": "\r\n"}),
        (lambda path: f"{path}", {"separator": ";"}),
        (lambda path: f"images/{path}", {"separator": "\t"}),
    ],
)
def test_paths_and_forms_of_files(tree, scored, tmp_path, spell, form):
    separator, newline = form.get("separator", ","), form.get("newline", "\n")
    body = [separator.join(["Path", " Logit "])]
    for path, logit in zip(scored["path"], scored["logit"], strict=True):
        number = str(logit).replace(".", ",") if separator == ";" else str(logit)
        body.append(separator.join([f'"{spell(path)}"', number]))
    file = write(tmp_path / "s.csv", newline.join(body), form.get("encoding", "utf-8"))
    rows = cells(imported(tree, file, detector="mine"))
    plain = write(tmp_path / "t.csv", lines(*zip(scored["path"], scored["logit"], strict=True)))
    want = cells(imported(tree, plain, out="plain", detector="mine"))
    assert [row["auc"] for row in rows] == [row["auc"] for row in want]


def test_a_name_alone_will_do_where_no_two_images_share_it(tmp_path, scored):
    root = tmp_path / "unique"
    rng = np.random.default_rng(1)
    rows = []
    for kind in ("real", "fake"):
        (root / "gen" / kind).mkdir(parents=True)
        for i in range(4):
            name = f"{kind}-{i}.png"
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(
                root / "gen" / kind / name
            )
            rows.append((name, i + (kind == "fake") / 2))
    for n, spell in enumerate((str, lambda x: f"elsewhere/{x}", lambda x: x.removesuffix(".png"))):
        file = write(tmp_path / f"{n}.csv", lines(*((spell(p), x) for p, x in rows)))
        assert cells(imported(root, file, out=f"o{n}", detector="mine"))[0]["status"] == "ok"


def test_attacks_without_sizes_have_no_success_rate_and_hostile_names_come_back(
    tmp_path, tree, scored
):
    name = "=cmd(\"x\"), 'y'\n.png"
    (tree / "alpha" / "fake" / "00.png").rename(tree / "alpha" / "fake" / name)
    paths = [p.replace("alpha/fake/00.png", f"alpha/fake/{name}") for p in scored["path"]]
    frame = pd.concat(
        [
            pd.DataFrame({"path": paths, "logit": scored["logit"] - drop, "condition": condition})
            for condition, drop in (("", 0), ("pgd( eps=2/255 )", 1), ("jpeg(quality=75)", 0.5))
        ]
    )
    frame.to_csv(tmp_path / "s.csv", index=False)
    result = imported(tree, tmp_path / "s.csv", detector="=mine")
    rows = cells(result)
    attacked = [row for row in rows if row["condition"] == "pgd(eps=2/255)"]
    assert {row["attack_success"] for row in attacked} == {"n/a"}
    assert {row["status"] for row in rows} == {"ok"}
    file = write(tmp_path / "again.csv", export_scores(result.folder).text)
    again = cells(imported(tree, file, out="again"))
    assert [{**row, "warning": ""} for row in again] == [{**row, "warning": ""} for row in rows]


def test_the_command_line_and_the_commands_that_take_a_run(cli, tree, toy, scored, tmp_path):
    suite = tmp_path / "one.toml"
    suite.write_text('name = "one"\nslices = ["generator"]\nconditions = ["clean"]\n')
    args = ("-s", suite, "--data", tree)
    assert cli("run", "-d", toy(), *args, "--out", "real")[0] == 0
    code, out, _ = cli("scores", "export", "real")
    assert code == 0
    (tmp_path / "s.csv").write_text(out)
    code, out, err = cli("scores", "import", "s.csv", *args, "--out", "theirs")
    assert code == 0
    assert out.index("IMPORTED SCORES") < out.index("| Detector")
    assert "IMPORTED SCORES" in err
    for command in (
        ("board", "theirs"), ("board", "theirs", "--json"), ("compare", "real", "theirs"),
        ("export", "theirs", "--format", "latex"), ("export", "theirs", "--format", "hf"),
        ("baseline", "update", "theirs", "--reason", "why", "--to", "bar"),
        ("gate", "theirs", "-b", "bar/baseline.json"), ("gate", "theirs", "-b", "real"),
    ):  # fmt: skip
        code, out, err = cli(*command)
        assert code == 0, err
        kept = (tmp_path / "bar" / "baseline.json").read_text() if "update" in command else ""
        assert "IMPORTED SCORES" in out + err + kept
    code, _, err = cli("scores", "import", "s.csv", *args, "--out", "real")
    assert code == 2
    assert "--force" in err
    code, _, err = cli("run", "-d", toy(), *args, "--out", "theirs")
    assert code == 2
    code, _, err = cli("scores", "import", "s.csv", *args, "-d", "x")
    assert code == 2
    assert "no effect" in err
