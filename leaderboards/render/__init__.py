"""Renderers: pure functions from rows and notes to text, one file a format."""
