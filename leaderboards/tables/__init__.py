"""Cells and the tables made of them."""
