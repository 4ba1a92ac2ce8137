"""A board from a million stored logits: cells, intervals, ranks and rendering, beside plain scikit-learn.

    python -m tests.benchmarks.board [--rounds 5] [--scores 1000000]

Ten generators and their reals under 25 conditions, as many detectors as the number of scores asks for. The
other side calls scikit-learn for accuracy, AUC, average precision and F1 of every cell: no interval, no test,
no table.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from leaderboards import Board, BoardNotes, ScoreColumn, cell_rows, extras, slices
from tests.benchmarks.rounds import interleaved, ratio, told

GENERATORS, REALS, FAKES, CONDITIONS = 10, 10_000, 1_000, 25


def samples() -> pd.DataFrame:
    names = ["photo"] * REALS + [f"g{i:02d}" for i in range(GENERATORS) for _ in range(FAKES)]
    labels = [0] * REALS + [1] * (GENERATORS * FAKES)
    ids = [f"{name}/{i}" for i, name in enumerate(names)]
    columns = {"sample_id": ids, "label": labels, "generator": names}
    return pd.DataFrame(columns).assign(domain="", split="test", group="")


def columns(frame: pd.DataFrame, detectors: int) -> list[ScoreColumn]:
    rng, labels = np.random.default_rng(0), frame["label"].to_numpy()
    conditions = ["clean", *(f"jpeg(quality={95 - i})" for i in range(CONDITIONS - 1))]
    return [
        ScoreColumn(
            detector=f"net{d}",
            condition=condition,
            logits=(rng.normal(0, 1, len(frame)) + labels * (2 - 0.05 * c)).astype(np.float32),
        )
        for d in range(detectors)
        for c, condition in enumerate(conditions)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scores", type=int, default=1_000_000)
    given = parser.parse_args()
    frame = samples()
    detectors = max(1, round(given.scores / (len(frame) * CONDITIONS)))
    scored = columns(frame, detectors)
    pairing = {f"g{i:02d}": ("photo",) for i in range(GENERATORS)}
    cuts = slices(frame, pairing)

    def board() -> str:
        rows = cell_rows(frame, cuts, scored, {}, "million")
        notes = BoardNotes(suite="million", dataset="million", pairing=pairing, n_images=len(frame))
        done = Board(rows, notes, extras(frame, cuts, scored, rows, {}))
        return done.to_markdown() + done.to_csv()

    labels, generators = frame["label"].to_numpy(), frame["generator"].to_numpy()
    members = [np.flatnonzero((labels == 0) | (generators == name)) for name in pairing]

    def plain() -> list[tuple[float, ...]]:
        found = []
        for column in scored:
            for rows in members:
                truth, logits = labels[rows], column.logits[rows]
                called = logits > 0
                found.append(
                    (
                        float(accuracy_score(truth, called)),
                        float(roc_auc_score(truth, logits)),
                        float(average_precision_score(truth, logits)),
                        float(f1_score(truth, called)),
                    )
                )
        return found

    cells = len(scored) * GENERATORS
    print(
        f"{len(scored) * len(frame)} scores, {cells} cells of {REALS} reals and {FAKES} fakes",
        flush=True,
    )
    found = interleaved({"board": board, "scikit-learn": plain}, given.rounds, control="board")
    print(told(found))
    ratio("board", found, "scikit-learn", "board")
    ratio("control", found, "board again", "board")


if __name__ == "__main__":
    main()
