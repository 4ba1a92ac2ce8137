"""The first screen of a board: what stands on it, that it fits, and that it says what the tables say."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pytest
from markdown_it import MarkdownIt

from leaderboards import Board, BoardNotes, SeenBy, cell_rows, extras, slices
from leaderboards.render.findings import findings
from leaderboards.render.text import wrapped
from leaderboards.tables.condition_means import condition_means
from leaderboards.tables.notes import Caution

HOSTILE = [
    "a|b [x](http://evil.example)",
    "# title",
    "line\nbreak",
    "*bold* _x_ `y`",
    "50% & <b>",
    "画像 é",
]


def first_screen(text):
    return text.partition("## Contents")[0]


def cautions(n):
    return tuple(
        Caution(code=f"c{i}", title=f"WARNING: number {i} is spoilt", advice=f"Mend thing {i}.")
        for i in range(n)
    )


def tokens_of(text):
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)


def anchors(text):
    """Anchors as GitHub makes them (its rule as a regular expression), and the links there are."""
    found, links, names = set(), [], tokens_of(text)
    for i, token in enumerate(names):
        if token.type == "heading_open":
            words = "".join(c.content for c in names[i + 1].children if c.type != "softbreak")
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            repeats = sum(f == slug or f.startswith(f"{slug}-") for f in found)
            found.add(f"{slug}-{repeats}" if slug in found else slug)
        for child in token.children or ():
            if child.type == "link_open":
                links.append(child.attrs["href"])
    return found, links


def test_it_fits_a_screen(pocket_board):
    screen = first_screen(pocket_board.to_markdown()).splitlines()
    assert len(screen) < 30
    assert all(len(line) <= 100 for line in screen if not line.startswith("|"))


def test_every_section_is_in_the_contents_and_every_link_leads_somewhere(pocket_board):
    text = pocket_board.to_markdown()
    found, links = anchors(text)
    assert {unquote(link)[1:] for link in links} <= found
    sections = [line for line in text.splitlines() if line.startswith("## ")]
    assert len(sections) - 1 == len([line for line in text.splitlines() if line.startswith("- [")])


def test_links_hold_whatever_a_column_is_called(frame, scores, pairing):
    samples = frame(("photo", "", 0, 12), *((name, "", 1, 6) for name in HOSTILE))
    pairing = dict.fromkeys(HOSTILE, ("photo",))
    rows = cell_rows(samples, slices(samples, pairing), [scores(samples)], {}, "d")
    cut = rows.assign(generator="all", domain=[f"{name}=x" for name in HOSTILE])
    text = Board(cut, BoardNotes(suite="s", dataset="d")).to_markdown()
    found, links = anchors(text)
    assert len(links) > 2 * len(HOSTILE)
    assert {unquote(link)[1:] for link in links} <= found
    assert all(link.startswith("#") for link in links)


def test_few_warnings_say_what_to_do_above_the_table_and_many_name_all_of_them(pocket_board):
    few, many = (
        Board(pocket_board.rows, replace(pocket_board.notes, cautions=cautions(n))).to_markdown()
        for n in (3, 9)
    )
    for n, text in ((3, few), (9, many)):
        above = text.partition("| Detector")[0]
        assert all(
            f"> **WARNING: number {i} is spoilt.**" in above.replace("> - ", "> ") for i in range(n)
        )
        assert all(f"Mend thing {i}." in text for i in range(n))
    assert "Mend thing 2." in first_screen(few)
    assert "Mend thing" not in first_screen(many)
    assert len(first_screen(many).splitlines()) < 40


def test_columns_and_tables_without_a_number_are_left_out(pocket, pairing, scores, pocket_rows):
    rows = cell_rows(pocket, slices(pocket, pairing), [scores(pocket)], {"net": SeenBy()}, "pocket")
    text = Board(rows, BoardNotes(suite="s", dataset="pocket")).to_markdown()
    assert "AUC seen" not in text
    assert "AUC all" not in text
    assert "| TPR at 1% FPR" not in text
    assert "Not shown, n/a for every line: TPR at 1% FPR." in text
    verdicts = [scores(pocket, ranked=False)]
    rows = cell_rows(pocket, slices(pocket, pairing), verdicts, {"net": SeenBy()}, "pocket")
    text = Board(rows, BoardNotes(suite="s", dataset="pocket")).to_markdown()
    assert "## By generator: AUC" not in text
    assert "## By generator: Accuracy" in text
    assert "Not shown, n/a for every detector: AUC unseen" in " ".join(text.split())
    assert "No detector can be called best" in text
    # A cell that failed is no undefined number: its table stays.
    assert "n/a" in Board(pocket_rows, BoardNotes(suite="s", dataset="pocket")).to_markdown()


def test_the_interval_of_a_headline_is_that_of_the_means(pocket, pairing, pocket_columns):
    grouped = pocket.assign(group=[str(i % 7) for i in range(len(pocket))])
    cuts = slices(grouped, pairing)
    seen = {"resnet50": SeenBy(frozenset({"sd14"})), "cnn": SeenBy(known=False)}
    rows = cell_rows(grouped, cuts, pocket_columns, seen, "pocket")
    found = extras(grouped, cuts, pocket_columns, rows, seen).intervals
    means = condition_means(grouped, cuts, pocket_columns, rows, {"resnet50": 0.0, "cnn": 0.0})
    clean = means[means["condition"] == "clean"].set_index("detector")
    assert set(found) == {"resnet50", "cnn"}
    for name, (lo, hi) in found.items():
        assert (lo, hi) == pytest.approx(tuple(clean.loc[name, ["auc_lo", "auc_hi"]]))


def test_findings_say_what_the_tables_say(pocket_board):
    best, weakest, breaks = findings(pocket_board.rows, pocket_board.extras)
    lo, hi = pocket_board.extras.intervals["resnet50"]
    first = pocket_board.headline().iloc[0]
    value = f"{first['auc_unseen']:.3f} [{lo:.3f}, {hi:.3f}]"
    assert best.startswith(
        f"resnet50 is best on generators it was not trained on (2): mean AUC {value}"
    )
    assert f"its weakest is {first['worst']} (AUC {first['worst_auc']:.3f})" in weakest
    table = pocket_board.by_condition()
    pgd = table[(table["detector"] == "resnet50") & (table["condition"] == "pgd(eps=8/255)")].iloc[
        0
    ]
    assert (
        f"pgd(eps=8/255): mean AUC {float(pgd['auc']):.3f}, a drop of {float(pgd['auc_drop']):.3f}"
        in breaks
    )


def test_findings_claim_no_more_than_is_shown(pocket, pairing, scores):
    cuts = slices(pocket, pairing)
    columns = [scores(pocket, "guess", shift=0.05), scores(pocket, "twin", shift=0.04, seed=9)]

    def of(seen, chosen=columns):
        rows = cell_rows(pocket, cuts, chosen, seen, "pocket")
        return findings(rows, extras(pocket, cuts, chosen, rows, seen))

    known = {"guess": SeenBy(), "twin": SeenBy()}
    best, _, errors = of(known)
    assert "guess has the highest mean AUC" in best
    assert "no paired test tells it apart from twin" in best
    assert "not shown to be better than guessing" in best
    assert "is best" not in best
    wrong = 1 - np.mean(columns[0].logits[pocket["label"] == 0] <= 0)
    assert f"calls {100 * wrong:.1f} % of the real images AI-generated" in errors
    assert "reaches a mean AUC of" in of(known, columns[:1])[0]
    assert of({})[0].startswith("Nobody can say how they do on unseen generators")
    failed = [scores(pocket, "dead", status="failed", reason="x")]
    assert of({"dead": SeenBy()}, failed) == [
        "No detector can be called best: none has a mean AUC on clean images that is wholly scored and "
        "defined."
    ]
    rows = cell_rows(pocket, cuts, columns, known, "pocket")
    assert findings(rows, None)[0].count("[") == 0


@pytest.mark.parametrize(
    "word", ["1. one", "# x", "- y", "+ z", "===", "---", "12) a", "-0.5", "2020"]
)
def test_a_break_opens_no_block(word):
    text = f"{'x' * 30} {word} {'y' * 30}"
    lines = wrapped(text, width=33)
    assert len(lines) > 1
    parsed = tokens_of("\n".join(lines))
    assert [t.type for t in parsed] == ["paragraph_open", "inline", "paragraph_close"]
    shown = "".join(c.content or " " for c in parsed[1].children)
    assert shown == text
