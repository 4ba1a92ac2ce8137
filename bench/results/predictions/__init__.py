"""Verdicts on images of a user's own, and the files that hold them."""
