"""The protocol of a corruption, and the guarantees that every one of them gets for nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, MutableMapping, Sequence
from typing import Any, ClassVar, NoReturn, Self, cast, final

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Images = NDArray[np.uint8]

_EXPECTED = "a height x width x 3 uint8 array that is not empty"


class Corruption(ABC):
    """A change that an image goes through before a detector sees it; no gradient, no detector.

    A concrete one is a ``@dataclass(frozen=True, slots=True, kw_only=True)`` whose fields are its
    parameters (``int | float | str | bool | None``, each with a default), checked in
    ``__post_init__`` with ``ValueError``. It owns the idea (:meth:`apply`); this class owns what
    must hold for all of them: images keep their type and layout, the caller's array is never
    written to, and randomness comes from the generator that is handed in and from nowhere else,
    and only where :attr:`draws` says so.
    """

    __slots__ = ()

    name: ClassVar[str]
    """The name in a condition, such as ``jpeg``."""
    summary: ClassVar[str]
    """One line for listings."""
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """Five sets of parameter overrides, mild to harsh; every corruption that is offered has them."""
    draws: ClassVar[bool] = True
    """False where no parameters make it use its generator: results are then the same for every seed."""
    one_strength: ClassVar[bool] = False
    """True where there is nothing to turn up (a flip): its five severities are then the same."""

    @property
    def may_be_identity(self) -> bool:
        """Whether these parameters may leave every pixel of a set of photographs as it was."""
        return False

    @property
    def keeps_size(self) -> bool:
        """Whether the output always has the height and width of the input."""
        return True

    @property
    def as_done(self) -> str:
        """What the parameters stand for, where a name hides it (a platform's chain); else ""."""
        return ""

    @classmethod
    def table(cls) -> list[dict[str, str]]:
        """List what the values of a parameter stand for, a row each; empty where values say it."""
        return []

    @classmethod
    def at_severity(cls, severity: int) -> Self:
        """Make this corruption with the parameters of one of its five severities.

        Args:
            severity: 1 (mild) to 5 (harsh).

        Raises:
            ValueError: No such severity.
        """
        if isinstance(severity, bool) or severity not in range(1, len(cls.severities) + 1):
            raise ValueError(
                f"{cls.name} has severities 1 to {len(cls.severities)}, got {severity!r}"
            )
        return cls(**cls.severities[severity - 1])

    @final
    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        """Corrupt an image.

        Args:
            image: Height x width x 3, uint8, RGB; left untouched.
            rng: The only source of randomness; seed it per image and results do not depend on
                the order in which images are worked on. Left untouched where :attr:`draws` is
                false.

        Returns:
            Height x width x 3, uint8, RGB, C-contiguous, sharing no memory with the input; the
            size may differ where :attr:`keeps_size` is false.

        Raises:
            ValueError: The input or the output is not such an image, or the corruption draws though
                it declares that it does not.
        """
        _check(image, f"{self.name} works on")
        # One decoded image feeds many conditions: a corruption that writes into it would spoil
        # the ones after it, so it gets a view that refuses.
        view = image.view()
        view.flags.writeable = False
        source = rng if self.draws else cast(np.random.Generator, _NoGenerator(self.name))
        return self._checked(self.apply(view, source), image)

    @final
    def batch(
        self, images: Sequence[Image], memo: MutableMapping[Hashable, Any] | None = None
    ) -> list[Image]:
        """Corrupt images of one size at once, with the same bits as one after the other.

        Args:
            images: At least one; height x width x 3, uint8, RGB each, all of one size; left untouched.
            memo: What corruptions of these very images can share, kept by the caller; None shares
                nothing.

        Returns:
            An image each, as from :meth:`__call__`.

        Raises:
            ValueError: An input or an output is not such an image, or the corruption draws.
        """
        if self.draws:
            raise ValueError(f"{self.name} draws, for every image alone: call it for each")
        for image in images:
            _check(image, f"{self.name} works on")
        stack = np.stack(images)
        stack.flags.writeable = False
        outs = self.apply_batch(stack, {} if memo is None else memo)
        return [self._checked(out, image) for out, image in zip(outs, images, strict=True)]

    def _checked(self, out: Image, image: Image) -> Image:
        """Hold an output against what is promised of it."""
        _check(out, f"{self.name} must return")
        if self.keeps_size and out.shape != image.shape:
            raise ValueError(
                f"{self.name} says it keeps the size, but turned {image.shape[1]}x{image.shape[0]}"
                f" px into {out.shape[1]}x{out.shape[0]} px"
            )
        # A plug-in of somebody else's may hand out one buffer of its own again and again.
        foreign = type(self).__module__.partition(".")[0] != "corruptions"
        if foreign or np.may_share_memory(out, image):
            return out.copy()
        return np.ascontiguousarray(out)

    @abstractmethod
    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Corrupt an image; the arrays are as in :meth:`__call__`, the input is read-only."""

    def batch_size(self, _height: int, _width: int, /) -> int:
        """Say how many images of a size :meth:`apply_batch` takes at best; 0 where it gains nothing.

        Only for a corruption that does not draw.
        """
        return 0

    def apply_batch(self, _images: Images, _memo: MutableMapping[Hashable, Any], /) -> Images:
        """Corrupt images of one size at once; the bits are those of :meth:`apply`.

        Args:
            _images: Count x height x width x 3, uint8; read-only.
            _memo: By key: what this and other corruptions have computed of these very images.
        """
        raise NotImplementedError(f"{self.name} takes one image at a time")


class _NoGenerator:
    """Stands for the generator of a corruption that declares not to use one, and refuses every use."""

    __slots__ = ("_corruption",)

    def __init__(self, corruption: str) -> None:
        self._corruption = corruption

    def __getattr__(self, name: str) -> NoReturn:
        raise ValueError(
            f"{self._corruption} declares draws = False and drew (rng.{name}): leave draws at True, or "
            "do without the generator"
        )


def _check(image: object, where: str) -> None:
    """Raise ``ValueError`` unless the image is H x W x 3 uint8 and not empty."""
    if not isinstance(image, np.ndarray):
        raise ValueError(f"{where} {_EXPECTED}, got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"{where} {_EXPECTED}, got shape {image.shape} and type {image.dtype}")
