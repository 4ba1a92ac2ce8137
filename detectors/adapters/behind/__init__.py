"""Spellings of what stands around another detector; before the others, whose marks they may hold inside."""
