"""The folder of a run: whose it is, and how the run in it is repeated."""
