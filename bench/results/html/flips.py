"""The report's section on flips: conditions in their order of harshness, and the most fragile images."""

from __future__ import annotations

from typing import Final

from bench.results.figures.flips import flips_in
from bench.results.html.tables import Cell, Table, counted, measured
from leaderboards.plots.evidence import Evidence

_MOST: Final = 200  # images of a table


def flip_tables(evidence: Evidence) -> dict[str, Table]:
    """Make the tables ``harshness`` and ``flips``, by name; both are empty where no verdict changes."""
    made = flips_in(evidence)
    harshness = [
        (
            Cell(str(row["condition"])), Cell(str(row["detector"])), counted(row["place"]),
            measured(row["share"], row["share_lo"], row["share_hi"], bar=True),
            counted(row["weakest_for"]),
        )
        for row in made.harshness.to_dict("records")
    ]  # fmt: skip
    images = [
        (
            Cell(str(row["image"])), Cell(str(row["detector"])), Cell(str(row["label"])),
            Cell(str(row["clean_verdict"])), Cell(str(row["weakest"])), counted(row["weakest_place"]),
            Cell(str(row["weakest_delivery"]) or "none"), counted(row["flips"]),
        )
        for row in made.images.head(_MOST).to_dict("records")
    ]  # fmt: skip
    shown = f", the {_MOST} most fragile of {len(made.images)}" if len(made.images) > _MOST else ""
    return {
        "harshness": Table(
            name="harshness",
            caption="Conditions from mild to harsh: the share of verdicts that each changes, right or wrong",
            columns=("Condition", "Detector", "Place", "Verdicts changed", "Weakest for"),
            rows=harshness,
            numeric=(2, 3, 4),
            filters={"Detector": 1},
        ),
        "flips": Table(
            name="flips",
            caption=f"Images whose verdict changes{shown}, and the weakest condition that is enough",
            columns=("Image", "Detector", "Label", "Verdict, clean", "Weakest", "Place",
                     "Weakest that is no attack", "Conditions that turn it"),
            rows=images,
            numeric=(5, 7),
            filters={"Detector": 1, "Label": 2, "Weakest": 4},
        ),
    }  # fmt: skip
