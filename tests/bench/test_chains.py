"""Chains of corruptions over many images: together or one by one, the same pixels and the same failure."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from attacks.laundering.base import Laundering
from bench.protocol.condition import parse
from bench.protocol.seeding import generator_for
from bench.scoring.chains.chain import LEAST, TOGETHER_PIXELS, Chain, parts, purpose, spans
from corruptions.base import Corruption


def images(count: int, *sizes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*sizes[i % len(sizes)], 3), dtype=np.uint8) for i in range(count)]


def records(count: int) -> list:
    return [SimpleNamespace(sample_id=f"image {i}") for i in range(count)]


def chain_of(text: str) -> Chain:
    return Chain.of(parse(text).before, 0, seed=3)


def one_by_one(text: str, pictures: list[np.ndarray]) -> list[np.ndarray]:
    """What a chain is: every corruption of every image with a generator of its own."""
    outs = []
    for picture, record in zip(pictures, records(len(pictures)), strict=True):
        out = picture
        for position, step in enumerate(parse(text).before):
            drawn_for = purpose(position, step)
            out = step.plugin(out, generator_for(3, drawn_for, record.sample_id))
        outs.append(out)
    return outs


@pytest.mark.parametrize(
    "text",
    [
        "jpeg(quality=75)",
        "jpeg(quality=75,subsampling=4:4:4)+jpeg(quality=30)",
        "noise(sigma=0.05)+jpeg(quality=50)",
        "resize(scale=0.5)+jpeg(quality=95)+noise(sigma=0.01)",
        "blur(sigma=1)",
    ],
)
@pytest.mark.parametrize(
    "sizes", [((32, 32),), ((32, 32), (20, 33), (90, 80))], ids=["one", "three"]
)
def test_a_chain_is_its_corruptions_one_image_after_the_other(text, sizes):
    pictures = images(3 * LEAST + 1, *sizes)
    outs, failure = chain_of(text)(pictures, records(len(pictures)))
    assert failure is None
    expected = one_by_one(text, pictures)
    assert all(np.array_equal(a, b) for a, b in zip(outs, expected, strict=True))


def test_qualities_share_what_the_memo_holds_and_no_other_images_do(monkeypatch):
    transforms = []
    from corruptions import jpeg

    real = jpeg.forward

    def counted(stack, subsampling):
        transforms.append(len(stack))
        return real(stack, subsampling)

    jpeg.equals_pillow(75, "4:2:0"), jpeg.equals_pillow(30, "4:2:0")
    monkeypatch.setattr(jpeg, "forward", counted)
    pictures, memo = images(LEAST, (32, 32)), {}
    first, _ = chain_of("jpeg(quality=75)")(pictures, records(LEAST), memo)
    second, _ = chain_of("jpeg(quality=30)")(pictures, records(LEAST), memo)
    assert transforms == [LEAST]
    # Behind another step the images are others: the memo is not theirs.
    third, _ = chain_of("blur(sigma=1)+jpeg(quality=30)")(pictures, records(LEAST), memo)
    assert transforms == [LEAST, LEAST]
    for text, outs in (
        ("jpeg(quality=75)", first), ("jpeg(quality=30)", second),
        ("blur(sigma=1)+jpeg(quality=30)", third),
    ):  # fmt: skip
        expected = one_by_one(text, pictures)
        assert all(np.array_equal(a, b) for a, b in zip(outs, expected, strict=True))


class Picky(Corruption):
    """Refuses images whose first value it does not like; in batches where asked to."""

    name, draws = "picky", False

    def __init__(self, at_once: int, *refused: int) -> None:
        self.at_once, self.refused = at_once, refused

    def apply(self, image, _rng, /):
        if image[0, 0, 0] in self.refused:
            raise RuntimeError(f"not {image[0, 0, 0]}")
        return image + 100

    def batch_size(self, _height, _width, /):
        return self.at_once

    def apply_batch(self, stack, _memo, /):
        return np.stack([self.apply(image, None) for image in stack])


def numbered(count: int) -> list[np.ndarray]:
    return [np.full((4, 4, 3), i, np.uint8) for i in range(count)]


def test_the_first_failure_in_the_order_of_the_images_is_the_chains():
    # Image 9 fails in the first step, image 5 in the second: 5 comes first.
    chain = Chain(((Picky(0, 9), "a"), (Picky(0, 105), "b")), 0)
    outs, failure = chain(numbered(12), records(12))
    assert str(failure) == "not 105"
    assert [int(out[0, 0, 0]) for out in outs] == [200, 201, 202, 203, 204]


def test_a_batch_that_fails_is_a_failure_where_it_begins():
    outs, failure = Chain(((Picky(4, 9), "a"),), 0)(numbered(12), records(12))
    assert str(failure) == "not 9"
    assert len(outs) == 8


def test_spans_hold_every_image_once_and_large_ones_alone():
    side = int(TOGETHER_PIXELS**0.5)
    some = [*images(3, (32, 32)), None, *images(2, (side, side)), *images(2, (32, 32))]
    assert list(spans(some, range(len(some)))) == [[0, 1, 2], [4], [5], [6, 7]]
    assert list(spans([None, None], range(2))) == []


def test_parts_leave_no_thread_without_work():
    small, lanes = images(256, (32, 32)), SimpleNamespace
    assert [len(p) for p in parts(small, lanes(threads=2))] == [64] * 4
    assert [len(p) for p in parts(small, lanes(threads=64))] == [8] * 32
    assert [len(p) for p in parts(images(20, (300, 300)), lanes(threads=1))] == [8, 8, 4]


class Negative(Laundering):
    """The picture's negative, by no file."""

    name = "negative"
    summary = "negative"
    severities = ({},) * 5

    @property
    def files(self):
        return ()

    def apply(self, image):
        return 255 - image


class Unsure(Corruption):
    """Cannot say how many images it takes at once."""

    name = "unsure"
    summary = "unsure"
    severities = ({},) * 5
    draws = False

    def batch_size(self, _height, _width):
        raise OSError("no device")

    def apply(self, image, _rng):
        return image


def test_a_laundering_among_many_small_images_takes_them_one_by_one():
    pictures = images(LEAST + 1, (32, 32))
    jpeg = chain_of("jpeg(quality=50)").steps[0]
    chain = Chain(((Negative(), "0:negative"), jpeg), seed=3)
    outs, failure = chain(pictures, records(len(pictures)), {})
    assert failure is None
    expected = one_by_one("jpeg(quality=50)", [255 - picture for picture in pictures])
    assert all(np.array_equal(a, b) for a, b in zip(outs, expected, strict=True))


def test_a_corruption_that_cannot_say_its_batch_fails_like_one_that_cannot_work():
    pictures = images(LEAST + 1, (20, 20), (32, 32))
    outs, failure = Chain(((Unsure(), "0:unsure"),), seed=3)(pictures, records(len(pictures)))
    assert len(outs) == len(pictures)  # five and four of a size: too few to ask
    assert failure is None
    outs, failure = Chain(((Unsure(), "0:unsure"),), seed=3)(
        images(LEAST, (32, 32)), records(LEAST)
    )
    assert outs == []
    assert isinstance(failure, OSError)
