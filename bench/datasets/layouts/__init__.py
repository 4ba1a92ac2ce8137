"""One file a layout; each ends with a literal `LAYOUTS`."""
