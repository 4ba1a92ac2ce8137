"""What people say of their tables (``--columns``) and where their real images lie (``--reals``)."""

from __future__ import annotations

import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from bench.cli.main import app
from bench.datasets import open_bytes
from bench.datasets.layouts.columns import parse_columns
from bench.errors import DataError


@pytest.fixture
def table(tmp_path, encode):
    """table({column: values}) -> a Parquet file with an image in each row."""

    def make(columns, name="eval.parquet"):
        n = len(next(iter(columns.values())))
        images = pa.array([encode("PNG", i) for i in range(n)], pa.binary())
        path = tmp_path / "pq" / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"image_data": images, **columns}), path)
        return path

    return make


def labels(manifest):
    return {r.locator.rpartition("#")[2]: r.label for r in manifest.records()}


@pytest.mark.parametrize(
    ("values", "said", "expected"),
    [
        ([0, 1, 1], "fake=1", [0, 1, 1]),
        ([0, 1, 1], "fake=0", [1, 0, 0]),
        ([0, 1, 2], "fake=1|2,real=0", [0, 1, 1]),  # real, whole fakes, edited ones
        ([False, True, True], "fake=true", [0, 1, 1]),
        ([True, False, True], "real=True", [0, 1, 0]),
        (["photo", "sd", "sd"], "fake=sd,real=photo", [0, 1, 1]),
        ([0.0, 1.0, 1.0], "fake=1", [0, 1, 1]),
    ],
)
def test_the_user_says_which_value_is_ai_generated(table, read, values, said, expected):
    path = table({"target": values, "model_name": ["", "a", "b"]})
    manifest = read(path, columns=parse_columns(f"label=target,{said}"))
    assert labels(manifest) == {str(i): label for i, label in enumerate(expected)}


@pytest.mark.parametrize("values", [[0, 1, 1], [False, True, True], [2, 3, 3], ["a", "b", "b"]])
def test_labels_whose_direction_nobody_states_are_asked(table, read, values):
    with pytest.raises(DataError, match="--columns"):
        read(table({"label": values, "model_name": ["", "a", "b"]}))
    with pytest.raises(
        DataError, match="--columns"
    ):  # naming the column says nothing of its values
        read(table({"label": values, "model_name": ["", "a", "b"]}), columns={"label": "label"})


@pytest.mark.parametrize(
    ("column", "values"),
    [("is_fake", [0, 1, 1]), ("is_real", [1, 0, 0]), ("is_real", [True, False, False]),
     ("Is_Fake", [False, True, True]), ("is_human", ["true", "false", "false"])],
)  # fmt: skip
def test_a_column_whose_name_states_the_direction_needs_no_word(table, read, column, values):
    assert labels(read(table({column: values, "model": ["", "a", "b"]}))) == {
        "0": 0,
        "1": 1,
        "2": 1,
    }


def test_values_that_no_word_covers_are_named(table, read):
    path = table({"label": ["cat", "fake", "real"]})
    with pytest.raises(DataError, match=r"'cat' \(row 0.*both fake= and real="):
        read(path, columns={"fake": "fake"})


def test_labels_that_contradict_the_folders_are_asked(lay, read, encode):
    rows = "".join(f"{k}/{i}.png,{int(k == 'real')}\n" for k in ("real", "fake") for i in range(3))
    files = {
        f"{k}/{i}.png": encode("PNG", i + 5 * (k == "fake"))
        for k in ("real", "fake")
        for i in range(3)
    }
    root = lay({"list.csv": ("path,label\n" + rows).encode(), **files})
    with pytest.raises(DataError, match=r"opposite of the folders.*--columns fake=0"):
        read(root / "list.csv")
    for value, label in (("0", 1), ("1", 0)):  # both are believed once they are stated
        manifest = read(root / "list.csv", columns={"fake": value})
        assert {r.label for r in manifest.records() if r.sample_id.startswith("fake")} == {label}


