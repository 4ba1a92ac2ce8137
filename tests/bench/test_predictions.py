"""Images of one's own: thresholds a person sets, a run as calibration, and the files that come out."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from bench.errors import BenchError
from bench.protocol.threshold import parse_policy
from bench.results.predictions.judging import doubts, threshold_of
from bench.results.scores import load_run
from detectors.card import DetectorCard

HOSTILE = "<script>alert(1)</script>\u202e=cmd().png".replace("/", "_")


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    for name, red in (("a.png", 250), ("b.png", 120), (HOSTILE, 10)):
        Image.new("RGB", (300, 200), (red, 60, 60)).save(folder / name)
    (folder / "bad.jpg").write_bytes(b"no image")
    return folder


def test_a_plain_number_is_a_logit_and_a_probability_says_so():
    assert threshold_of("0.385") == 0.385
    assert threshold_of("-1.5") == -1.5
    assert threshold_of("0") == threshold_of("probability(0.5)") == 0.0
    assert threshold_of("probability(0.75)") == pytest.approx(np.log(3))
    assert str(parse_policy(str(parse_policy("probability(0.3)")))) == str(
        parse_policy("probability(0.3)")
    )
    for text in (
        "best",
        "nan",
        "inf",
        "probability(1)",
        "probability(2)",
        "fpr(0.01)",
        "oracle",
        "",
    ):
        with pytest.raises(BenchError, match=r"give a logit such as 0\.385"):
            threshold_of(text)


def test_a_threshold_set_by_hand_judges_a_whole_run(cli, tree, toy, tmp_path):
    args = ("run", "-d", toy(), "--data", tree, "--suite", "smoke", "-o", "r", "--threshold", "3.5")
    code, out, err = cli(*args)
    assert code == 0, err
    assert "logit 3.5 (probability 0.9707), set by hand" in out
    assert "chosen on" not in out
    rows = list(csv.DictReader((tmp_path / "r" / "leaderboard.csv").open()))
    assert {(row["threshold"], row["threshold_policy"]) for row in rows} == {("3.5", "3.5")}
    scores = load_run(tmp_path / "r").scores
    clean = next(column for column in scores.columns if column.condition == "clean")
    real = (scores.samples["label"] == 0).to_numpy()
    pooled = [row for row in rows if row["condition"] == "clean"]
    assert sum(int(row["fp"]) for row in pooled) in {
        int((clean.logits[real] > 3.5).sum()) * n for n in (1, 2, 3)
    }
    assert "0 images decoded, 0 scored" in cli(*args)[2]


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.text, self.policy, self.sheet = [], [], "", "", ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        found = dict(attrs)
        self.links += [found[k] for k in ("src", "href", "action") if k in found]
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"]

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "style" and not self.sheet:
            self.sheet = data
        self.text += data


def test_a_run_calibrates_what_is_predicted(cli, tree, toy, inbox, tmp_path):
    cli("run", "-d", toy(), "--data", tree, "--suite", "smoke", "-o", "r", "-q")
    args = ("predict", inbox, "-d", toy(), "--calibrated", "r", "--fpr", "0.1")
    code, out, err = cli(*args, "--json")
    assert code == 12
    images = {image["path"].rpartition("/")[2]: image for image in json.loads(out)}
    scores = load_run(tmp_path / "r").scores
    clean = next(column for column in scores.columns if column.condition == "clean")
    # The reals of the one generator that the detector was not trained on.
    of_beta = scores.samples["generator"].isin(scores.pairing["beta"]).to_numpy()
    real = (scores.samples["label"] == 0).to_numpy() & of_beta
    ranked = np.sort(clean.logits[real].astype(float))[::-1]
    threshold = ranked[int(0.1 * len(ranked))]
    for name in ("a.png", "b.png", HOSTILE):
        assert (images[name]["verdict"] == "AI-generated") == (images[name]["logit"] > threshold)
        assert images[name]["statement"].endswith("AI-generated at 10 % FPR on images (test)")
    chances = [images[name]["probability"] for name in ("a.png", "b.png", HOSTILE)]
    assert chances == sorted(chances, reverse=True)
    assert images["bad.jpg"]["probability"] is None
    assert "not an image" in images["bad.jpg"]["reason"]
    assert f"threshold: logit {threshold:.6g}, 10 % FPR" in err
    share = np.mean(clean.logits[real] > threshold)
    assert f"{100 * share:.1f} % [" in err
    assert "4 images: " in err
    assert "1 could not be judged" in err


def test_files_hold_every_image_and_the_gallery_nothing_that_acts(cli, toy, inbox, tmp_path):
    for form in ("csv", "json", "html"):
        code, out, err = cli(
            "predict", inbox, "-d", toy(), "--threshold", "5", "--out", f"o.{form}"
        )
        assert (code, out) == (12, "")
        assert f"written: o.{form}" in err
    rows = list(csv.DictReader(io.StringIO((tmp_path / "o.csv").read_text(), newline="")))
    assert [row["verdict"] for row in rows].count("unreadable") == 1
    document = json.loads((tmp_path / "o.json").read_text())
    assert document["threshold"] == 5.0
    assert [repr(i["logit"]) for i in document["images"] if i["logit"] is not None] == [
        row["logit"] for row in rows if row["logit"] != "n/a"
    ]
    text = (tmp_path / "o.html").read_text()
    page = _Page()
    page.feed(text)
    assert "script" not in page.tags
    assert all(link.startswith("data:image/jpeg;base64,") for link in page.links)
    assert len(page.links) == 3
    assert "<script>alert(1)" in page.text
    assert "\u202e" not in text
    assert "not an image" in page.text
    digest = base64.b64encode(hashlib.sha256(page.sheet.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.policy
    assert "default-src 'none'" in page.policy
    small = Image.open(io.BytesIO(base64.b64decode(page.links[0].partition(",")[2])))
    assert max(small.size) == 160
    cli("predict", inbox, "-d", toy(), "--out", "none.html", "--no-images")
    bare = (tmp_path / "none.html").read_text()
    assert "data:image" not in bare
    assert "left out (--no-images)" in bare
    cli("predict", inbox, "-d", toy(), "--threshold", "5", "--out", "again.html")
    assert (tmp_path / "again.html").read_text() == text


def test_what_cannot_calibrate_is_one_sentence(cli, tree, toy, inbox):
    cli("run", "-d", toy(), "--data", tree, "--suite", "smoke", "-o", "r", "-q")
    cli("run", "-d", toy(), "--data", tree, "--suite", "cross-generator", "-o", "e", "-q",
        "--equalise", "jpeg(quality=90)")  # fmt: skip
    for arguments, says in (
        (("-d", toy("Raises"), "--calibrated", "r"), "it is a run of Toy, not of Raises"),
        (("-d", toy(), "--calibrated", "e"), "its images went through jpeg"),
        (("-d", toy(), "--calibrated", "r"), "a false-positive rate of 0.01 needs 100"),
        (("-d", toy(), "--calibrated", "inbox"), "is not a run"),
        (("-d", toy(), "--calibrated", "r", "--threshold", "1"), "give one of them"),
        (("-d", toy(), "--fpr", "0.1"), "--fpr has no effect"),
        (("-d", toy(), "--no-images"), "--no-images has no effect"),
        (("-d", toy(), "--out", "o.txt"), "ends in .csv, .json or .html"),
        (("-d", toy(), "--calibrated", "r", "--fpr", "2"), "between 0 and 1"),
    ):
        code, out, err = cli("predict", inbox, *arguments)
        assert (code, out) == (2, ""), arguments
        assert says in " ".join(err.split())
        assert len([line for line in err.splitlines() if line.startswith("error")]) == 1


def test_a_toy_says_that_it_is_one():
    card = {"name": "n", "arch": "a", "input": {"size": 32, "fit": "crop"}}

    def said(**more):
        return " ".join(doubts(DetectorCard.model_validate({**card, **more}), "net"))

    assert "no trained weights" in said()
    weights = {"sha256": "a" * 64}
    pocket = {"dataset": "pocket", "generators": ["vae"]}
    assert re.search("toy.*64 px tiles", said(weights=weights, training_data=pocket))
    photos = {"dataset": "GenImage", "generators": ["adm"]}
    assert said(weights=weights, training_data=photos) == ""
