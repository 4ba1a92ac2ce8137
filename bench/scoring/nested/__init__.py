"""Attacks of one series over eps, whose budgets lie in each other: what is attacked, and what is kept."""

from bench.scoring.nested.rounds import rounds_of
from bench.scoring.nested.series import Pictures, Series

__all__ = ["Pictures", "Series", "rounds_of"]
