import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from leaderboards import Board, BoardNotes, ScoreColumn, SeenBy, cell_rows, slices
from leaderboards.render.csv import NOTE_COLUMNS, guard, unguard
from leaderboards.render.text import escape, visible, with_interval
from leaderboards.statistics.catalogue import count_columns
from leaderboards.tables.cells import TEXT_COLUMNS

GOLDEN = Path(__file__).parents[1] / "golden" / "leaderboard.md"
HOSTILE = [
    "a|b",
    "a\\|b",
    "back\\slash\\",
    "line\nbreak\r\nand\rreturn",
    "=cmd()",
    "'=cmd()",
    "''quoted",
    "+1",
    "-1",
    "@sum",
    "\ttab",
    "[/foo]",
    "[text](http://evil.example)",
    "![x](http://evil.example/x.png)",
    "www.evil.example",
    "<script>alert(1)</script>",
    "<!-- hidden",
    "&lt;not&amp;",
    "esc\x1b[31mred\x1b[0m",
    "bell\x07nul\x00",
    "right\u202eto left",
    "line\u2028separator",
    "1. one",
    "12) twelve",
    "# title",
    "===",
    "- [ ] task",
    "    indented",
    "`code` ``two``",
    "*bold* _under_ __both__ ~~gone~~ $math$",
    "stable_diffusion_v_1_4",
    " padded ",
    "comma, \"quote\" and 'single'",
    "n/a",
    "NaN",
    "007",
    "---",
    "Ünïcødé 画像 🖼",
]


class _Text(HTMLParser):
    """Table cells and list items of rendered Markdown as text, and every tag met."""

    def __init__(self):
        super().__init__()
        self.tables, self.items, self.tags, self.links = [], [], set(), []
        self.open = None

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.open = "cell"
        elif tag == "a":
            self.links.append(dict(attrs)["href"])
        elif tag == "li":
            self.items.append("")
            self.open = "item"

    def handle_endtag(self, tag):
        if tag in ("td", "th", "li"):
            self.open = None

    def handle_data(self, data):
        if self.open == "cell":
            self.tables[-1][-1][-1] += data
        elif self.open == "item":
            self.items[-1] += data


def parse(markdown):
    # As GitHub does: raw HTML passes and bare addresses would become links.
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    text = _Text()
    text.feed(parser.render(markdown))
    return text


def read(text):
    frame = pd.read_csv(io.StringIO(text, newline=""), keep_default_na=False, dtype=str)
    for name in TEXT_COLUMNS:
        frame[name] = frame[name].map(unguard)
    return frame


@pytest.fixture
def hostile_board(frame):
    samples = frame(("photo | [x]", "", 0, 2), *((name, "", 1, 2) for name in HOSTILE))
    pairing = dict.fromkeys(HOSTILE, ("photo | [x]",))
    cuts = slices(samples, pairing)
    labels = samples["label"].to_numpy()
    columns = [
        ScoreColumn(detector=name, condition="clean", logits=(labels * 2.0 - 1).astype("f4"))
        for name in HOSTILE
    ]
    columns.append(
        ScoreColumn(
            detector=HOSTILE[0],
            condition="\x1b|=evil",
            logits=np.full(len(samples), np.nan, "f4"),
            status="failed",
            reason="Traceback:\n  <b>|</b>\n",
        )
    )
    named = {name: name for name in HOSTILE}
    notes = BoardNotes(
        suite=HOSTILE[0],
        dataset="=data|set",
        layout="<b>",
        pairing=pairing,
        training=named,
        weights=named,
        versions=named,
        conditions=named,
        extra=tuple(HOSTILE),
    )
    return Board(cell_rows(samples, cuts, columns, {}, "=data|set"), notes)


