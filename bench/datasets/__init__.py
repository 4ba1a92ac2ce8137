"""Data sets: indexed into a manifest by a layout, decoded under one policy. Imports no torch."""

from __future__ import annotations

from bench.datasets.decode import decode, load
from bench.datasets.indexing.index import index
from bench.datasets.indexing.reader import Progress
from bench.datasets.layouts import builtin_layouts
from bench.datasets.manifest import Manifest
from bench.datasets.places import default_cache_dir
from bench.datasets.pocket import pocket_root
from bench.datasets.policy import (
    DEFAULT,
    BadImageError,
    DecodePolicy,
    StaleIndexError,
    codec_versions,
)
from bench.datasets.record import FAKE, REAL, SCHEMA, ImageRecord
from bench.datasets.sources.image_bytes import open_bytes
from bench.datasets.sources.regular_file import read_image_file

__all__ = [
    "DEFAULT",
    "FAKE",
    "REAL",
    "SCHEMA",
    "BadImageError",
    "DecodePolicy",
    "ImageRecord",
    "Manifest",
    "Progress",
    "StaleIndexError",
    "builtin_layouts",
    "codec_versions",
    "decode",
    "default_cache_dir",
    "index",
    "load",
    "open_bytes",
    "pocket_root",
    "read_image_file",
]
