"""A run's scores image by image: as one table, and as files of it."""
