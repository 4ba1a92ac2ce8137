"""Figures: the numbers drawn are the board's, the files are the same each time, names break nothing."""

from __future__ import annotations

import csv
import io
import os
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri
from sklearn.metrics import cohen_kappa_score, confusion_matrix, roc_auc_score, roc_curve

from bench.results.figures.drawing import figure_bytes
from bench.results.figures.kinds import plot_kind, plot_names, plot_summaries
from leaderboards import Board, BoardNotes, ScoreColumn, SeenBy, cell_rows, extras, slices
from leaderboards.plots.evidence import Evidence
from leaderboards.plots.figure import PALETTE, style
from leaderboards.tables.attacks import AttackFacts
from leaderboards.tables.condition_means import OTHERS, condition_means
from leaderboards.tables.further.periods import over_time

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>$\\frac{&\x1b\n"
SEEN = {"one": SeenBy(frozenset({"sd14"})), HOSTILE: SeenBy(frozenset({"vae"}))}
CONDITIONS = ("clean", "jpeg(quality=75)", "jpeg(quality=50)", "fgsm(eps=1/255)", "fgsm(eps=4/255)")
TRANSFER = [f"fgsm(surrogate={name})" for name in ("one", HOSTILE)]


def facts(eps, knowledge="white-box", family="fgsm(eps=*)"):
    return AttackFacts(
        name="fgsm", family=family, ladder="", chain="", norm="linf", eps=eps, goal="both",
        quantize=True, knowledge=knowledge,
    )  # fmt: skip


@pytest.fixture
def evidence(pocket, pairing, scores):
    size = np.full(len(pocket), 4 / 255, dtype=np.float32)
    columns = []
    for d, name in enumerate(SEEN):
        for i, condition in enumerate((*CONDITIONS, *TRANSFER)):
            attack = {"linf": size} if "fgsm" in condition else {}
            columns.append(
                scores(pocket, name, condition, 2.5 - 0.5 * i + d, 7 * d + i + 1, **attack)
            )
    cuts = slices(pocket, pairing)
    rows = cell_rows(pocket, cuts, columns, SEEN, "pocket")
    notes = BoardNotes(
        suite="mini",
        dataset="pocket",
        curves={c: ("jpeg", i) for i, c in enumerate(CONDITIONS[1:3], 1)},
        attacks={
            CONDITIONS[3]: facts(1 / 255),
            CONDITIONS[4]: facts(4 / 255),
            **{
                condition: facts(8 / 255, f"transfer from {name}", condition)
                for condition, name in zip(TRANSFER, SEEN, strict=True)
            },
        },
    )
    thresholds = dict.fromkeys(SEEN, 0.0)
    return Evidence(
        rows=rows,
        notes=notes,
        extras=extras(pocket, cuts, columns, rows, SEEN),
        means=condition_means(pocket, cuts, columns, rows, thresholds),
        samples=pocket,
        slices=cuts,
        columns=columns,
        thresholds=thresholds,
    )


@pytest.fixture
def dated(evidence):
    """The same with a table over time, made from scores of eight generators of known dates."""
    names = [f"gen{i}" for i in range(8)]
    rows = [("photo", 0, "")] * 30 + [
        (name, 1, f"20{15 + i}-01-01") for i, name in enumerate(names) for _ in range(6)
    ]
    frame = pd.DataFrame(rows, columns=["generator", "label", "free:release_date"])
    frame = frame.assign(domain="", sample_id=[str(i) for i in range(len(frame))])
    frame["free:days_since_1st_post"] = [str(i % 40) for i in range(len(frame))]
    noise = np.arange(len(frame)) * 61 % 97 / 30
    columns = [
        ScoreColumn(
            detector=name,
            condition="clean",
            logits=(noise + frame["label"].to_numpy() * (2 + d)).astype(np.float32),
        )
        for d, name in enumerate(SEEN)
    ]
    periods = over_time(
        frame, dict.fromkeys(names, ("photo",)), columns,
        dict.fromkeys(SEEN, SeenBy(frozenset({"gen1"}))), dict.fromkeys(SEEN, 2.0),
    )  # fmt: skip
    return replace(evidence, extras=replace(evidence.extras, periods=periods))


DRAWN = plot_names()


def searched(evidence):
    """The same with what attacks found that look for the smallest change, or stop at success."""
    numbers = np.arange(len(evidence.samples))
    fake = evidence.samples["label"].to_numpy() == 1
    fooled = numbers % 10 > 0
    logits = np.where(fake == fooled, -1, 1).astype(np.float32)
    columns = list(evidence.columns)
    for d, clean in enumerate([c for c in evidence.columns if c.condition == "clean"]):
        sizes = ((numbers * 37 % 100 + 1) / (1000 * (d + 1))).astype(np.float32)
        found = {"logits": logits, "linf": sizes, "l2": sizes, "ranked": False}
        columns += [
            replace(clean, condition="fmn", distance_norm="linf", **found),
            replace(
                clean,
                condition="square(stop=success)",
                steps=1 + numbers * 53 % 500,
                counts_queries=True,
                **found,
            ),
        ]
    return replace(evidence, columns=columns)


def drawn(name, evidence, width=88.0, form="svg", *, outlines=True):
    plot = plot_kind(name)
    evidence = searched(evidence) if name in ("distance", "queries") else evidence
    rows = plot.table(evidence)
    with style(outlines=outlines):
        figure = plot.draw(rows, width)
        return rows, figure, figure_bytes(figure, form)


def test_every_kind_says_what_it_shows():
    assert all(len(text.split()) > 3 for text in plot_summaries().values())
    assert len(plot_names()) >= 12


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_the_same_each_time_and_survives_hostile_names(name, dated):
    _, figure, first = drawn(name, dated)
    _, _, second = drawn(name, dated)
    assert first == second
    root = ET.fromstring(first)
    assert not list(root.iter("script"))
    assert not list(root.iter(f"{SVG}script"))
    assert root.find(f".//{SVG}text") is None, "letters are outlines: no font is needed"
    assert float(root.get("width").removesuffix("pt")) == pytest.approx(88 / 25.4 * 72, abs=0.01)
    labels = " ".join(
        [t.get_text() for axes in figure.axes for t in (axes.xaxis.label, axes.yaxis.label)]
        + [t.get_text() for t in figure.texts]
        + [figure.get_suptitle(), figure.get_supylabel()]
    )
    assert re.search(r"\d", labels), "no size of the sample on the figure"


def test_pdf_embeds_its_font_and_bears_no_date(evidence):
    _, _, first = drawn("heatmap", evidence, form="pdf")
    assert b"/FontFile2" in first
    assert b"/CreationDate" not in first
    assert first == drawn("heatmap", evidence, form="pdf")[2]


def vertices(svg, gid):
    """Vertices of one drawn line, in data: its frame in the file is set against the limits of the axes."""
    root = ET.fromstring(svg)
    (group,) = (node for node in root.iter(f"{SVG}g") if node.get("id") == gid)
    text = group.find(f"{SVG}path").get("d")
    return np.array(re.findall(r"[ML] (-?[\d.e+-]+) (-?[\d.e+-]+)", text), dtype=float)


def in_data(svg, axes, gid):
    points = vertices(svg, gid)
    frame = vertices(svg, axes.patch.get_gid())
    (left, right), (bottom, top) = (np.sort(frame[:, i])[[0, -1]] for i in (0, 1))
    x = axes.get_xlim()[0] + (points[:, 0] - left) / (right - left) * np.ptp(axes.get_xlim())
    y = axes.get_ylim()[1] - (points[:, 1] - bottom) / (top - bottom) * np.ptp(axes.get_ylim())
    return x, y


@pytest.mark.parametrize(("name", "column"), [("severity", "auc"), ("eps", "accuracy")])
def test_curves_in_the_file_are_the_numbers_of_the_board(name, column, evidence):
    _, figure, svg = drawn(name, evidence)
    board = Board(evidence.rows, evidence.notes, evidence.extras)
    cells = list(csv.DictReader(io.StringIO(board.to_csv())))
    members = CONDITIONS[1:3] if name == "severity" else CONDITIONS[3:]
    for j, detector in enumerate(SEEN):
        expected = []
        for condition in ("clean", *members):
            values = [
                float(cell[column])
                for cell in cells
                if cell["condition"] == condition and cell["seen"] == "unseen"
                and cell["detector"].replace("\\n", "\n").replace("\\x1b", "\x1b") == detector
            ]  # fmt: skip
            expected.append(np.mean(values))
        _, y = in_data(svg, figure.axes[0], f"series-0-{j}")
        assert y == pytest.approx(expected, abs=1e-4)


def test_the_roc_curve_in_the_file_is_that_of_scikit_learn(evidence):
    _, figure, svg = drawn("roc", evidence)
    everything = evidence.pooled()
    for j, column in enumerate(evidence.clean()):
        logits = column.logits[everything.rows]
        fpr, tpr, _ = roc_curve(everything.labels, logits, drop_intermediate=False)
        x, y = in_data(svg, figure.axes[0], f"series-0-{j}")
        assert x == pytest.approx(fpr, abs=1e-4)
        assert y == pytest.approx(tpr, abs=1e-4)
        assert (
            f"{roc_auc_score(everything.labels, logits):.3f}"
            in figure.legends[0].texts[j].get_text()
        )


LINES = {  # kind: columns of x and y, and of the panels, in the table that `bench plot -o FILE.csv` writes
    "severity": ("strength", "auc", "family"),
    "eps": ("eps", "accuracy", "family"),
    "roc": ("fpr", "tpr", None),
    "det": ("fpr", "tpr", None),
    "reliability": ("probability", "share", "detector"),
    "tradeoff": ("clean", "robust", None),
    "time": (None, "auc", "axis"),
}


def markers(svg, axes, gid):
    """Places of a line's markers, in data."""
    root = ET.fromstring(svg)
    (group,) = (node for node in root.iter(f"{SVG}g") if node.get("id") == gid)
    points = np.array([[float(u.get(k)) for k in "xy"] for u in group.iter(f"{SVG}use")])
    frame = vertices(svg, axes.patch.get_gid())
    low, high = frame.min(axis=0), frame.max(axis=0)
    share = (points - low) / (high - low)
    x, y = np.array(axes.get_xlim()), np.array(axes.get_ylim())
    return x[0] + share[:, 0] * np.ptp(x), y[1] - share[:, 1] * np.ptp(y)


@pytest.mark.parametrize("name", LINES)
def test_points_in_the_file_are_the_rows_of_the_csv(name, dated):
    across, up, panel = LINES[name]
    rows, figure, svg = drawn(name, dated)
    panels = list(dict.fromkeys(rows[panel])) if panel else [None]
    detectors = list(dict.fromkeys(rows["detector"]))
    compared = 0
    for i, one in enumerate(panels):
        of_panel = rows[rows[panel] == one] if panel else rows
        for j, detector in enumerate(["", *detectors] if panel == "detector" else detectors):
            part = of_panel if panel == "detector" else of_panel[of_panel["detector"] == detector]
            if part.empty or (panel == "detector" and j):
                continue
            if name in ("severity", "eps"):
                part = part.sort_values(across, kind="stable")
            y = part[up].to_numpy(float)
            periods = list(dict.fromkeys(of_panel["period"])) if name == "time" else []
            x = (
                part[across].to_numpy(float)
                if across
                else np.array([periods.index(p) for p in part["period"]], float)
            )
            if name == "det":
                inside = (x > 0) & (x < 1) & (y > 0) & (y < 1)
                x, y = ndtri(x[inside]), ndtri(1 - y[inside])
                seen_x, seen_y = in_data(svg, figure.axes[i], f"series-{i}-{j}")
            else:
                seen_x, seen_y = (
                    in_data if name == "roc" else markers
                )(svg, figure.axes[i], f"series-{i}-{j}")  # fmt: skip
            assert seen_x == pytest.approx(x, abs=2e-3)
            assert seen_y == pytest.approx(y, abs=2e-3)
            compared += len(y)
    assert compared >= 2


MATRICES = {  # kind: rows, columns and value in the table, and whether the cell is a share of a class
    "heatmap": ("slice", "detector", "auc"),
    "agreement": ("detector", "other", "agreement"),
    "flips": ("condition", "detector", "share"),
    "transfer": ("surrogate", "target", "success"),
    "confusion": ("truth", "verdict", "share"),
}


@pytest.mark.parametrize("name", MATRICES)
def test_cells_in_the_file_are_the_rows_of_the_csv(name, evidence):
    down, across, value = MATRICES[name]
    rows, _, svg = drawn(name, evidence, width=180, outlines=False)
    if name == "transfer" and rows["attack"].nunique() > 1:
        rows = rows.assign(surrogate=rows["surrogate"] + ": " + rows["attack"])
    seen = [
        "".join(node.itertext()).split()[0]
        for node in ET.fromstring(svg).iter(f"{SVG}g")
        if (node.get("id") or "").startswith("cell-")
    ]
    # Confusion has a square a detector; the others are one matrix, row by row.
    parts = [rows]
    if name == "confusion":
        parts = [part for _, part in rows.groupby("detector", sort=False)]
    expected = []
    for part in parts:
        cells = {(r[down], r[across]): r[value] for r in part.to_dict("records")}
        for row in dict.fromkeys(part[down]):
            for column in dict.fromkeys(part[across]):
                number = cells.get((row, column), float("nan"))
                expected.append("n/a" if np.isnan(number) else f"{number:.2f}")
    assert [re.match(r"n/a|\d\.\d\d", text)[0] for text in seen] == expected
    assert len(expected) >= 4


def test_bars_in_the_file_are_the_counts_of_the_csv(evidence):
    rows, figure, svg = drawn("histogram", evidence)
    for i, (_, part) in enumerate(rows.groupby("detector", sort=False)):
        for j, kind in enumerate(("real", "fake")):
            _, y = in_data(svg, figure.axes[i], f"series-{i}-{j}")
            steps = y[1:][: 2 * len(part)]
            shares = part[kind].to_numpy(float) / part[f"n_{kind}"].iloc[0]
            assert steps[::2] == pytest.approx(shares, abs=1e-3)
        line, _ = in_data(svg, figure.axes[i], f"threshold-{i}")
        assert line == pytest.approx([part["threshold"].iloc[0]] * 2, abs=0.02)


GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "plots"


def drawing(svg):
    """What a figure shows: its words, and the places of everything that bears a name."""
    root = ET.fromstring(svg)
    words = ["".join(node.itertext()).strip() for node in root.iter(f"{SVG}text")]
    places = {}
    for group in root.iter(f"{SVG}g"):
        gid = group.get("id") or ""
        if re.fullmatch(r"(series|band|threshold|frame|cells-of-frame)(-\w+)*", gid):
            paths = " ".join(node.get("d") or "" for node in group.iter(f"{SVG}path"))
            uses = [node.get(k) for node in group.iter(f"{SVG}use") for k in "xy"]
            places[gid] = np.array([*re.findall(r"-?\d[\d.e+-]*", paths), *uses], dtype=float)
    return words, places


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_the_golden_one(name, dated):
    """The same words at the same places, within a point: another matplotlib may move a frame a little.

    After a change that is wanted: BENCH_WRITE_GOLDEN=1 writes the files anew, to be looked at.
    """
    _, _, svg = drawn(name, dated, outlines=False)
    path = GOLDEN / f"{name}.svg"
    if os.environ.get("BENCH_WRITE_GOLDEN"):
        path.write_bytes(svg)
    words, places = drawing(svg)
    golden_words, golden_places = drawing(path.read_bytes())
    assert words == golden_words
    assert places.keys() == golden_places.keys()
    assert places
    for gid, numbers in golden_places.items():
        assert places[gid] == pytest.approx(numbers, abs=1.0), gid


def test_matrices_write_the_numbers_of_the_board(evidence):
    rows, figure, _ = drawn("heatmap", evidence)
    cells = evidence.rows[evidence.rows["condition"] == "clean"]
    by_key = {(r["generator"], r["detector"]): r for r in cells.to_dict("records")}
    generators, detectors = (list(dict.fromkeys(rows[c])) for c in ("slice", "detector"))
    texts = {t.get_gid(): t.get_text() for t in figure.axes[0].texts}
    assert len(texts) == len(by_key)
    for i, generator in enumerate(generators):
        for j, detector in enumerate(detectors):
            cell = by_key[generator, detector]
            value, interval = texts[f"cell-{i}-{j}"].split("\n")
            assert value == f"{cell['auc']:.2f}" + ("†" if cell["seen"] == "seen" else "")
            assert interval == f"{cell['auc_lo']:.2f}–{cell['auc_hi']:.2f}"


def test_counts_are_those_of_scikit_learn(evidence):
    everything = evidence.pooled()
    verdicts = {c.detector: c.logits[everything.rows] > 0 for c in evidence.clean()}
    rows, _, _ = drawn("confusion", evidence)
    for detector, part in rows.groupby("detector"):
        expected = confusion_matrix(everything.labels, verdicts[detector]).ravel()
        assert part["count"].tolist() == expected.tolist()
    rows, _, _ = drawn("agreement", evidence)
    pair = rows[rows["detector"] != rows["other"]].iloc[0]
    one, other = verdicts.values()
    assert pair["kappa"] == pytest.approx(cohen_kappa_score(one, other))
    rows, _, _ = drawn("histogram", evidence)
    for _, part in rows.groupby("detector"):
        assert (part["real"].sum(), part["fake"].sum()) == (30, 60)
    rows, _, _ = drawn("flips", evidence)
    assert (rows["to_fake"] + rows["to_real"] == rows["flips"]).all()
    first = rows[rows["condition"] == CONDITIONS[1]].iloc[0]
    after = next(c for c in evidence.columns if c.condition == CONDITIONS[1])
    turned = (after.logits[everything.rows] > 0) != verdicts[after.detector]
    assert first["flips"] == turned.sum()


def test_intervals_of_means_hold_what_a_bootstrap_says(evidence):
    """The headline's interval, against resampling of images (an independent way to the same error)."""
    row = evidence.means.iloc[0]
    column = evidence.columns[0]
    unseen = [cut for cut in evidence.slices if cut.generator != "sd14"]
    rng = np.random.default_rng(0)
    real = unseen[0].real_rows
    values = []
    for _ in range(400):
        reals = rng.choice(real, real.size)
        aucs = []
        for cut in unseen:
            fakes = rng.choice(cut.fake_rows, cut.fake_rows.size)
            labels = np.repeat([0, 1], [reals.size, fakes.size])
            aucs.append(roc_auc_score(labels, column.logits[np.concatenate([reals, fakes])]))
        values.append(np.mean(aucs))
    lo, hi = np.quantile(values, [0.025, 0.975])
    assert row["auc_lo"] == pytest.approx(lo, abs=0.03)
    assert row["auc_hi"] == pytest.approx(hi, abs=0.03)
    several = evidence.means[evidence.means["condition"] == OTHERS]
    others = evidence.means[~evidence.means["condition"].isin(["clean", OTHERS])]
    for row in several.to_dict("records"):
        mine = others[others["detector"] == row["detector"]]
        assert row["auc"] == pytest.approx(mine["auc"].mean())
        assert row["auc_drop"] == pytest.approx(mine["auc_drop"].mean())


def test_the_palette_reads_in_gray():
    """Neighbours in the order of use differ in relative luminance (WCAG 2) by at least 0.05."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return np.dot(linear, [0.2126, 0.7152, 0.0722])

    gaps = np.abs(np.diff([luminance(colour) for colour in PALETTE]))
    assert gaps.min() > 0.05


def test_nothing_to_draw_is_an_empty_table(evidence):
    assert plot_kind("time").table(evidence).empty
    assert "time" in plot_kind("time").lacking


@pytest.mark.parametrize(("name", "column"), [("severity", "auc"), ("eps", "accuracy")])
def test_a_family_without_scores_has_no_panel(name, column, evidence):
    members = CONDITIONS[1:3] if name == "severity" else CONDITIONS[3:]
    assert len(plot_kind(name).table(evidence)) == 3 * len(SEEN)
    absent = evidence.means.copy()
    absent.loc[absent["condition"].isin(members), column] = np.nan
    assert plot_kind(name).table(replace(evidence, means=absent)).empty