def test_fakes_that_are_all_by_a_generator_called_real_are_asked(table, read):
    with pytest.raises(DataError, match="--columns fake=0"):
        read(table({"is_ai": [1, 1, 0], "generator": ["real", "real", "sdxl"]}))


@pytest.mark.parametrize(
    ("said", "words"),
    [("label", "OURS=THEIRS"), ("labels=x", "did you mean 'label'"), ("label=a,label=b", "twice"),
     ("fake=", "values")],
)  # fmt: skip
def test_what_is_said_of_columns_is_checked(said, words):
    with pytest.raises(DataError, match=words):
        parse_columns(said)


def test_a_column_that_is_not_there_and_one_said_of_folders(table, lay, read):
    with pytest.raises(DataError, match=r"no column 'modle'.*did you mean 'model'"):
        read(table({"is_ai": [0, 1], "model": ["", "a"]}), columns={"generator": "modle"})
    with pytest.raises(DataError, match="--columns has no effect"):
        read(lay(["real/0.png", "fake/0.png"]), columns={"generator": "model"})


def test_an_unknown_split_can_be_passed_over(table, read):
    path = table({"is_ai": [0, 1], "split": ["PublicEval"] * 2})
    with pytest.raises(DataError, match="--columns split="):
        read(path)
    assert read(path, columns={"split": ""}).splits() == ("",)


@pytest.mark.parametrize("hidden", ["?", "-1", "", None])
def test_the_labels_of_another_split_may_be_kept_back(table, read, hidden, caplog):
    table({"label": ["real", "fake"]}, "train-0.parquet")
    folder = table({"label": pa.array([hidden] * 3, pa.string())}, "test-0.parquet").parent
    assert len(read(folder, split="train")) == 2
    assert len(read(folder)) == 2  # and of the whole it is told
    assert "kept back" in caplog.text
    with pytest.raises(DataError, match="column `label` holds"):
        read(folder, split="test")
    table({"other": [1, 2, 3]}, "test-0.parquet")  # no column of labels at all
    assert len(read(folder, split="train")) == len(read(folder)) == 2


def test_a_few_missing_labels_are_no_hidden_split(table, read):
    path = table({"label": ["real", "fake", "?"], "split": ["test"] * 3})
    with pytest.raises(DataError, match=r"'\?'"):
        read(path)


def test_reals_elsewhere_are_shared_by_every_generator(lay, read, facts, tmp_path):
    fakes = lay(
        [f"{g}/{i}.png" for g in ("midjourney-v5", "firefly") for i in range(3)], root="fakes"
    )
    photos = lay([f"{i}.jpg" for i in range(4)], root="photos")
    raise_1k = lay(["a/b/0.png"], root="raise")
    with pytest.raises(DataError, match="--reals"):
        read(fakes)
    manifest = read(fakes, reals=[photos, raise_1k])
    assert manifest.pairing == dict.fromkeys(("firefly", "midjourney-v5"), ("photos", "raise"))
    assert facts(manifest)["reals/photos/3.jpg"] == (0, "photos", "", "")
    assert len(manifest) == 11
    for record in manifest.records():
        place = {"photos": photos, "raise": raise_1k}.get(record.generator, fakes)
        inside = record.sample_id.removeprefix(f"reals/{record.generator}/")
        assert open_bytes(manifest.root, record.locator) == (place / inside).read_bytes()


def test_a_photograph_added_elsewhere_is_noticed(lay, read, encode):
    fakes, photos = lay(["sdxl/0.png"], root="fakes"), lay(["0.jpg"], root="photos")
    assert len(read(fakes, reals=[photos])) == 2
    (photos / "1.jpg").write_bytes(encode("JPEG", 9))
    assert len(read(fakes, reals=[photos])) == 3


