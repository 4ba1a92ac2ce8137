"""Places in object stores, by fsspec URLs: named, listed and read; nothing is written there."""
