"""What one image says of itself: its file, the software that wrote it, its pixels."""
