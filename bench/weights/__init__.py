"""Weights files of unknown origin: what they hold, whose they are, whether they are sound, made plain."""
