"""What kind of file somebody calls weights, by its first bytes, and what to do with each kind."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from detectors.errors import WeightsError

Form = Literal["safetensors", "torch archive", "torch pickle", "other"]

_HEAD = 512
# torch's legacy checkpoints begin with the pickle of this number.
_LEGACY_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
_LEGACY_WITHIN = 24
_ADVICE_STATE = "save the network's state dict with `torch.save(network.state_dict(), FILE)`"


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a file is.

    Attributes:
        name: In a few words.
        form: How tensors are read from it; ``other`` where there is no way.
        advice: What to do with it; empty where it can be read.
        is_certain: Whether it is that kind and no other; a damaged file may have been any.
    """

    name: str
    form: Form
    advice: str = ""
    is_certain: bool = True


SAFETENSORS = FileKind("safetensors", "safetensors")
TORCH_ARCHIVE = FileKind("torch checkpoint (zip archive)", "torch archive")
TORCH_LEGACY = FileKind("torch checkpoint (legacy pickle)", "torch pickle")

_BEGINNINGS: tuple[tuple[bytes, FileKind], ...] = tuple(
    (beginning, FileKind(name, "other", advice))
    for beginning, name, advice in (
        (b"\x89HDF\r\n\x1a\n", "HDF5 file (Keras)", "load it in Keras and export the tensors as safetensors"),
        (b"GGUF", "GGUF file", "take the weights before they were quantised"),
        (b"\x93NUMPY", "NumPy array", "save all arrays by name as safetensors"),
        (b"\x1f\x8b", "gzip archive", "unpack it first"),
        (b"\xfd7zXZ\x00", "xz archive", "unpack it first"),
        (b"BZh", "bzip2 archive", "unpack it first"),
        (b"\x28\xb5\x2f\xfd", "zstandard archive", "unpack it first"),
        (b"7z\xbc\xaf\x27\x1c", "7z archive", "unpack it first"),
        (b"Rar!", "RAR archive", "unpack it first"),
        (b"PAR1", "Parquet table", "it is data, not weights"),
        (b"\x89PNG\r\n\x1a\n", "PNG image", "it is an image, not weights"),
        (b"\xff\xd8\xff", "JPEG image", "it is an image, not weights"),
        (b"%PDF", "PDF document", "it is a document, not weights"),
        (b"\x7fELF", "program", "it is a program, not weights"),
    )
)  # fmt: skip


def not_weights(path: Path, kind: FileKind) -> WeightsError:
    """Word the refusal of a file that is no form of weights."""
    return WeightsError(f"{path} is not weights that can be read ({kind.name}): {kind.advice}")


def file_kind(path: Path) -> FileKind:
    """Tell what a file is from its first bytes and, for an archive, from the names in it.

    Raises:
        WeightsError: If it is no regular file, is empty, or cannot be opened.
    """
    size = regular_size(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read ({error.strerror or error}): check its permissions"
        ) from error
    return _by_content(path, head, size)


def regular_size(path: Path) -> int:
    """Give the size of a regular file in bytes; a pipe or device is never opened.

    Raises:
        WeightsError: If there is none, it is of another kind, or it is empty.
    """
    try:
        facts = path.stat()
    except (OSError, ValueError) as error:  # a name may hold a NUL
        raise WeightsError(f"no weights file at {path}: check the path") from error
    if stat.S_ISDIR(facts.st_mode):
        raise WeightsError(f"{path} is a folder, not a weights file: name the file inside it")
    if not stat.S_ISREG(facts.st_mode):
        raise WeightsError(f"{path} is a pipe or device, not a weights file: name a regular file")
    if facts.st_size == 0:
        raise WeightsError(f"{path} is empty: fetch it again")
    return facts.st_size


def _by_content(path: Path, head: bytes, size: int) -> FileKind:
    known = next((kind for beginning, kind in _BEGINNINGS if head.startswith(beginning)), None)
    kind = known or _container(path, head) or _sent_instead(head)
    if kind is not None:
        return kind
    return SAFETENSORS if _is_safetensors(head, size) else _text_or_unknown(path, head)


def _container(path: Path, head: bytes) -> FileKind | None:
    if head[4:8] == b"TFL3":
        return FileKind("TensorFlow Lite model", "other", "take the weights it was made from")
    if head[257:262] == b"ustar":
        advice = f"unpack it first; where torch wrote it, {_ADVICE_STATE}"
        return FileKind("tar archive", "other", advice)
    if is_archive(path):
        return _archive(path)
    if head.startswith(b"PK\x03\x04"):
        advice = "it is cut off: fetch it again"
        return FileKind("zip archive without an end", "other", advice, is_certain=False)
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return _pickle(head)
    return None


def is_archive(path: Path) -> bool:
    """Say whether a file ends as a zip archive does; one whose end cannot be read is one all the same."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # an end that tells of further disks
        return True


def _sent_instead(head: bytes) -> FileKind | None:
    """What a server or a version control system sends in place of a file."""
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return FileKind("web page", "other", "the download was redirected: fetch it again")
    if text.startswith(b"version https://git-lfs"):
        return FileKind("Git LFS pointer", "other", "run `git lfs pull`")
    return None


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and 2 <= length <= size


def _text_or_unknown(path: Path, head: bytes) -> FileKind:
    if head.lstrip().startswith((b"{", b"[")):
        advice = "it is a description: name the weights file that it speaks of"
        return FileKind("JSON text", "other", advice)
    # An ONNX model is a protocol buffer that begins with its version, then its maker's name.
    if path.suffix.lower() == ".onnx" or (head[:1] == b"\x08" and head[2:3] in (b"\x12", b"\x3a")):
        advice = "score it as it is, `--detector FILE.onnx`, or export the network it was made from"
        return FileKind("ONNX model", "other", advice)
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return FileKind("text", "other", "it is text, not weights: check where it came from")
    if path.suffix.lower() == ".safetensors":
        return FileKind("damaged safetensors file", "other", "fetch it again", is_certain=False)
    return FileKind("no known form", "other", _ADVICE_STATE, is_certain=False)


def _pickle(head: bytes) -> FileKind:
    if _LEGACY_MAGIC in head[:_LEGACY_WITHIN]:
        return TORCH_LEGACY
    advice = f"only code could restore it, and none is run: {_ADVICE_STATE}"
    return FileKind("pickle that torch did not write", "other", advice, is_certain=False)


def _archive(path: Path) -> FileKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception as error:  # zipfile raises what its parser happens to meet
        advice = f"its directory is damaged ({type(error).__name__}): fetch it again"
        return FileKind("damaged zip archive", "other", advice, is_certain=False)
    return _archive_of(names)


def _archive_of(names: Iterable[str]) -> FileKind:
    inner = {name.partition("/")[2] for name in names} | set(names)
    endings = {name.rpartition(".")[2] for name in inner}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        advice = (
            "it is a program, and loading it would run its code, so it is refused: export the network to "
            "ONNX (--detector FILE.onnx), or, in the code that made it, " + _ADVICE_STATE
        )
        return FileKind("TorchScript archive", "other", advice)
    if "data.pkl" in inner:
        return TORCH_ARCHIVE
    if any(name.startswith(("models/", "archive_format", "serialized_")) for name in inner):
        return FileKind("torch.export program", "other", _ADVICE_STATE)
    if "npy" in endings:
        return FileKind("NumPy archive (.npz)", "other", "save its arrays by name as safetensors")
    if "model.weights.h5" in inner:
        return FileKind("Keras model", "other", "export its tensors as safetensors")
    return FileKind("zip archive", "other", "unpack it, and name the weights file inside")
