"""Detectors as their papers published them, one file a method; their weights are not shipped."""
