"""Decoded chunks to scores for all their (detector, condition) pairs."""