def test_hostile_names_come_back_from_csv(hostile_board):
    text = hostile_board.to_csv()
    found = read(text)
    whole = {name: name for name in HOSTILE}
    whole["bell\x07nul\x00"] = "bell\x07nul\\x00"
    rows = hostile_board.rows
    assert len(found) == len(rows)
    for column in ("detector", "generator"):
        assert found[column].to_list() == [whole[name] for name in rows[column]]
    assert set(found["dataset"]) == {"=data|set"}
    assert found["reason"].iloc[-1] == "Traceback:\n  <b>|</b>\n"
    # The standard reader agrees with pandas on what the cells are.
    plain = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [unguard(row["generator"]) for row in plain] == found["generator"].to_list()


def test_no_csv_cell_runs_in_a_spreadsheet(hostile_board):
    for row in csv.DictReader(io.StringIO(hostile_board.to_csv(), newline="")):
        for name in TEXT_COLUMNS:
            assert not row[name].startswith(("=", "+", "-", "@", "\t", "\r", "\n")), row[name]


def test_guard_is_one_to_one():
    for text in [*HOSTILE, "'", "''", "'a", "''=x", ""]:
        assert unguard(guard(text)) == text
    assert len({guard(t) for t in ("=x", "'=x", "''=x")}) == 3


def test_hostile_names_come_back_from_markdown(hostile_board):
    text = parse(hostile_board.to_markdown())
    names = [visible(name).strip("\n") for name in HOSTILE]
    shown = sorted(names)
    by_title = {table[0][0]: table for table in text.tables}
    headline, means = text.tables[:2]
    assert len(headline) == 1 + 12
    assert sorted(row[0] for row in means[1:]) == shown
    assert [row[0] for row in headline] == [row[0] for row in means[:13]]
    for table in (headline, means):
        assert {len(row) for row in table} == {len(table[0])}
    generators = by_title["Generator"]
    assert sorted(row[0] for row in generators[1:]) == shown
    detectors = [table for table in text.tables if table[0][0] == "Detector"][-1]
    assert sorted(tuple(row[:3]) for row in detectors[1:]) == sorted((n, n, n) for n in names)
    for title in ("Condition", "Package"):
        assert [row[0] for row in by_title[title][1:] if row[0] in names] == names
    assert text.items[-len(names) :] == names


def test_hostile_names_make_no_markup(hostile_board):
    markdown = hostile_board.to_markdown()
    found = parse(markdown)
    assert found.tags <= {
        "h1", "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "ol", "li", "a", "strong",
    }  # fmt: skip
    # The only links are those of the contents, and of the cells without a result.
    assert all(link.startswith("#") for link in found.links)
    # Nothing that a terminal would obey, or that reorders the line.
    assert all(char == "\n" or visible(char) == char for char in markdown)
    # GitHub links bare addresses even in cells.
    assert "://" not in markdown
    assert "www." not in markdown


def test_undecodable_file_names_can_be_written(pocket, pairing, scores, tmp_path):
    column = scores(pocket, "net\udcff", status="failed", reason="cannot read a\udcfe.png")
    rows = cell_rows(pocket, slices(pocket, pairing), [column], {}, "pocket")
    markdown, table = Board(rows, BoardNotes(suite="s\udcfd", dataset="pocket")).write(tmp_path)
    assert "a\\udcfe.png" in table.read_text(encoding="utf-8")
    assert "a\\\\udcfe.png" in markdown.read_text(encoding="utf-8")


def test_escape_spells_out_what_cannot_be_seen():
    assert escape("a\x1b[1m\n") == "a\\\\x1b\\[1m\\\\n"
    assert escape("\u202eab") == "\\\\u202eab"
    assert escape("") == "(empty)"
    assert escape("stable_diffusion_v_1_4") == "stable_diffusion_v_1_4"
    assert escape("a|b") == "a&#124;b"


def test_rates_print_as_stated():
    assert with_interval(0.9123, 0.88, 0.94) == "0.912 [0.880, 0.940]"
    assert with_interval(float("nan"), 0.1, 0.2) == "n/a"
    assert with_interval(1.0, float("nan"), float("nan")) == "1.000"
    assert with_interval(-0.0001, 0.0, 1.0) == "0.000 [0.000, 1.000]"


def test_markdown_equals_the_golden_board(pocket_board):
    assert pocket_board.to_markdown() == GOLDEN.read_text(encoding="utf-8")


