"""A preprocessor_config.json as an input rule, exactly: geometry by Pillow, all else as mean and std."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from detectors.errors import DetectorError
from detectors.inputs.spec import IMAGENET_MEAN, IMAGENET_STD, InputSpec, Size, sides

_HALF: Final = (0.5, 0.5, 0.5)
_CLIP_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD: Final = (0.26862954, 0.26130258, 0.27577711)
_FILTERS: Final = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
_SHORT_224: Final = {"shortest_edge": 224}
_CROPPED: Final = {"size": _SHORT_224, "do_center_crop": True}

# What a processor does where its file is silent: the library's own defaults, for those whose steps are
# known here. One that does something else (tiles, tokens, patches) is refused by name.
_COMMON: Final[dict[str, Any]] = {
    "do_resize": True,
    "size": 224,
    "resample": 3,
    "do_center_crop": False,
    "crop_size": 224,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": _HALF,
    "image_std": _HALF,
}
_IMAGENET: Final = {"image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD}
_KINDS: Final[dict[str, dict[str, Any]]] = {
    "ViT": {"resample": 2},
    "DeiT": {"size": 256, "do_center_crop": True},
    "Siglip": {"size": {"height": 224, "width": 224}},
    "CLIP": {**_CROPPED, "image_mean": _CLIP_MEAN, "image_std": _CLIP_STD},
    "Bit": {**_CROPPED, "image_mean": _CLIP_MEAN, "image_std": _CLIP_STD},
    "Beit": {},
    "Pvt": _IMAGENET,
    "Segformer": {"size": 512, "resample": 2, **_IMAGENET},
    "MobileNetV1": {"size": {"shortest_edge": 256}, "resample": 2, "do_center_crop": True},
    "MobileNetV2": {"size": {"shortest_edge": 256}, "resample": 2, "do_center_crop": True},
    "ConvNext": {"size": {"shortest_edge": 384}, "crop_pct": 224 / 256},
    "Levit": {**_CROPPED, **_IMAGENET},
    "PoolFormer": {**_CROPPED, **_IMAGENET, "crop_pct": 0.9},
    "EfficientNet": {"size": 346, "crop_size": 289, "rescale_offset": False, "include_top": True},
    "MobileViT": {
        **_CROPPED,
        "crop_size": 256,
        "do_normalize": False,
        "do_flip_channel_order": True,
    },
}
# A number alone means the short side for these, both sides for the others.
_SHORT: Final = (
    "Siglip",
    "CLIP",
    "Bit",
    "MobileNetV1",
    "MobileNetV2",
    "ConvNext",
    "Levit",
    "PoolFormer",
    "MobileViT",
)
_BY_MODEL: Final = {
    "vit": "ViT", "swin": "ViT", "swinv2": "ViT", "vit_msn": "ViT", "deit": "DeiT", "siglip": "Siglip",
    "siglip2": "Siglip", "clip": "CLIP", "metaclip_2": "CLIP", "bit": "Bit", "dinov2": "Bit",
    "dinov2_with_registers": "Bit", "focalnet": "Bit", "hiera": "Bit", "beit": "Beit",
    "data2vec-vision": "Beit", "pvt": "Pvt", "pvt_v2": "Pvt", "segformer": "Segformer",
    "mobilenet_v1": "MobileNetV1", "mobilenet_v2": "MobileNetV2", "convnext": "ConvNext",
    "convnextv2": "ConvNext", "resnet": "ConvNext", "regnet": "ConvNext", "cvt": "ConvNext",
    "levit": "Levit", "poolformer": "PoolFormer", "efficientnet": "EfficientNet",
    "mobilevit": "MobileViT", "mobilevitv2": "MobileViT",
}  # fmt: skip
# Keys that change no pixel of an RGB image.
_IDLE: Final = (
    "image_processor_type", "feature_extractor_type", "processor_class", "_processor_class",
    "do_convert_rgb", "_valid_processor_keys", "return_tensors", "data_format", "input_data_format",
    "device", "default_to_square", "disable_grouping", "use_fast", "backend", "image_seq_length",
    "crop_pct", "num_channels",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What is done to an image before the network.

    Attributes:
        input: Geometry, mean and deviation.
        reverse_channels: Whether the network wants blue first.
    """

    input: InputSpec
    reverse_channels: bool = False


