"""Figures behind the statistics: coverage of intervals, false alarms and power of the gate, speed.

Usage: ``python tests/benchmarks/gate_simulation.py [coverage] [gate] [speed]``; all by default.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from scipy.stats import norm

from leaderboards import Board, BoardNotes, ScoreColumn, cell_rows, evaluate, extras, slices
from leaderboards.gate import Rules, judge, outcome
from leaderboards.statistics.paired import paired_delong
from leaderboards.statistics.paired_cells import PairedCell


def coverage(runs=2000):
    """Share of 95% intervals that hold the truth; binormal scores with unit variances."""
    print(f"coverage of 95% intervals over {runs} draws (aim: 93-97%)")
    for n_real, n_fake, shift in (
        (400, 200, 1.5),
        (1000, 1000, 1.5),
        (1000, 500, 2.5),
        (2000, 2000, 1.0),
    ):
        rng = np.random.default_rng(1)
        labels = np.repeat([0, 1], [n_real, n_fake])
        at = 0.5
        tnr, tpr = norm.cdf(at), 1 - norm.cdf(at - shift)
        tp, fp = tpr * n_fake, (1 - tnr) * n_real
        truth = {
            "auc": norm.cdf(shift / np.sqrt(2)),
            "fake_recall": tpr,
            "real_recall": tnr,
            "balanced_accuracy": (tpr + tnr) / 2,
            "f1": 2 * tp / (tp + fp + n_fake),
            "tpr_at_1_fpr": 1 - norm.cdf(norm.ppf(0.99) - shift),
            "tpr_at_5_fpr": 1 - norm.cdf(norm.ppf(0.95) - shift),
        }
        hits = dict.fromkeys([*truth, "paired AUC difference"], 0)
        gap = norm.cdf((shift - 0.2) / np.sqrt(2)) - truth["auc"]
        for _ in range(runs):
            shared = rng.normal(size=labels.size)
            scores = shared + shift * labels
            m = evaluate(labels, scores, at)
            for name, value in truth.items():
                hits[name] += getattr(m, f"{name}_lo") <= value <= getattr(m, f"{name}_hi")
            other = 0.8 * shared + 0.6 * rng.normal(size=labels.size) + (shift - 0.2) * labels
            lo, hi = paired_delong(labels, scores, other).interval()
            hits["paired AUC difference"] += lo <= gap <= hi
        told = ", ".join(f"{name} {100 * count / runs:.1f}%" for name, count in hits.items())
        print(f"  {n_real} real + {n_fake} fake, d' {shift}: {told}", flush=True)


def cells_of(rng, n, drops, correlation):
    """24 cells of n + n images of their own, AUC .7 to .97, the candidate's lower by ``drops``."""
    found, strata = [], []
    total = 24 * 2 * n
    labels = np.tile(np.repeat([0, 1], n), 24)
    base, cand = np.empty(total, "f4"), np.empty(total, "f4")
    for k in range(24):
        rows = np.arange(k * 2 * n, (k + 1) * 2 * n)
        auc = np.linspace(0.7, 0.97, 24)[k]
        shift, weaker = (np.sqrt(2) * norm.ppf(a) for a in (auc, auc - drops.get(k, 0)))
        shared = rng.normal(size=2 * n)
        own = [
            correlation**0.5 * shared + (1 - correlation) ** 0.5 * rng.normal(size=2 * n)
            for _ in range(2)
        ]
        base[rows] = own[0] + shift * labels[rows]
        cand[rows] = own[1] + weaker * labels[rows]
        found.append((rows, k))
        strata.append(labels[rows] + 2 * k)
    cells = [
        PairedCell(("net", f"g{k}", "all", "clean"), rows, labels[rows], base, cand)
        for rows, k in found
    ]
    return cells, np.concatenate(strata)


def gate(runs=200):
    """False alarms with nothing changed, and misses of a .03 drop on 4 of 24 cells."""
    where = dict.fromkeys((2, 8, 14, 20), 0.03)
    for title, n, drops in (
        ("nothing changed, 500 + 500", 500, {}),
        ("nothing changed, 2,000 + 2,000", 2000, {}),
        ("AUC -.03 on 4 of 24 cells, 2,000 + 2,000", 2000, where),
    ):
        for correlation in (0.8, 0.0):
            rng = np.random.default_rng(2)
            failed = blocked = naive = 0
            for _ in range(runs):
                cells, strata = cells_of(rng, n, drops, correlation)
                verdicts = judge(cells, Rules(), strata)
                failed += outcome(verdicts, "regression") == "FAIL"
                blocked += outcome(verdicts, "regression") != "PASS"
                naive += any(v.change < -0.01 for v in verdicts[:-1])
            print(
                f"{title}, correlation {correlation}: gate FAILs {failed} of {runs} "
                f"({100 * failed / runs:.1f}%), blocks {blocked}; 'any drop > .01' {naive}",
                flush=True,
            )


def speed():
    """A board of 500 cells from 1 million scores, and a paired bootstrap of 500 cells."""
    rng = np.random.default_rng(0)
    names = [f"g{i:02d}" for i in range(25)]
    samples = pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(50_000)],
            "label": np.tile(np.repeat([0, 1], 1000), 25),
            "generator": np.repeat([n for g in names for n in (f"real-{g}", g)], 1000),
            "domain": "",
            "group": "",
        }
    )
    labels = samples["label"].to_numpy()
    columns = [
        ScoreColumn(
            detector=f"d{d}",
            condition="clean" if c == 0 else f"c{c}",
            logits=(rng.normal(size=labels.size) + 1.5 * labels).astype("f4"),
        )
        for d in range(2)
        for c in range(10)
    ]
    pairing = {g: (f"real-{g}",) for g in names}
    start = time.perf_counter()
    cuts = slices(samples, pairing)
    rows = cell_rows(samples, cuts, columns, {}, "data")
    more = extras(samples, cuts, columns, rows, {})
    board = Board(rows, BoardNotes(suite="s", dataset="data", pairing=pairing), more)
    text = board.to_markdown() + board.to_csv()
    took = time.perf_counter() - start
    print(
        f"board of {len(rows)} cells from {labels.size * 20:,} scores: {took:.1f} s ({len(text):,} bytes)"
    )
    cells = [
        PairedCell((f"{c}", cut.generator, "all", "x"), cut.rows, cut.labels, columns[c].logits,
                   columns[c + 10].logits)
        for c in range(10) for cut in cuts
    ] * 2  # fmt: skip
    strata = pd.factorize(samples["generator"])[0]
    for metric in ("auc", "f1", "tpr_at_1_fpr"):
        start = time.perf_counter()
        judge(cells, Rules(metric=metric), strata)
        took = time.perf_counter() - start
        print(
            f"paired tests of {len(cells)} cells of 2,000 scores, {metric}: {took:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["coverage", "gate", "speed"]
    for part in wanted:
        {"coverage": coverage, "gate": gate, "speed": speed}[part]()
