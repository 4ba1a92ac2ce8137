"""The input rule: how an image of any size becomes what a network sees. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

FitRule = Literal["resize", "shortest-crop", "crop", "native"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
Padding = Literal["mirror", "zero", "replicate"]
Rounding = Literal["even", "floor"]
Views = Literal["one", "five", "ten", "slide"]
Pool = Literal["mean", "max", "median"]

Side = Annotated[int, Field(ge=1, le=4096)]
Size = Side | tuple[Side, Side]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Normalisation is computed in float32: beyond these it has infinity or zero.
_FLOAT32_MAX = 3.4e38
_FLOAT32_MIN = 1.2e-38


class InputSpec(BaseModel):
    """How an image of any size becomes the detector's canvas, and which views of it are scored.

    A size is one number for a square, or (height, width).

    Attributes:
        size: Size of the canvas in pixels; ``None`` only with ``fit = "native"``.
        fit: ``resize`` (both sides, aspect not kept), ``shortest-crop`` (short side, centre crop), ``crop``
            (centre crop without resampling), ``native`` (as it is, in batches of equal shape).
        interpolation: Pillow's filter for the rules that resample.
        mean: Per-channel mean subtracted from RGB in [0, 1], inside the detector.
        std: Per-channel divisor, inside the detector.
        resize_to: What is resampled to before the crop, where that is not ``size``: with ``shortest-crop``
            and ``native`` the short side, with ``resize`` both sides.
        padding: What stands outside an image that is smaller than its crop: the image ``mirror`` wise,
            ``zero``, or its border (``replicate``).
        rounding: Where a margin of an odd number of pixels is cut: half pixels to the ``even`` neighbour,
            as torchvision does, or ``floor``, as transformers does.
        views: ``one`` (the canvas itself), ``five`` (corners and centre), ``ten`` (the same and their
            mirror images) or ``slide`` (windows over the whole canvas); taken from the canvas inside the
            detector, so that gradients reach it.
        view_size: Size of a view, unless there is one.
        stride: Step of sliding windows; their own size by default.
        pool: What becomes of the logits of an image's views.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Size | None = 224
    fit: FitRule = "shortest-crop"
    interpolation: Interpolation = "bicubic"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    resize_to: Size | None = None
    padding: Padding = "mirror"
    rounding: Rounding = "even"
    views: Views = "one"
    view_size: Size | None = None
    stride: Size | None = None
    pool: Pool = "mean"

    @field_validator("mean", "std")
    @classmethod
    def _finite(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if not all(abs(number) <= _FLOAT32_MAX for number in value):
            raise ValueError(f"give three finite numbers, not {value}")
        return value

    @field_validator("std")
    @classmethod
    def _positive(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(value) < _FLOAT32_MIN:
            raise ValueError(f"std must be positive, got {value}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.fit == "crop" and self.resize_to is not None:
            raise ValueError("fit 'crop' resamples nothing: leave resize_to out")
        if self.fit in ("shortest-crop", "native") and isinstance(self.resize_to, tuple):
            raise ValueError(
                f"resize_to {self.resize_to} names both sides, fit {self.fit!r} resizes the short one: give "
                "one number, or fit 'resize'"
            )
        if self.fit == "shortest-crop" and isinstance(self.size, tuple) and self.resize_to is None:
            raise ValueError("fit 'shortest-crop' to a rectangle needs resize_to, the short side")
        self._check_views()
        return self

    def _check_views(self) -> None:
        if self.views == "one":
            for name in ("view_size", "stride"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name} has no effect on one view: give views five, ten or slide"
                    )
            if self.pool != "mean":
                raise ValueError("pool has no effect on one view: give views five, ten or slide")
            return
        if self.view_size is None:
            raise ValueError(f"views {self.views!r} need a view_size")
        if self.stride is not None and self.views != "slide":
            raise ValueError("stride is of sliding windows: give views slide, or leave it out")
        canvas, view = self.canvas, sides(self.view_size)
        if canvas is not None and (view[0] > canvas[0] or view[1] > canvas[1]):
            raise ValueError(
                f"views of {spelled(view)} px are larger than the canvas, {spelled(canvas)} px"
            )

    @property
    def canvas(self) -> tuple[int, int] | None:
        """Height and width of the canvas in px; ``None`` where they are the image's own."""
        return None if self.fit == "native" or self.size is None else sides(self.size)

    @property
    def network_input(self) -> tuple[int, int] | None:
        """Height and width in px of what the network sees at a time; ``None`` where they vary."""
        return self.canvas if self.view_size is None else sides(self.view_size)

    @property
    def geometry(self) -> tuple[object, ...]:
        """All that decides the pixels of a canvas: rules that agree in it can share their canvases."""
        room = self.view_size if self.fit == "native" else None
        return (
            self.fit,
            self.size,
            self.interpolation,
            self.resize_to,
            self.padding,
            self.rounding,
            room,
        )

    def count_views(self, canvas: tuple[int, int]) -> int:
        """Count the views of a canvas of a height and a width in px."""
        if self.views == "slide" and self.view_size is not None:
            steps = zip(
                canvas, sides(self.view_size), sides(self.stride or self.view_size), strict=True
            )
            down, across = (1 + -(-max(0, side - view) // step) for side, view, step in steps)
            return down * across
        return {"one": 1, "five": 5, "ten": 10, "slide": 1}[self.views]

    def canvas_or(self, side: int) -> tuple[int, int]:
        """Give the canvas's height and width; where they vary, those of one with room for a view."""
        if self.canvas is not None:
            return self.canvas
        room, view = sides(self.size or side), sides(self.view_size or 1)
        return max(room[0], view[0]), max(room[1], view[1])

    def describe(self) -> str:
        """Describe the rule in words, as it stands under a board.

        Examples:
            >>> InputSpec(size=224, resize_to=256).describe()
            'short side to 256 px (bicubic), centre crop 224 px'
            >>> InputSpec(size=(245, 255), fit="resize").describe()
            'resize to 245 x 255 px (bicubic)'
        """
        smaller = {
            "mirror": "",
            "zero": ", framed in black where smaller",
            "replicate": ", framed in its border where smaller",
        }[self.padding]
        return self._geometry() + smaller + self._views()

    def _geometry(self) -> str:
        kernel = f" ({self.interpolation})"
        if self.fit == "native":
            return (
                "native size"
                if self.resize_to is None
                else f"short side to {self.resize_to} px{kernel}"
            )
        size = "n/a" if self.size is None else spelled(self.size)
        target = size if self.resize_to is None else spelled(self.resize_to)
        crop = f"centre crop {size} px"
        match self.fit:
            case "crop":
                return crop
            case "shortest-crop":
                return f"short side to {target} px{kernel}, {crop}"
            case "resize":
                return f"resize to {target} px{kernel}" + (f", {crop}" if target != size else "")

    def _views(self) -> str:
        if self.views == "one" or self.view_size is None:
            return ""
        size = spelled(self.view_size)
        words = {
            "five": f"five views of {size} px (corners, centre)",
            "ten": f"ten views of {size} px (corners, centre, and mirrored)",
            "slide": f"windows of {size} px every {spelled(self.stride or self.view_size)} px",
        }
        return f", {self.pool} logit of {words[self.views]}"


def sides(size: Size) -> tuple[int, int]:
    """Give height and width of a size."""
    return (size, size) if isinstance(size, int) else size


def spelled(size: Size) -> str:
    """Spell a size for reading: one number for a square, else height x width.

    Examples:
        >>> spelled((245, 255)), spelled((224, 224)), spelled(224)
        ('245 x 255', '224', '224')
    """
    height, width = sides(size)
    return str(height) if height == width else f"{height} x {width}"
