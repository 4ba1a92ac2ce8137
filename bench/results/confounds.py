"""What spoils the numbers of a board whatever the detector: told above them, wherever they stand.

PNG fakes against JPEG reals gave a published detector AUC .83-.98, and .09-.33 once the same fakes
were saved as JPEG; Grommelt et al. 2024 (arXiv:2403.17608) measured the bias in a whole benchmark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.datasets import FAKE, REAL
from bench.store.run_spec import RunSpec
from bench.support import contingency
from leaderboards.tables.generator_names import GeneratorName, parse_name
from leaderboards.tables.measures.repeats import Repeats, repeats_of
from leaderboards.tables.notes import Caution, LeftOut, count_by_class, count_left_out

# Balanced accuracy of guessing by file format or size alone from which a reader is warned.
WARN_FROM = 0.6
CHANCE_P = 0.001
# Classes lose unequally from this difference of their shares, or where chance is this unlikely; where
# both hold, the second at its usual level, what was asked for is not what was scored.
UNEQUAL_SHARE, UNEQUAL_P, INCOMPLETE_P = 0.01, 0.01, 0.05
_FORMAT_ADVICE = (
    "A detector may have learned the format. Score both classes in one format (--equalise "
    "'jpeg(quality=90)') before believing these numbers."
)
_SIZE_ADVICE = (
    "A detector may have learned the size, or how images were brought to it. Score images of one size "
    "(--equalise 'resize(size=256)+crop(size=256)') before believing these numbers."
)
_BY_FORMAT, _BY_SIZE = "file format tells real from fake", "image size tells real from fake"
# What an equalising chain takes away, or at least changes.
_OF_FILES = frozenset({_BY_FORMAT, _BY_SIZE})
_MOST_NAMED = 3


def count_run(spec: RunSpec, undecoded: pd.DataFrame) -> tuple[LeftOut, ...]:
    """Count what could not be used when a run's data were indexed, and what did not decode.

    Args:
        spec: Request of the run, as its folder records it.
        undecoded: One row an image that was selected and did not decode.
    """
    late = undecoded[["label", "generator", "domain"]].itertuples(index=False, name=None)
    return count_left_out(late, spec.left_out)


def run_cautions(
    spec: RunSpec,
    samples: pd.DataFrame,
    left_out: Sequence[LeftOut],
    repeats: Repeats | None = None,
) -> tuple[Caution, ...]:
    """Find what of its images makes the numbers of a run unusable; its limit is told by the board.

    Args:
        spec: Request of the run, as its folder records it.
        samples: One row a scored image.
        left_out: Images that cannot be used, by kind.
        repeats: Files of equal bytes, where samples have no row an image.
    """
    # Of a limited run it is not known how many images each class had before the limit.
    compared = left_out if spec.limit is None else ()
    of_images = cautions(samples, spec.pairing, compared, repeats)
    if spec.suite.equalise:
        of_images = tuple(c.of_raw() if c.code in _OF_FILES else c for c in of_images)
    of_files = spec.audit.cautions if spec.audit is not None else ()
    # What spoils the raw column of an equalised board alone comes last.
    found = sorted((*of_images, *of_files), key=lambda caution: caution.is_of_raw)
    return (*_dropped(spec), *found)


def _dropped(spec: RunSpec) -> Iterator[Caution]:
    """Tell how many copies were dropped: the numbers are of another set than the published one."""
    if spec.copies:
        n = sum(kind.images for kind in spec.copies)
        yield Caution(
            code="copies dropped",
            title=f"COPIES DROPPED: {n} of {spec.n_images + n} images ({count_by_class(spec.copies)})",
            advice="Every picture counts once, for every detector alike; the data as published hold them.",
        )


def cautions(
    samples: pd.DataFrame,
    pairing: Mapping[str, Sequence[str]],
    left_out: Sequence[LeftOut],
    repeats: Repeats | None = None,
) -> tuple[Caution, ...]:
    """Find everything about the scored images that makes numbers unusable.

    Args:
        samples: One row a scored image: ``label``, ``generator``, ``format``, ``width``, ``height``,
            ``sha256``; a column that is not there is not looked at.
        pairing: Generator to the real sources its fakes are compared with.
        left_out: Images that cannot be used, by class.
        repeats: Files of equal bytes, where samples have no row an image.
    """
    messages = [
        _conflict(repeats_of(samples) if repeats is None else repeats),
        _tell_apart(samples, pairing, "format"),
        _tell_apart(samples, pairing, "size"),
        _unequal_loss(samples, left_out),
        _spelled_differently(samples),
    ]
    return tuple(message for message in messages if message is not None)


def _spelled_differently(samples: pd.DataFrame) -> Caution | None:
    """Warn of one generator under several names: each counts as a generator in every mean."""
    fakes = samples.loc[samples["label"] == FAKE, "generator"].unique()
    spellings: dict[GeneratorName, list[str]] = {}
    for name in sorted(fakes):
        if (parsed := parse_name(name)) is not None:
            spellings.setdefault(parsed, []).append(name)
    several = [" = ".join(names) for names in spellings.values() if len(names) > 1]
    if not several:
        return None
    return Caution(
        code="one generator under several names",
        title=f"WARNING: one generator under several names: {'; '.join(several[:_MOST_NAMED])}",
        advice="Each counts as a generator of its own in every mean. Give it one name in the data.",
    )


def format_lines(samples: pd.DataFrame) -> list[str]:
    """Count file formats by class, and warn where they tell real from fake.

    The balanced accuracy of guessing by format is ``sum over formats max(P(format | real),
    P(format | fake)) / 2``: that of the best rule that sees nothing else.

    Args:
        samples: Columns ``label`` (1 = AI-generated) and ``format``, one row a scored image.

    Returns:
        Sentences for the notes of a board; none where a class is missing.
    """
    counts = contingency.counted(
        samples["format"], samples["label"], contingency.weights_of(samples)
    )
    if counts.shape[1] < 2:
        return []
    shares = counts / counts.sum()
    real, fake = (
        ", ".join(f"{name} {n}" for name, n in counts[label].items() if n) for label in (REAL, FAKE)
    )
    lines = [f"File formats: real {real}; fake {fake}."]
    accuracy = float(shares.max(axis=1).sum() / 2)
    if accuracy >= WARN_FROM:
        lines.append(_format_caution(accuracy).sentence)
    return lines


def _format_caution(accuracy: float, generators: str = "") -> Caution:
    return Caution(
        code=_BY_FORMAT,
        title="WARNING: file format alone tells real from fake with balanced accuracy "
        f"{accuracy:.2f}{generators}",
        advice=_FORMAT_ADVICE,
    )


def _size_caution(accuracy: float, generators: str = "") -> Caution:
    return Caution(
        code=_BY_SIZE,
        title="WARNING: image size alone tells real from fake with balanced accuracy "
        f"{accuracy:.2f}{generators}",
        advice=_SIZE_ADVICE,
    )


def _tell_apart(
    samples: pd.DataFrame, pairing: Mapping[str, Sequence[str]], fact: str
) -> Caution | None:
    """Warn where one fact of the files tells the classes apart: in all images, or for a generator."""
    if not {"format", "width", "height"} <= set(samples.columns):
        return None
    caution = _format_caution if fact == "format" else _size_caution
    values = samples["format"]
    if fact == "size":
        values = samples["width"].astype(str) + "x" + samples["height"].astype(str)
    labels, names = samples["label"].to_numpy(), samples["generator"].to_numpy()
    weights = contingency.weights_of(samples)
    accuracy = guess(values, labels, weights)
    if fact == "format" and len(set(labels)) == 2:
        counts = contingency.counted(values, labels, weights)
        shares = counts / counts.sum()
        accuracy = max(accuracy, float(shares.max(axis=1).sum() / 2))
    if accuracy >= WARN_FROM:
        return caution(accuracy)
    spoilt = {}
    for generator, sources in pairing.items():
        chosen = np.where(labels == FAKE, names == generator, np.isin(names, list(sources)))
        of_chosen = None if weights is None else weights[chosen]
        of_generator = guess(values[chosen], labels[chosen], of_chosen)
        if of_generator >= WARN_FROM:
            spoilt[generator] = of_generator
    if not spoilt:
        return None
    named = ", ".join(list(spoilt)[:_MOST_NAMED]) + (", ..." if len(spoilt) > _MOST_NAMED else "")
    return caution(max(spoilt.values()), f" at most, in {len(spoilt)} generators ({named})")


def guess(values: pd.Series, labels: NDArray[np.int64], weights: pd.Series | None = None) -> float:
    """Compute how well one fact of an image tells its class: each image is guessed from all others.

    An image is guessed to be of the class in which its value has the larger share among the others; a
    tie counts one half. So values that occur once tell nothing.

    Args:
        values: (n,) the fact of each image.
        labels: (n,) 1 = AI-generated.
        weights: (n,) how many images a row stands for; one each where left out.

    Returns:
        Balanced accuracy; 0.5 where a class is missing, or where chance may do as well (chi-squared
        test of values against classes, p of .001 or more).

    Example:
        >>> guess(pd.Series(["a"] * 9 + ["b"] * 9), np.repeat([0, 1], 9))
        1.0
        >>> guess(pd.Series([str(i) for i in range(18)]), np.repeat([0, 1], 9))
        0.5
    """
    counts = contingency.counted(values, labels, weights)
    if counts.shape[1] < 2:
        return 0.5
    real, fake = (counts[label].to_numpy(dtype=np.float64) for label in (REAL, FAKE))
    n_real, n_fake = real.sum(), fake.sum()
    if min(n_real, n_fake) < 2:
        return 0.5
    right_real = np.sign((real - 1) / (n_real - 1) - fake / n_fake) / 2 + 0.5
    right_fake = np.sign((fake - 1) / (n_fake - 1) - real / n_real) / 2 + 0.5
    accuracy = float((real @ right_real) / n_real + (fake @ right_fake) / n_fake) / 2
    return 0.5 if _is_chance(real, fake) else accuracy


def _is_chance(real: NDArray[np.float64], fake: NDArray[np.float64]) -> bool:
    """Whether counts of values differ between the classes by no more than chance allows."""
    common = real + fake > 1
    # Values that occur once are one kind: taken one by one they make the test too lenient.
    table = np.stack([np.append(counts[common], counts[~common].sum()) for counts in (real, fake)])
    table = table[:, table.any(axis=0)]
    return table.shape[1] < 2 or contingency.independence_p(table) >= CHANCE_P


def _conflict(repeats: Repeats) -> Caution | None:
    """Warn of bytes that stand in both classes: one of the two labels is wrong."""
    if not repeats.images_of_both:
        return None
    return Caution(
        code="same bytes in both classes",
        title=f"WARNING: {repeats.files_of_both} files ({repeats.images_of_both} different images) stand in "
        "both classes, byte for byte",
        advice="One of the two labels is wrong, whatever a detector says. Mend the data before believing "
        "these numbers.",
    )


def duplicate_lines(repeats: Repeats) -> list[str]:
    """Say how many files repeat the bytes of another of their class; none where none does."""
    n = repeats.real + repeats.fake
    if not n:
        return []
    return [
        f"Duplicates: {n} files repeat another of their class byte for byte ({repeats.real} real, "
        f"{repeats.fake} fake). Equal bytes are one image in paired tests, ranks and pooled numbers; a cell "
        "of one generator counts each of its files."
    ]


class Loss(NamedTuple):
    """How many images of each class cannot be used, and whether chance may have dealt them so.

    Attributes:
        real: Number of real images left out.
        fake: Number of AI-generated images left out.
        real_share: The same as a share of the class.
        fake_share: The same as a share of the class.
        p: Fisher's two-sided p value of equal shares.
    """

    real: int
    fake: int
    real_share: float
    fake_share: float
    p: float

    @property
    def is_unequal(self) -> bool:
        """Whether a reader must be warned."""
        return self._differ or self.p < UNEQUAL_P

    @property
    def is_incomplete(self) -> bool:
        """Whether so much is gone that the run does not count as complete."""
        return self._differ and self.p < INCOMPLETE_P

    @property
    def _differ(self) -> bool:
        return abs(self.real_share - self.fake_share) > UNEQUAL_SHARE


def class_loss(samples: pd.DataFrame, left_out: Sequence[LeftOut]) -> Loss:
    """Compare what the classes lost.

    Args:
        samples: Column ``label``, one row a scored image.
        left_out: Images that cannot be used; those of a class not known are not compared.
    """
    lost = [sum(k.images for k in left_out if k.label == label) for label in (REAL, FAKE)]
    kept = [contingency.image_count(samples[samples["label"] == label]) for label in (REAL, FAKE)]
    shares = [n / max(1, n + m) for n, m in zip(lost, kept, strict=True)]
    return Loss(lost[0], lost[1], shares[0], shares[1], contingency.exact_p(lost, kept))


def _unequal_loss(samples: pd.DataFrame, left_out: Sequence[LeftOut]) -> Caution | None:
    loss = class_loss(samples, left_out)
    if not loss.is_unequal:
        return None
    return Caution(
        code="classes lose images unequally",
        title=f"WARNING: the classes lose images unequally: {loss.real} real ({loss.real_share:.1%}) and "
        f"{loss.fake} fake ({loss.fake_share:.1%}) cannot be read (Fisher p {loss.p:.2g})",
        advice="What is left may not stand for what was there. Mend or fetch the files that "
        "bad_images.csv lists.",
    )
