"""Certified accuracy on a board: a table over the radius, and its curve as CSV."""

from __future__ import annotations

from collections.abc import Mapping

from leaderboards.render.csv import render_matrix
from leaderboards.render.text import escape, rate, table, with_interval
from leaderboards.tables.extras import Extras
from leaderboards.tables.further.certified import CertificateFacts


def certified_section(extras: Extras | None, facts: Mapping[str, CertificateFacts]) -> list[str]:
    """Write a table a certificate: detectors and radii; no lines where nothing is certified."""
    if extras is None or extras.certified.empty:
        return []
    lines: list[str] = []
    for condition, of_condition in extras.certified.groupby("condition", sort=False):
        radii = list(dict.fromkeys(of_condition["radius"]))
        header = [
            "Detector",
            "Class",
            "Images",
            "Abstained",
            *(f"r = {radius:g}" for radius in radii),
        ]
        body = []
        for (detector, kind), rows in of_condition.groupby(["detector", "class"], sort=False):
            first = rows.iloc[0]
            cells = [escape(str(detector)), str(kind), str(first["n"]), rate(first["abstained"])]
            cells += [
                with_interval(row["accuracy"], row["accuracy_lo"], row["accuracy_hi"])
                for row in rows.to_dict("records")
            ]
            body.append(cells)
        lines += [f"## Certified accuracy over L2 radius: {escape(str(condition))}", ""]
        lines += table(header, body, left=2)
        lines += [
            "Share of images whose right verdict no change of L2 length below r (in units of [0, 1]) turns: "
            "a proof about the detector behind noise, not about the detector alone. "
            f"{facts[str(condition)].describe().capitalize()}. An abstention counts as wrong.",
            "",
        ]
    return lines


def certified_csv(extras: Extras | None) -> str:
    """Write the curves as tidy CSV; "" where nothing is certified."""
    if extras is None or extras.certified.empty:
        return ""
    return render_matrix(extras.certified)
