import subprocess
import sys

import numpy as np
import pytest

from leaderboards import Board, BoardNotes, ScoreColumn, SeenBy, cell_rows, slices


def test_write_gives_both_files_whole(pocket_board, tmp_path):
    folder = tmp_path / "runs" / "full"
    markdown, table = pocket_board.write(folder)
    assert markdown.read_bytes() == pocket_board.to_markdown().encode()
    assert table.read_bytes() == pocket_board.to_csv().encode()
    assert sorted(p.name for p in folder.iterdir()) == ["leaderboard.csv", "leaderboard.md"]
    before = table.read_bytes()
    pocket_board.write(folder)
    assert table.read_bytes() == before


def test_a_failed_write_leaves_the_old_file_and_no_litter(pocket_board, tmp_path, monkeypatch):
    (tmp_path / "leaderboard.csv").write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leaderboards.board.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        pocket_board.write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["leaderboard.csv"]
    assert (tmp_path / "leaderboard.csv").read_text() == "old"


def test_a_board_does_not_change_the_rows_it_was_given(pocket_rows):
    before = pocket_rows.copy(deep=True)
    made = Board(pocket_rows, BoardNotes(suite="s", dataset="pocket"))
    made.to_markdown()
    made.to_json()
    assert pocket_rows.equals(before)


def test_five_hundred_cells_of_half_a_million_scores_make_a_board(frame):
    samples = frame(("real", "", 0, 1000), *((f"g{i:02d}", "", 1, 1000) for i in range(20)))
    pairing = {f"g{i:02d}": ("real",) for i in range(20)}
    rng = np.random.default_rng(0)
    columns = [
        ScoreColumn(
            detector=f"d{i % 5}",
            condition="clean" if i < 5 else f"jpeg(quality={i // 5})",
            logits=rng.normal(size=len(samples)).astype(np.float32),
        )
        for i in range(25)
    ]
    seen = {f"d{i}": SeenBy(frozenset({"g00"})) for i in range(5)}
    rows = cell_rows(samples, slices(samples, pairing), columns, seen, "data")
    board = Board(rows, BoardNotes(suite="s", dataset="data", pairing=pairing))
    assert len(rows) == 500
    assert all(f"| g{i:02d} " in board.to_markdown() for i in range(20))


def test_the_package_imports_no_torch_and_no_bench():
    code = (
        "import sys, leaderboards\n"
        "bad = {'torch', 'torchvision', 'bench', 'detectors', 'attacks', 'corruptions'}\n"
        "print(sorted(bad & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