def preprocessing(said: Mapping[str, Any], model_type: str, source: str) -> Preprocessing:
    """Turn a processor's configuration into an input rule.

    Args:
        said: The object of ``preprocessor_config.json``.
        model_type: Kind of the network, which tells the processor where the file does not.
        source: The file, for messages.

    Raises:
        DetectorError: If a step of it is not one that can be done exactly; says which.
    """
    kind = _kind(said, model_type, source)
    silent = _COMMON | _KINDS[kind]
    # A step that is null is not taken; only what is left out is as the library has it by default.
    values = silent | dict(said)
    _refuse_unknown(said, silent, source)
    try:
        spec = InputSpec(**_geometry(values, kind, source), **_colours(values, source))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DetectorError(
            f"{source}: {where}: {first['msg'].removeprefix('Value error, ')}: pass --input RULE instead"
        ) from error
    return Preprocessing(spec, bool(values.get("do_flip_channel_order")))


def _kind(said: Mapping[str, Any], model_type: str, source: str) -> str:
    if "auto_map" in said:
        raise DetectorError(
            f"{source} asks for code of its own (auto_map), which is never run: pass --input RULE instead"
        )
    name = said.get("image_processor_type") or said.get("feature_extractor_type")
    if name is None:
        kind = _BY_MODEL.get(model_type, "")
        name = f"nothing, and the processor of {model_type!r}"
    else:
        kind = str(name)
        for ending in ("Pil", "Fast", "ImageProcessor", "FeatureExtractor"):
            kind = kind.removesuffix(ending)
    known = {each.casefold(): each for each in _KINDS}
    if kind.casefold() not in known:
        raise DetectorError(
            f"{source} names {name} (image_processor_type), whose steps are not known here: pass "
            "--input RULE instead, such as --input 'resize(224, mean=half, std=half)'"
        )
    return known[kind.casefold()]


def _refuse_unknown(said: Mapping[str, Any], known: Mapping[str, Any], source: str) -> None:
    for key, value in said.items():
        if key not in known and key not in _IDLE and value not in (None, False, {}, []):
            raise DetectorError(
                f"{source} says {key} = {str(value)[:60]}, a step that is not known here: pass --input RULE "
                "instead"
            )


def _geometry(values: Mapping[str, Any], kind: str, source: str) -> dict[str, Any]:
    """The fields of the rule that say where its pixels come from."""
    fields: dict[str, Any] = {"interpolation": _filter(values["resample"], source)}
    crop = _size(values["crop_size"], "crop_size", source)[0] if values["do_center_crop"] else None
    if not values["do_resize"]:
        return fields | (
            {"fit": "native", "size": None} if crop is None else _cut(crop) | {"fit": "crop"}
        )
    square = values.get("default_to_square")
    short_alone = kind in _SHORT if square is None else not square
    size, short = _size(values["size"], "size", source, short=short_alone)
    if kind == "ConvNext":
        if not short:
            raise DetectorError(
                f"{source}: size {values['size']} of ConvNext needs a shortest_edge"
            )
        side = sides(size)[0]
        if side >= 384:  # squeezed whole from here on
            short = False
        elif crop not in (None, side, (side, side)):
            raise DetectorError(
                f"{source} crops twice, to {side} and to {crop} px: pass --input RULE instead"
            )
        else:
            return fields | _cut(side) | {
                "fit": "shortest-crop", "resize_to": int(side / _share(values, source)),
            }  # fmt: skip
    elif kind == "Levit" and short:
        size = int((256 / 224) * sides(size)[0])
    elif kind == "PoolFormer" and values["crop_pct"] is not None:
        height, width = (int(side / _share(values, source)) for side in sides(size))
        size, short = (height, True) if height == width else ((height, width), False)
    if short:
        if crop is None:
            return fields | {"fit": "native", "size": None, "resize_to": sides(size)[0]}
        return fields | _cut(crop) | {"fit": "shortest-crop", "resize_to": sides(size)[0]}
    if crop is None or sides(crop) == sides(size):
        return fields | {"fit": "resize", "size": size}
    return fields | _cut(crop) | {"fit": "resize", "resize_to": size}


