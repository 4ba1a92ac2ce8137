"""How well real and fake are told apart without the picture: small classifiers on the facts of files.

A benchmark of 2026 was separable by resolution alone, and Grommelt et al. 2024 (arXiv:2403.17608) gained 11
points by the bias of format and size in another. Every figure here is out of fold: an image is judged by a
classifier that saw neither it nor any image of its group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.audit.features import Baseline, Columns, Feature
from bench.datasets import FAKE, REAL
from leaderboards.statistics.intervals import NAN, Delong, Interval, auc_interval, wilson
from leaderboards.statistics.paired import Influence, auc_influence, share_influence, variance_of

# Lower bound of an AUC from which a reader is warned.
WARN_FROM: Final = 0.60
# Chance of any false warning in one audit: shared by all that is judged (Bonferroni).
LEVEL: Final = 0.05
_FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """An out-of-fold estimate with its interval.

    Attributes:
        value: Estimate in [0, 1]; nan where undefined.
        lo: Lower end of the 95% interval.
        hi: Upper end of the 95% interval.
        judged_lo: Lower end of the interval that is held against ``WARN_FROM``: wider, so that the chance
            of any false warning in one audit is at most 5%.
    """

    value: float
    lo: float
    hi: float
    judged_lo: float = NAN

    @property
    def warns(self) -> bool:
        """Whether even the lower bound passes the level of warning."""
        return self.judged_lo > WARN_FROM


@dataclass(frozen=True, slots=True)
class GeneratorShortcut:
    """How well a baseline tells one generator from the reals it is compared with.

    Attributes:
        generator: Name of the generator.
        auc: Area under the ROC curve, out of fold.
        accuracy: Balanced accuracy; by a classifier that saw no image of this generator where there is
            another one to learn from, else out of fold.
        held_out: Whether the classifier saw no image of this generator.
    """

    generator: str
    auc: Estimate
    accuracy: Estimate
    held_out: bool


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How well real and fake are told apart by some facts of their files.

    Attributes:
        name: The baseline, ``metadata``; or one feature of it alone, ``metadata: format``.
        auc: Area under the ROC curve, out of fold, over all images.
        n_real: Number of real images behind it.
        n_fake: Number of AI-generated images behind it.
        generators: The same by generator; only of whole baselines.
        varies: Whether any two images differ in these facts; where none do, the AUC is 1/2.
        reason: Why there is no estimate; "" where there is one.
    """

    name: str
    auc: Estimate
    n_real: int
    n_fake: int
    generators: tuple[GeneratorShortcut, ...] = ()
    varies: bool = True
    reason: str = ""

    @property
    def warns(self) -> bool:
        """Whether the whole, or a generator of it, is told apart beyond chance."""
        return self.auc.warns or any(part.auc.warns for part in self.generators)


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """What a shortcut is learnt on.

    Attributes:
        label: (n,) 1 = AI-generated.
        generator: (n,) name of the generator, or of the real source.
        bundle: (n,) equal for images that must not be parted.
        pairing: Generator to its real sources.
        seed: Seed of the folds.
    """

    label: NDArray[np.int64]
    generator: NDArray[np.object_]
    bundle: NDArray[np.int64]
    pairing: Mapping[str, Sequence[str]]
    seed: int = 0

    def compared(self) -> dict[str, NDArray[np.bool_]]:
        """Give, by generator, its images and the reals that it is compared with, as (n,) bool."""
        names = sorted(set(self.generator[self.label == FAKE].tolist()))
        return {
            name: np.where(
                self.label == FAKE,
                self.generator == name,
                np.isin(self.generator, list(self.pairing.get(name, ()))),
            )
            for name in names
        }


