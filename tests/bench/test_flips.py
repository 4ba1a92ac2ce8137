"""``bench flips`` on a run."""

from __future__ import annotations

import csv
import io

import bench
from bench.protocol.suite import Suite


def test_flips_of_a_run_as_csv(cli, tree, toy, tmp_path):
    conditions = ["clean", "fgsm(eps=1/255)", "fgsm(eps=16/255)", "grayscale"]
    suite = Suite(name="f", slices=["generator"], conditions=conditions)
    run = bench.run(toy(), suite=suite, data=tree, out=tmp_path / "out")
    code, out, _ = cli("flips", run.folder)
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert rows
    places = [int(row["weakest_place"]) for row in rows]
    assert places == sorted(places)
    for row in rows:
        assert row["weakest"] == row["all_flips"].split("; ")[0]
        assert int(row["flips"]) == len(row["all_flips"].split("; "))
        assert row["weakest_delivery"] in ("", "grayscale")
    code, out, _ = cli("flips", run.folder, "--by-condition")
    order = list(csv.DictReader(io.StringIO(out)))
    shares = [float(row["share"]) for row in order]
    assert shares == sorted(shares)
    assert {row["condition"] for row in order} == {
        "fgsm(eps=1/255)",
        "fgsm(eps=16/255)",
        "grayscale",
    }
    code, _, err = cli("flips", run.folder, "-o", tmp_path / "f.csv", "-d", "Toy")
    assert code == 0
    assert (tmp_path / "f.csv").read_text().count("\n") == len(rows) + 1
    for args, said in (
        (("-d", "Tyo"), "did you mean"),
        (("-o", "f.txt"), "ends in .csv"),
    ):
        code, _, err = cli("flips", run.folder, *args)
        assert code == 2
        assert said in err
    cli("report", run.folder, "-o", tmp_path / "r.html", "--no-images")
    page = (tmp_path / "r.html").read_text()
    assert "Flips: what turns a verdict" in page
    assert rows[0]["image"] in page
    nothing = Suite(name="f", slices=["generator"], conditions=["clean"])
    clean = bench.run(toy(), suite=nothing, data=tree, out=tmp_path / "smoke", limit=4)
    code, _, err = cli("flips", clean.folder)
    assert (code, "no flips to show" in err) == (2, True)
    cli("report", clean.folder, "-o", tmp_path / "r.html", "--no-images")
    assert "Flips: what turns" not in (tmp_path / "r.html").read_text()
