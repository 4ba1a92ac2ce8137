"""Detectors in processes of their own: a crash, an exit or too much memory costs one detector's unit only."""
