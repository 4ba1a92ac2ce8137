"""The notes under a board: what each number means, and on what it rests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from leaderboards.render.csv import number
from leaderboards.render.text import UNDEFINED, escape, escape_line, rate, table
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.further.arithmetic import DetectorForm
from leaderboards.tables.further.stopping import Stopping
from leaderboards.tables.notes import BoardNotes, count_by_class
from leaderboards.tables.slicing import POOLED

_READING = (
    "Label 1 = AI-generated = positive; an image is called fake where its logit is greater than the "
    "threshold.",
    "Brackets hold 95% intervals: Wilson's for rates; for AUC DeLong's on the logit scale, and "
    "Wilson's for min(real, fake) pairs where DeLong's variance is zero (perfect separation or all "
    "scores tied).",
    "† seen: the generator or domain is in the detector's training data, and is left out of the mean "
    "over unseen. ‡ mixed: some of it is. (?) unknown: the detector's card does not say what it was "
    "trained on.",
    "Means are unweighted, over slices. A mean with an unscored or undefined cell is n/a, never a "
    'mean of the rest; so is the worst slice. "(all)": the detector has no unseen slice, the mean is '
    "over all of them.",
    "A drop is clean minus condition over the same slices; positive is worse. Attack success: of the "
    "attacked images that were right when clean, the share that the attack makes wrong.",
    "Rank: 1 + the number of detectors whose headline AUC is significantly higher (paired on the same "
    "images, Holm-adjusted at 5%); those that no test tells apart share a rank. Macro: unweighted mean "
    "over slices; micro: every image once.",
    "Real and fake accuracy: the share of each class that is called right (R.Acc and F.Acc of papers, whose "
    "Acc is their mean, here balanced accuracy). MCC: correlation of verdict and label, 0 where all verdicts "
    "are alike.",
    "TPR at 1% and 5% FPR, and Pd at 10% FAR: fakes found where at most that share of reals is called fake "
    "(n/a with too few reals to set the rate: 100, 20, 10). EER: where both error rates meet. Brier score, "
    "expected calibration error (15 bins) and balanced NLL (classes weighted alike, in nats; ln 2 = 0.693 "
    "is no information) read sigmoid(logit) as a probability, whatever the threshold.",
    "n/a is undefined, not zero: AUC, average precision, precision, F1, MCC, balanced accuracy and NLL "
    "need both classes; precision needs an image called fake. Columns and tables without "
    "any number are left out.",
)


def legend(rows: pd.DataFrame, notes: BoardNotes) -> list[str]:
    """Write the closing sections: how to read, protocol, detectors, slices, conditions, versions."""
    lines = ["## Notes", "", *(f"- {line}" for line in _READING)]
    lines += [f"- {line}" for line in _nameless(rows, notes)]
    lines += [f"- {line}" for line in _protocol(notes)]
    lines += [f"- {escape_line(line)}" for line in (*notes.extra, *notes.data_card)]
    lines += ["", "### Detectors", "", *_detectors(rows, notes)]
    lines += ["### Slices", "", *_slices(rows, notes)]
    if notes.until is not None:
        lines += ["### Scored of available", "", *_scored(notes.until)]
    if notes.forms:
        lines += ["### Arithmetic", "", *_forms(notes.forms)]
    if set(notes.conditions.items()) - {(CLEAN, CLEAN)}:
        lines += ["### Conditions", ""]
        lines += table(["Condition", "As run"], _pairs(notes.conditions), left=2)
    if notes.versions:
        lines += [
            "### Versions",
            "",
            *table(["Package", "Version"], _pairs(notes.versions), left=2),
        ]
    return lines


def _nameless(rows: pd.DataFrame, notes: BoardNotes) -> list[str]:
    """Explain "unknown" where the card does say what the detector was trained on."""
    unknown = rows[rows["seen"] == "unknown"]
    if not any(notes.training.get(str(detector)) for detector in unknown["detector"]):
        return []
    return [
        "(?) also marks a slice of which nobody can say whether it was seen: its generator has no name, "
        "or the training data of the detector have one without a name, or one name leaves open what the "
        "other states (a version). It is in neither the mean over unseen nor that over seen."
    ]


def _protocol(notes: BoardNotes) -> list[str]:
    layout = f", recognised as {escape(notes.layout)}" if notes.layout else ""
    verb = "scored" if notes.until is None else "to choose from"
    lines = [
        f"Threshold policy: {escape(notes.threshold_policy)}.",
        f"Data: {escape(notes.dataset)}{layout}; {notes.n_images} images {verb}.",
        f"Bad images, left out for every detector alike: {notes.bad_images}.",
        *([f"Left out: {escape(kinds)}."] if (kinds := count_by_class(notes.left_out)) else []),
        f"Seed {notes.seed}, precision {escape(notes.precision)}, device {escape(notes.device)}.",
    ]
    if notes.tool_version:
        lines.append(f"Made by detector-bench {escape(notes.tool_version)}.")
    return lines


def _detectors(rows: pd.DataFrame, notes: BoardNotes) -> list[str]:
    thresholds = rows.groupby("detector", sort=False)["threshold"].first()
    body = [
        [
            escape(str(detector)),
            escape(notes.training.get(str(detector)) or "not stated"),
            escape(notes.weights.get(str(detector)) or "not stated"),
            number(float(threshold), exact=True),
        ]
        for detector, threshold in thresholds.items()
    ]
    return table(["Detector", "Trained on", "Weights (sha256)", "Threshold"], body, left=3)


def _slices(rows: pd.DataFrame, notes: BoardNotes) -> list[str]:
    body: list[list[str]] = []
    cells = () if notes.until is None else notes.until.cells
    there = {(c.generator, c.domain): (c.available_real, c.available_fake) for c in cells}
    for row in rows.drop_duplicates(["generator", "domain"]).to_dict("records"):
        counts = int(row["n_real"]), int(row["n_fake"])
        n_real, n_fake = there.get((row["generator"], row["domain"]), counts)
        prior = rate(n_fake / (n_real + n_fake)) if n_real + n_fake else UNDEFINED
        reals = ", ".join(map(escape, notes.pairing.get(row["generator"], ()))) or "all"
        names = [escape(row["generator"]), escape(row["domain"])]
        body.append([*names, reals, str(n_real), str(n_fake), prior])
    header = ["Generator", "Domain", "Paired reals", "Real", "Fake", "Prior of fake"]
    if all(row[1] == POOLED for row in body):
        header, body = (
            [text for text in header if text != "Domain"],
            [[*r[:1], *r[2:]] for r in body],
        )
    return table(header, body, left=len(header) - 3)


def _forms(forms: Sequence[DetectorForm]) -> list[str]:
    """Say of every detector which arithmetic was chosen, and of every condition what both gave."""
    lines = [f"- {escape_line(f'{form.detector}: {form.chosen}: {form.reason}')}" for form in forms]
    body = [
        [
            escape(form.detector),
            escape(check.condition),
            check.measure,
            str(check.n_real),
            str(check.n_fake),
            f"{check.fp32:.5f}",
            f"{check.bf16:.5f}",
            f"[{check.lo:+.5f}, {check.hi:+.5f}]",
            str(check.flips),
        ]
        for form in forms
        for check in form.checks
    ]
    header = [
        "Detector", "Condition", "Measure", "Real", "Fake", "fp32", "bf16", "Difference", "Verdicts changed",
    ]  # fmt: skip
    return [*lines, "", *(table(header, body, left=3) if body else [])]


def _scored(until: Stopping) -> list[str]:
    """Say of every cell how many images it was scored on, of how many."""
    detectors = list(dict.fromkeys(cell.detector for cell in until.cells))
    body: dict[tuple[str, str, str], dict[str, str]] = {}
    for cell in until.cells:
        n, available = cell.n_real + cell.n_fake, cell.available_real + cell.available_fake
        mark = "" if cell.state == "target met" else f" ({cell.state})"
        key = (cell.condition, cell.generator, cell.domain)
        body.setdefault(key, {})[cell.detector] = f"{n} of {available}{mark}"
    lines = [
        [*map(escape, key), *(cells.get(name, "not run") for name in detectors)]
        for key, cells in body.items()
    ]
    return table(["Condition", "Generator", "Domain", *map(escape, detectors)], lines, left=3)


def _pairs(texts: Mapping[str, str]) -> list[list[str]]:
    return [[escape(key), escape(value)] for key, value in texts.items()]
