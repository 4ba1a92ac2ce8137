"""What is measured of the images of one cell beside rates and ranks."""
