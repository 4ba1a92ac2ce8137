"""The input rule of a detector: what it says, and the views that are taken from its canvas."""
