"""Figures of a run, as the modules of ``leaderboards.plots`` declare them."""
