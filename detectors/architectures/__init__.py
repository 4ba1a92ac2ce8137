"""Networks of the studies and of general use, by name: one file each, or a family of them."""
