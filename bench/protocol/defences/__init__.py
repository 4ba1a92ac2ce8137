"""What stands between an image and a detector of a run, as users spell it."""