def shortcuts(made: Sequence[Baseline], images: Images) -> list[Shortcut]:
    """Estimate every baseline, and every feature of one that has several.

    Args:
        made: Baselines of the images, rows as the images.
        images: Labels, generators and bundles.
    """
    counts = {label: int((images.label == label).sum()) for label in (REAL, FAKE)}
    if fold_count(images) < 2:
        nothing = Estimate(NAN, NAN, NAN)
        why = "too few images of a class, or too few groups, to learn on some and judge others"
        return [
            Shortcut(base.name, nothing, counts[REAL], counts[FAKE], reason=why) for base in made
        ]
    folds = deal_folds(images)
    alone = [
        (base.name, feature) for base in made for feature in base.features if len(base.features) > 1
    ]
    n_judged = len(made) * (1 + len(images.compared())) + len(alone)
    judge = _Judge(images, folds, 1 - LEVEL / max(1, n_judged))
    results = []
    for base in made:
        results.append(judge.baseline(base))
        results += [judge.feature(name, f) for name, f in alone if name == base.name]
    return results


def fold_count(images: Images) -> int:
    """Count the folds that the smaller class allows, at most five; below two there is nothing to learn."""
    bundles = [len(np.unique(images.bundle[images.label == label])) for label in (REAL, FAKE)]
    return min(_FOLDS, *bundles)


def deal_folds(images: Images) -> NDArray[np.int64]:
    """Deal whole bundles to folds, bundles of each composition alike; (n,) number of the fold."""
    count = fold_count(images)
    bundles, place = np.unique(images.bundle, return_inverse=True)
    composition = np.zeros((len(bundles), 2), dtype=bool)
    composition[place, images.label] = True
    kind = composition @ np.array([1, 2])
    fold = np.empty(len(bundles), dtype=np.int64)
    for code in np.unique(kind):
        members = np.flatnonzero(kind == code)
        order = np.random.default_rng([images.seed, int(code)]).permutation(len(members))
        fold[members[order]] = np.arange(len(members)) % count
    dealt: NDArray[np.int64] = fold[place]
    return dealt


