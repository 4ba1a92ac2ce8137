"""Boards of more scores than memory should hold: a run read in parts and laid into files by column."""
