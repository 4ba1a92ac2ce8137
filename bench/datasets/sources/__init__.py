"""Where images lie, and their bytes."""
