"""The stored scores of a run, condition by condition: how far they go, and whether they can be believed."""