@dataclass(frozen=True, slots=True, eq=False)
class _Judge:
    """Learns and judges by one set of folds, at one level of confidence.

    Attributes:
        images: What is learnt on.
        folds: (n,) number of each image's fold.
        confidence: Coverage of the intervals that warnings rest on.
    """

    images: Images
    folds: NDArray[np.int64]
    confidence: float

    def feature(self, baseline: str, feature: Feature) -> Shortcut:
        """Estimate one feature alone, by a small decision tree."""
        scores = self._out_of_fold(feature.columns, whole=False) if feature.varies else None
        return self._shortcut(f"{baseline}: {feature.name}", scores)

    def baseline(self, baseline: Baseline) -> Shortcut:
        """Estimate a whole baseline, by boosted trees, and each generator by a classifier without it."""
        varying = [feature.columns for feature in baseline.features if feature.varies]
        columns = np.concatenate(varying, axis=1) if varying else None
        scores = None if columns is None else self._out_of_fold(columns, whole=True)
        generators = tuple(
            self._generator(name, chosen, columns, scores)
            for name, chosen in self.images.compared().items()
        )
        return self._shortcut(baseline.name, scores, generators)

    def _shortcut(
        self,
        name: str,
        scores: NDArray[np.float64] | None,
        generators: tuple[GeneratorShortcut, ...] = (),
    ) -> Shortcut:
        label = self.images.label
        everything = np.ones(len(label), dtype=bool)
        n_fake = int((label == FAKE).sum())
        return Shortcut(
            name=name,
            auc=self._auc(scores, everything),
            n_real=len(label) - n_fake,
            n_fake=n_fake,
            generators=generators,
            varies=scores is not None,
        )

    def _generator(
        self,
        name: str,
        chosen: NDArray[np.bool_],
        columns: Columns | None,
        scores: NDArray[np.float64] | None,
    ) -> GeneratorShortcut:
        held_out = bool(((self.images.label == FAKE) & ~chosen).any())
        judged = scores
        if columns is not None and held_out:
            judged = self._without(name, columns, chosen)
        return GeneratorShortcut(
            name, self._auc(scores, chosen), self._accuracy(judged, chosen), held_out
        )

    def _without(
        self, name: str, columns: Columns, chosen: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Score a generator and its reals, by classifiers that saw neither them nor their bundles."""
        scores = np.full(len(columns), NAN)
        other = (self.images.label == REAL) | (self.images.generator != name)
        for half in (0, 1):
            judged = chosen & (self.folds % 2 == half)
            mixed = np.isin(self.images.bundle, self.images.bundle[judged])
            learnt = other & (self.folds % 2 != half) & ~mixed
            scores[judged] = self._scores(columns, learnt, judged, whole=True)
        return scores

    def _out_of_fold(self, columns: Columns, *, whole: bool) -> NDArray[np.float64]:
        scores = np.full(len(columns), NAN)
        for fold in np.unique(self.folds):
            judged = self.folds == fold
            scores[judged] = self._scores(columns, ~judged, judged, whole=whole)
        return scores

    def _scores(
        self,
        columns: Columns,
        learnt: NDArray[np.bool_],
        judged: NDArray[np.bool_],
        *,
        whole: bool,
    ) -> NDArray[np.float64]:
        """Learn on some images, and give the probability of "fake" of others, both classes as likely."""
        labels = self.images.label[learnt]
        if not judged.any() or len(set(labels.tolist())) < 2:
            return np.full(int(judged.sum()), 0.5)
        model = _classifier(len(labels), whole=whole)
        model.fit(columns[learnt], labels)
        probabilities: NDArray[np.float64] = model.predict_proba(columns[judged])[:, 1]
        return probabilities

    def _auc(self, scores: NDArray[np.float64] | None, chosen: NDArray[np.bool_]) -> Estimate:
        labels = self.images.label[chosen]
        n_fake = int((labels == FAKE).sum())
        n_real = len(labels) - n_fake
        if not min(n_real, n_fake):
            return Estimate(NAN, NAN, NAN)
        logits = np.zeros(len(labels)) if scores is None else scores[chosen]
        influence = auc_influence(labels, logits)
        estimate = Delong(influence.value, self._variance(influence, chosen))
        usual, judged = (
            auc_interval(estimate, n_real, n_fake, confidence)
            for confidence in (0.95, self.confidence)
        )
        return Estimate(influence.value, *usual, judged.lo)

    def _accuracy(self, scores: NDArray[np.float64] | None, chosen: NDArray[np.bool_]) -> Estimate:
        labels = self.images.label[chosen]
        if set(labels.tolist()) != {REAL, FAKE}:
            return Estimate(NAN, NAN, NAN)
        if scores is None:  # nothing to tell them apart by: a coin
            return Estimate(0.5, 0.5, 0.5)
        influence = share_influence(labels, (scores[chosen] > 0.5) == labels, "balanced_accuracy")
        variance = self._variance(influence, chosen)
        interval = _share_interval(influence.value, variance, len(labels))
        return Estimate(influence.value, *interval)

    def _variance(self, influence: Influence, chosen: NDArray[np.bool_]) -> float:
        """Variance of an estimate, with the images of a bundle as one."""
        _, clusters = np.unique(self.images.bundle[chosen], return_inverse=True)
        alone = len(clusters) == clusters.max() + 1
        return variance_of(influence.parts, None if alone else clusters)


def _share_interval(value: float, variance: float, n: int) -> Interval:
    if np.isnan(variance):
        return Interval(NAN, NAN)
    if variance == 0.0:
        return wilson(value * n, n)
    half = 1.96 * float(np.sqrt(variance))
    return Interval(max(0.0, value - half), min(1.0, value + half))


def _classifier(n: int, *, whole: bool) -> Any:
    """Make a small classifier that takes nan and gives the same answer each time."""
    leaf = int(np.clip(n // 40, 2, 50))
    if whole:
        from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415  (a second)

        return HistGradientBoostingClassifier(
            max_iter=30,
            learning_rate=0.2,
            max_leaf_nodes=8,
            min_samples_leaf=leaf,
            early_stopping=False,
            class_weight="balanced",
            random_state=0,
        )
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415  (a second)

    return DecisionTreeClassifier(
        max_leaf_nodes=8, min_samples_leaf=leaf, class_weight="balanced", random_state=0
    )
