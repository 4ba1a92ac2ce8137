"""Figures of a leaderboard, one file each: rows of a table in, a matplotlib figure out."""
