"""Data sets that lie in object stores."""
