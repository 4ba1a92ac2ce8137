"""JPEG's round trip without its bit stream: many images of one size at once, in exact arithmetic."""
