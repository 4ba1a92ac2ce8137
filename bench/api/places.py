"""How a place on disk may be named from Python."""

from __future__ import annotations

from pathlib import Path

PathLike = str | Path