def _cut(crop: Size) -> dict[str, Any]:
    """A centre crop as transformers makes it."""
    return {"size": crop, "padding": "zero", "rounding": "floor"}


def _share(values: Mapping[str, Any], source: str) -> float:
    share = values["crop_pct"]
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise DetectorError(f"{source}: crop_pct = {share}: a share in (0, 1] was expected")
    return float(share)


def _size(value: Any, key: str, source: str, *, short: bool = False) -> tuple[Size, bool]:
    """Read any form of a size; also says whether it is the short side's alone."""
    if isinstance(value, Mapping):
        given = {name: side for name, side in value.items() if side is not None}
        if given.keys() == {"height", "width"}:
            height, width = (_pixels(given[name], key, source) for name in ("height", "width"))
            return (height if height == width else (height, width)), False
        if given.keys() == {"shortest_edge"}:
            return _pixels(given["shortest_edge"], key, source), True
        raise DetectorError(
            f"{source}: {key} = {dict(value)}: height and width, or shortest_edge, were expected; pass "
            "--input RULE instead"
        )
    if isinstance(value, list | tuple) and len(value) == 2:
        height, width = (_pixels(side, key, source) for side in value)
        return (height if height == width else (height, width)), False
    return _pixels(value, key, source), short


def _pixels(value: Any, key: str, source: str) -> int:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 1 <= value <= 4096 or value != int(value):
        raise DetectorError(f"{source}: {key} = {value!r}: pixels from 1 to 4096 were expected")
    return int(value)


def _filter(value: Any, source: str) -> str:
    if isinstance(value, str) and value.lower() in _FILTERS:
        return value.lower()
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(_FILTERS):
        return _FILTERS[value]
    raise DetectorError(f"{source}: resample = {value!r}: a number from 0 to 5 was expected")


def _colours(values: Mapping[str, Any], source: str) -> dict[str, tuple[float, ...]]:
    """Fold every step between levels of 0..255 and the network into one mean and one deviation in [0, 1]."""
    scale = (
        _numbers(values["rescale_factor"], "rescale_factor", source)[0]
        if values["do_rescale"]
        else 1
    )
    # A level times its factor is a value in [0, 1] times this; the usual factor leaves no trace.
    unit = 1.0 if abs(255 * scale - 1) < 1e-9 else 255 * scale
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if values["do_normalize"] and "do_flip_channel_order" not in values:
        mean = _numbers(values["image_mean"], "image_mean", source)
        std = _numbers(values["image_std"], "image_std", source)
    if values.get("rescale_offset") and values["do_rescale"]:
        mean = _each(mean, lambda number: number + 1)
    if values.get("include_top"):
        again = _numbers(values["image_std"], "image_std", source)
        std = (std[0] * again[0], std[1] * again[1], std[2] * again[2])
    return {"mean": _each(mean, lambda n: n / unit), "std": _each(std, lambda n: n / unit)}


def _each(
    values: tuple[float, float, float], change: Callable[[float], float]
) -> tuple[float, float, float]:
    return change(values[0]), change(values[1]), change(values[2])


def _numbers(value: Any, key: str, source: str) -> tuple[float, float, float]:
    numbers = list(value) if isinstance(value, list | tuple) else [value] * 3
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or not all(
        isinstance(number, int | float) and not isinstance(number, bool) for number in numbers
    ):
        raise DetectorError(
            f"{source}: {key} = {str(value)[:60]}: three numbers were expected, for RGB"
        )
    return float(numbers[0]), float(numbers[1]), float(numbers[2])
