"""Cells that are scored in rounds: in which order images come, and where a cell stops."""
