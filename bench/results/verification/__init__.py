"""Does a board follow from the scores beside it: recomputed, and held against each file that is there."""
