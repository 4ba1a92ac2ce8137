"""What a paper published of its detector, and how its weights file is read."""

from __future__ import annotations
