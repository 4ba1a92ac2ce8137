"""Images to a verdict of the sequential gate, its false alarms and power, beside the fixed design.

Usage: ``python tests/benchmarks/sequential_gate.py [RUNS]``. The fixed design is given as many images as it
needs for the power that the sequential gate has.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.stats import norm

from leaderboards.gate import Rules, judge, outcome
from leaderboards.sequential_gate import judge_in_looks
from leaderboards.statistics.paired_cells import PairedCell

CELLS = 4


def cells_of(rng, n, drop, correlation=0.9):
    """Cells of n + n images, AUC .85 to .95; the candidate is worse by ``drop`` in the first of them."""
    labels = np.tile(np.repeat([0, 1], n), CELLS)
    shared = rng.normal(size=labels.size)
    base, cand = (
        correlation**0.5 * shared + (1 - correlation) ** 0.5 * rng.normal(size=labels.size)
        for _ in range(2)
    )
    cells = []
    for k, auc in enumerate(np.linspace(0.85, 0.95, CELLS)):
        rows = np.arange(k * 2 * n, (k + 1) * 2 * n)
        worse = auc - (drop if k == 0 else 0)
        base[rows] += np.sqrt(2) * norm.ppf(auc) * labels[rows]
        cand[rows] += np.sqrt(2) * norm.ppf(worse) * labels[rows]
        cells.append(PairedCell(("net", f"g{k}", "all", "clean"), rows, labels[rows], base, cand))
    return cells, labels + 2 * np.repeat(np.arange(CELLS), 2 * n)


def fixed_size(rng, drop, wanted, power, runs, most):
    """Images a class and cell that the fixed gate needs to decide rightly as often."""
    for n in np.unique(np.geomspace(200, most, 16).astype(int)):
        hits = 0
        for _ in range(runs):
            cells, strata = cells_of(rng, int(n), drop)
            hits += decides(judge(cells, Rules(), strata)) == wanted
        if hits / runs >= power:
            return int(n)
    return most


def decides(verdicts):
    """Decision of the fixed gate: FAIL, PASS where every cell passes, else nothing."""
    if outcome(verdicts, "regression") == "FAIL":
        return "FAIL"
    return "PASS" if all(v.decision == "PASS" for v in verdicts) else ""


def simulate(rng, n, drop, runs):
    """Share of FAIL and PASS, and mean share of the images that were looked at."""
    failed = passed = 0
    used = []
    for _ in range(runs):
        cells, strata = cells_of(rng, n, drop)
        places = rng.random(len(strata))
        ruling = judge_in_looks(cells, Rules(), strata, places)
        failed += ruling.decision == "FAIL"
        passed += ruling.decision != "FAIL" and all(v.decision == "PASS" for v in ruling.verdicts)
        used.append(ruling.images / ruling.available)
    return failed / runs, passed / runs, float(np.mean(used))


def main(runs=500, n=6000):
    """Print a line a scenario."""
    for drop, wanted in ((0.0, "PASS"), (0.02, "FAIL"), (0.03, "FAIL"), (0.05, "FAIL")):
        rng = np.random.default_rng(7)
        failed, passed, share = simulate(rng, n, drop, runs)
        power = passed if wanted == "PASS" else failed
        size = fixed_size(rng, drop, wanted, power, max(60, runs // 5), n)
        print(
            f"drop {drop:g}: FAIL {failed:.3f}, PASS {passed:.3f}; {share * n:.0f} images a class and cell "
            f"on average; fixed design at equal power {size} (ratio {share * n / size:.2f}), "
            f"whole set {n} ({share:.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
