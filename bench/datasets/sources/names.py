"""What the suffix of a file's name announces: an image, a table, an archive, or nothing of interest."""

from __future__ import annotations

import re
from typing import Final


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Suffixes that announce an image. Those no policy opens are here too: such a file is listed as
# bad with the reason, where an unknown suffix might go unnoticed.
IMAGE_SUFFIXES: Final = _set_of(
    ".jpg .jpeg .jpe .jfif .png .apng .webp .bmp .gif .tif .tiff .avif .heic .heif .jxl .jp2 .ppm "
    ".pgm"
)
TABLE_SUFFIXES: Final = frozenset({".csv", ".jsonl", ".parquet"})

# What lies beside images and is meant as no image: not worth a line among the bad ones.
SIDECARS: Final = TABLE_SUFFIXES | _set_of(
    ".txt .json .tsv .md .rst .xml .yaml .yml .toml .html .htm .npy .npz .pt .pth .pkl .log .py "
    ".sh .pdf .db .ini .cfg .zip .gz .tar .tgz .7z .rar .sha256 .md5 .lock .svg .xmp .aae .ipynb "
    ".mat .h5 .lmdb .arrow .safetensors"
)
# Archives that are read in place, and others that have to be unpacked first.
ARCHIVE_SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz")
_OTHER_ARCHIVE: Final = re.compile(
    r"\.(?:7z|rar|tar\.\w+|tbz2?|txz|tzst|zst|bz2|xz|gz|z\d\d|r\d\d|(?:zip|7z|tar|tgz|gz)\.\w{2,3})$"
    r"|\.part\w{2,3}$",
    re.IGNORECASE,
)
# What operating systems and archivers leave beside data.
LITTER: Final = frozenset({"__macosx", "thumbs.db", "desktop.ini", "__pycache__"})

MOST_FOLDERS: Final = 64
_MOST_CHARACTERS: Final = 4096


def suffix(path: str) -> str:
    """Give the last suffix of a path in lower case, with its dot; "" for none.

    As pathlib has it, without a path object for every file of a data set.
    """
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def stem(name: str) -> str:
    """Give a file's name without its suffix; ``.tar.gz`` is one.

    Example:
        >>> stem("fakes.tar.gz"), stem("a.b.png")
        ('fakes', 'a.b')
    """
    for ending in ARCHIVE_SUFFIXES:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name[: -len(suffix(name))] if suffix(name) else name


def is_image_name(path: str) -> bool:
    """Whether the suffix announces an image."""
    return suffix(path) in IMAGE_SUFFIXES


def is_table_name(path: str) -> bool:
    """Whether the suffix announces a CSV, JSONL or Parquet table."""
    return suffix(path) in TABLE_SUFFIXES


def is_archive_name(path: str) -> bool:
    """Whether the suffix announces an archive that is read in place."""
    return path.lower().endswith(ARCHIVE_SUFFIXES)


def is_other_archive_name(path: str) -> bool:
    """Whether a name announces an archive, or a part of one, that has to be unpacked first.

    Example:
        >>> is_other_archive_name("a.7z"), is_other_archive_name("a.z01"), is_other_archive_name("a.zip")
        (True, True, False)
    """
    return not is_archive_name(path) and _OTHER_ARCHIVE.search(path) is not None


def is_hidden(name: str) -> bool:
    """Whether a name is one that listings pass over: hidden, or litter."""
    return name.startswith(".") or name.lower() in LITTER


def leads_out(path: str) -> bool:
    """Whether a POSIX path leads out of the folder that it is relative to, on any system."""
    return path.startswith("/") or ".." in path.split("/") or bool(re.match("[A-Za-z]:", path))


def name_problem(path: str, place: str) -> str:
    """Say why what strangers call a file is no name for one; "" where it is.

    Args:
        path: POSIX, relative.
        place: what holds the file, for the sentence.
    """
    if "\0" in path:
        return "a name with a zero byte in it"
    if leads_out(path):
        return f"a name that leads out of {place}"
    if len(path) > _MOST_CHARACTERS or path.count("/") >= MOST_FOLDERS:
        return f"a name of more than {_MOST_CHARACTERS} characters or {MOST_FOLDERS} folders"
    return "" if printable(path) == path else "a name that is not valid UTF-8"


def printable(path: str) -> str:
    """Give a name that can be written down: what is no UTF-8 in it is spelled out."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
