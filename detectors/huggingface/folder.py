"""The files of a classifier's folder: JSON that may be hostile, and weights in one piece or in several."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from detectors.errors import DetectorError, WeightsError
from detectors.weights import file_sha256, read_named

CONFIG = "config.json"
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_SAFE, _PICKLE = "model.safetensors", "pytorch_model.bin"
_MOST_JSON = 16 << 20


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DetectorError: If it is missing, too large, or no object.
    """
    try:
        if path.stat().st_size > _MOST_JSON:
            raise DetectorError(f"{path} has more than 16 MiB: it is no configuration")
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DetectorError(f"no {path.name} in {path.parent}") from None
    except OSError as error:
        raise DetectorError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]
        raise DetectorError(f"{path} is no JSON ({reason}): fetch it again") from error
    if not isinstance(value, dict):
        raise DetectorError(f"{path} holds a {type(value).__name__}, not a configuration")
    return value


def processor_file(place: Path) -> Path | None:
    """Find the file that states the preprocessing, in a folder or itself; None where there is none."""
    if place.is_file():
        return place
    return next((place / name for name in _PROCESSORS if (place / name).is_file()), None)


def read_processor(path: Path) -> dict[str, Any]:
    """Read the preprocessing of images, also where it stands among that of texts.

    Raises:
        DetectorError: If it cannot be read, or states none of images.
    """
    value = read_json(path)
    inner = value.get("image_processor")
    if isinstance(inner, dict):
        return inner
    if path.name == "processor_config.json":
        raise DetectorError(
            f"{path} states no image_processor: pass --processor DIR of a folder that does, or --input RULE"
        )
    return value


def weights_files(folder: Path) -> list[Path]:
    """Find the files that hold the weights, in order: safetensors where there are any, else a pickle.

    Raises:
        WeightsError: If there are none, or some that the index names are missing.
    """
    for name in (_SAFE, _PICKLE):
        if (folder / name).is_file():
            return [folder / name]
        if (folder / f"{name}.index.json").is_file():
            return _shards(folder, folder / f"{name}.index.json")
    others = sorted(
        p.name for p in folder.iterdir() if p.suffix in (".safetensors", ".bin", ".pth", ".pt")
    )
    beside = f" (there is {', '.join(others[:4])}: rename the one that is meant)" if others else ""
    raise WeightsError(
        f"{folder} holds neither {_SAFE} nor {_PICKLE}{beside}: fetch the weights too"
    )


def _shards(folder: Path, index: Path) -> list[Path]:
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise WeightsError(f"{index} names no files (weight_map): fetch it again")
    files = []
    for name in dict.fromkeys(names.values()):
        if not isinstance(name, str) or Path(name).name != name:
            raise WeightsError(
                f"{index} names {name!r}, which is no file beside it: fetch it again"
            )
        if not (folder / name).is_file():
            raise WeightsError(f"{index.name} names {name}, which is not in {folder}: fetch it too")
        files.append(folder / name)
    return files


def read_weights(files: list[Path]) -> dict[str, Tensor]:
    """Read every tensor of some files under its own name; no code of theirs is run.

    Raises:
        WeightsError: If one cannot be read, or two hold the same name.
    """
    state: dict[str, Tensor] = {}
    for path in files:
        for name, tensor in read_named(path).items():
            if name in state:
                raise WeightsError(f"{path} holds {name} once more: fetch the folder again")
            state[name] = tensor
    return state


def digests(paths: list[Path]) -> dict[str, str]:
    """Hash files: their sha256 by name."""
    return {path.name: file_sha256(path) for path in paths}


def together(hashes: list[str]) -> str:
    """Give the hash of one file, or of the hashes of several in their order."""
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def integer(config: Mapping[str, Any], key: str) -> int | None:
    """Give a whole number of a configuration; None where there is none."""
    value = config.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