def test_reals_may_lie_in_archives_parquet_and_labelled_sets(lay, table, read, encode, tmp_path):
    fakes = lay(["0.png", "1.png"], root="sdxl")  # one folder, one generator
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("x/0.png", encode("PNG", 50))
    labelled = lay(["real/0.png", "fake/0.png"], root="labelled")
    manifest = read(fakes, reals=[tmp_path / "photos.zip", table({"n": [1, 2, 3]}), labelled])
    assert manifest.pairing == {"sdxl": ("eval", "labelled", "photos")}
    assert manifest.counts().set_index("generator")["images"].to_dict() == {
        "eval": 3, "labelled": 1, "photos": 1, "sdxl": 2,
    }  # fmt: skip
    for record in manifest.records():
        assert open_bytes(manifest.root, record.locator)


def test_reals_take_the_only_split_and_several_are_asked(lay, read):
    photos = lay(["0.jpg"], root="photos")
    one = read(lay(["test/sdxl/fake/0.png"], root="one"), reals=[photos])
    assert one.splits() == ("test",)
    two = lay(["test/sdxl/fake/0.png", "train/sdxl/fake/0.png"], root="two")
    with pytest.raises(DataError, match="splits test, train"):
        read(two, reals=[photos])
    assert len(read(two, reals=[photos], split="test")) == 2


def test_reals_that_are_not_there_or_not_real(lay, read, tmp_path):
    fakes = lay(["sdxl/0.png"], root="fakes")
    photos = lay(["0.jpg"], root="photos")
    (tmp_path / "empty").mkdir()
    for places, words in (
        ([tmp_path / "nowhere"], "no such file or folder"),
        ([tmp_path / "empty"], "holds no real image"),
        ([photos, photos], "twice"),
        ([lay(["fake/0.png", "x/1.png"], root="mixed")], "says AI-generated"),
        ([lay(["fake/0.png"], root="only")], "holds no real image"),
    ):
        with pytest.raises(DataError, match=words):
            read(fakes, reals=places)


def test_a_run_on_reals_elsewhere_repeats_itself(lay, tmp_path):
    """From the command line to the board, and again from the config.toml it left."""
    fakes = lay([f"glide/{i}.png" for i in range(6)], root="fakes", size=(40, 40))
    photos = lay([f"{i}.png" for i in range(6)], root="photos", size=(40, 40))
    out = tmp_path / "out"
    words = ["run", "-d", "genimage-cnn.cifake", "--suite", "smoke", "--split", "all", "-q",
             "--data", fakes, "--reals", photos, "-o", out, "--cache", tmp_path / "c"]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0
    board = (out / "leaderboard.csv").read_bytes()
    again = CliRunner().invoke(
        app, ["run", "--config", str(out / "config.toml"), "-q"], catch_exceptions=False
    )
    assert again.exit_code == 0
    assert (out / "leaderboard.csv").read_bytes() == board


def test_free_columns_are_kept_and_no_part_of_the_digest(lay, read, encode, tmp_path):
    images = {f"{i}.png": encode("PNG", i) for i in range(4)}
    plain = "path,label\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(4))
    rich = "path,label,category,days,prompt,note\n" + "".join(
        f"{i}.png,{i % 2},{'cat' if i < 2 else 'dog'},{i}.0,a long story,{'x' * 300}\n"
        for i in range(4)
    )
    one = read(lay({"a.csv": plain.encode(), **images}, root="one") / "a.csv")
    two = read(lay({"a.csv": rich.encode(), **images}, root="two") / "a.csv")
    assert one.digest == two.digest
    assert one.free_names == ()
    assert two.free_names == ("category", "days")  # prose is not what one cuts a board by
    two.save(tmp_path / "m.parquet")
    back = type(two).load(tmp_path / "m.parquet")
    assert back.free.equals(two.free)
    kept = two.take([3, 1])
    np.testing.assert_array_equal(kept.free["free:category"].to_pylist(), ["cat", "dog"])
    again = read(tmp_path / "two" / "a.csv")  # from the cache
    assert again.free.equals(two.free)