def test_headline_comes_first_and_seen_is_marked(pocket_board):
    text = parse(pocket_board.to_markdown())
    assert text.tables[0][0][:2] == ["Detector", "AUC unseen"]
    by_generator = next(table for table in text.tables if table[0][0] == "Generator")
    marks = {row[0]: [cell.split("]")[-1].strip() for cell in row[1:]] for row in by_generator[1:]}
    assert marks == {"glide": ["", "(?)"], "sd14": ["†", "(?)"], "vae": ["", "(?)"]}


def test_limited_run_is_stamped_above_everything(pocket_rows):
    notes = BoardNotes(suite="s", dataset="pocket", limit=200, n_images=200, n_available=20000)
    lines = Board(pocket_rows, notes).to_markdown().splitlines()
    assert lines[2].startswith("> **LIMITED RUN: 200 of 20000 images (limit 200).**")
    whole = BoardNotes(suite="s", dataset="pocket", n_images=200)
    assert "LIMITED" not in Board(pocket_rows, whole).to_markdown()


def test_failed_cells_say_so_in_place_of_a_number(pocket, pairing, scores):
    columns = [scores(pocket), scores(pocket, "bad", status="failed", reason="CUDA out of memory")]
    rows = cell_rows(pocket, slices(pocket, pairing), columns, {"net": SeenBy()}, "pocket")
    markdown = Board(rows, BoardNotes(suite="s", dataset="pocket")).to_markdown()
    by_generator = next(t for t in parse(markdown).tables if t[0][0] == "Generator")
    assert [row[2] for row in by_generator[1:]] == ["failed"] * 3
    assert "| bad      | clean     | glide, sd14, vae | failed | CUDA out of memory |" in markdown


def test_output_is_the_same_bytes_again(pocket_board, pocket_rows):
    again = Board(pocket_rows.copy(), pocket_board.notes, pocket_board.extras)
    assert pocket_board.to_csv() == again.to_csv()
    assert pocket_board.to_markdown() == again.to_markdown()
    assert pocket_board.to_json() == again.to_json()


def test_csv_keeps_numbers_and_shows_undefined(pocket_board):
    found = read(pocket_board.to_csv())
    rows = pocket_board.rows
    assert list(found.columns) == [*rows.columns, *NOTE_COLUMNS]
    for name in rows.columns.difference(TEXT_COLUMNS):
        assert (found[name] == "n/a").to_list() == rows[name].isna().to_list()
        measured = rows[name].notna()
        numbers = found.loc[measured, name].astype(float).to_numpy()
        rel = 0 if name in count_columns() else 1e-6
        assert numbers == pytest.approx(rows.loc[measured, name].astype(float).to_numpy(), rel=rel)
    assert "nan" not in pocket_board.to_csv().lower()
    assert "<na>" not in pocket_board.to_csv().lower()


def test_csv_thresholds_are_exact(pocket, pairing, scores):
    threshold = float(np.nextafter(np.float32(1), np.float32(2)))
    cuts = slices(pocket, pairing)
    rows = cell_rows(pocket, cuts, [scores(pocket)], {}, "d", threshold=threshold)
    found = read(Board(rows, BoardNotes(suite="s", dataset="d")).to_csv())
    assert float(found["threshold"][0]) == threshold


def test_json_is_strict_and_whole(pocket_board, hostile_board):
    def refuse(text):
        raise AssertionError(text)

    found = json.loads(pocket_board.to_json(), parse_constant=refuse)
    assert len(found["cells"]) == len(pocket_board.rows)
    assert [row["detector"] for row in found["headline"]] == ["resnet50", "cnn"]
    dead = [row for row in found["cells"] if row["status"] != "ok"]
    assert dead
    assert all(row["auc"] is None and row["tp"] is None for row in dead)
    assert found["notes"]["pairing"]["sd14"] == ["photo"]
    hostile = json.loads(hostile_board.to_json(), parse_constant=refuse)
    assert {row["generator"] for row in hostile["cells"]} == set(HOSTILE)
