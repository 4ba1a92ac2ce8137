"""Coverage of 95% intervals where scoring stops at a target, and the share of the images that were scored.

Usage: ``python tests/benchmarks/until_simulation.py [RUNS]``. Scores are binormal with unit variances; 10,000
images of each class are there.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from scipy.stats import norm

from leaderboards.statistics.measures import CellScores, accuracy, auc, tpr_at_1_fpr
from leaderboards.statistics.sequential.precision import Precision
from leaderboards.tables.rounds.stopping import Looks, Scores
from leaderboards.tables.slicing import slices

N, AT = 10_000, 0.5
MEASURES = {"auc": auc, "accuracy": accuracy, "tpr_at_1_fpr": tpr_at_1_fpr}
# Metric, distance of the classes, half-width.
CASES = (
    ("auc", 1.5, 0.02),
    ("auc", 1.5, 0.01),
    ("auc", 2.3, 0.01),
    ("auc", 2.3, 0.005),
    ("auc", 3.0, 0.005),
    ("auc", 3.65, 0.002),
    ("auc", 4.2, 0.002),
    ("accuracy", 1.5, 0.01),
    ("accuracy", 3.5, 0.01),
    ("tpr_at_1_fpr", 3.0, 0.03),
    ("tpr_at_1_fpr", 4.0, 0.02),
)


def truth(metric, shift):
    """The value that intervals are to hold."""
    return {
        "auc": norm.cdf(shift / np.sqrt(2)),
        "accuracy": (norm.cdf(AT) + norm.cdf(shift - AT)) / 2,
        "tpr_at_1_fpr": norm.cdf(shift - norm.ppf(0.99)),
    }[metric]


def main(runs=1000):
    """Print a line a case, and the coverage over all of them."""
    labels = np.arange(2 * N) % 2
    samples = pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(2 * N)],
            "label": labels,
            "generator": np.where(labels == 1, "gen", "photo"),
            "domain": "",
        }
    )
    (cut,) = slices(samples, {"gen": ["photo"]})
    looks, there, all_hits = Looks.of(samples, [cut], seed=0), np.ones(2 * N, bool), []
    for metric, shift, width in CASES:
        value, hits, used = truth(metric, shift), [], []
        rng = np.random.default_rng(1)
        for _ in range(runs):
            logits = (rng.normal(size=2 * N) + shift * labels).astype("f4")
            course = looks.follow(0, Scores(logits, there, AT), Precision(metric, width))
            part = looks.reach([course]).part(cut)
            _, lo, hi = MEASURES[metric](CellScores.of(part.labels, logits[part.rows], AT))
            hits.append(lo <= value <= hi)
            used.append(len(part.rows))
        all_hits += hits
        print(
            f"{metric} {value:.4f} +-{width:g}: coverage {np.mean(hits):.4f}, {np.mean(used):.0f} of {2 * N} "
            f"images ({2 * N / np.mean(used):.1f}x fewer)",
            flush=True,
        )
    print(f"all {len(all_hits)} intervals: coverage {np.mean(all_hits):.4f}")


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
