"""The classifier sees each bad class: a planted fault of every kind is counted as what it is."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.faults.child import Kind, campaign, command
from tests.faults.outcome import WORDS, Ended, Outcome, Seen, classify, table

SENTENCE = "error: the file x.png is empty: give another one\n"


def plant(base, place, case):
    match case:
        case "exits":
            os._exit(0)
        case "segmentation fault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "sleeps":
            time.sleep(600)
        case "raises":
            raise KeyError("nobody foresaw it")
        case "leaves":
            raise SystemExit(0)
        case "refuses":
            return command("board", place)[0]
        case "shows another number":
            return Seen(0, "", wrong="0.5 instead of 0.7")
        case "forgets":
            return Seen(0, "", lost="a shard")
    return Seen()


PLANTED = {
    "exits": "crash",
    "fine": "right",
    "segmentation fault": "crash",
    "sleeps": "hang",
    "raises": "internal",
    "leaves": "internal",
    "refuses": "right",
    "shows another number": "silent",
    "forgets": "lost",
}


@pytest.mark.timeout(600)
def test_planted_faults_are_counted_as_what_they_are(tmp_path):
    kind = Kind("planted", tuple(PLANTED), plant, limit=5.0)
    outcomes = list(campaign(kind, kind.cases, tmp_path))
    assert {o.case: o.word for o in outcomes} == PLANTED
    assert set(PLANTED.values()) == set(WORDS)


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (Seen(0), "right"),
        (Seen(2, SENTENCE), "right"),
        (Seen(5, "a remark\n" + SENTENCE), "right"),
        (Seen(12, "3 cells have no result\n"), "right"),
        (Seen(70, "internal error: KeyError"), "internal"),
        (Seen(0, "Traceback (most recent call last):\n"), "internal"),
        (Seen(2, ""), "internal"),
        (Seen(2, "KeyError: 'x'\n"), "internal"),
        (Seen(2, SENTENCE + SENTENCE), "internal"),
        (Seen(2, SENTENCE.replace("x.png", "\x1b[31mx")), "internal"),
        (Seen(1, SENTENCE), "crash"),
        (Seen(139), "crash"),
        (Seen(2, SENTENCE, wrong="it was scored all the same"), "silent"),
        (Seen(0, wrong="w", lost="l"), "silent"),
        (Seen(0, lost="l"), "lost"),
    ],
)
def test_each_ending_has_its_word(seen, word):
    assert classify(Ended(seen))[0] == word


def test_the_table_counts_every_outcome_once():
    outcomes = [Outcome("a", str(i), word) for i, word in enumerate((*WORDS, "right"))]
    head, first, second, total = table([*outcomes, Outcome("b", "x", "right")]).splitlines()
    assert head.split() == ["kind", "tried", *WORDS]
    assert first.split() == ["a", "7", "2", "1", "1", "1", "1", "1"]
    assert second.split() == ["b", "1", "1", "0", "0", "0", "0", "0"]
    assert total.split() == ["all", "8", "3", "1", "1", "1", "1", "1"]
