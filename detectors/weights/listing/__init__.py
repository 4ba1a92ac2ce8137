"""A weights file looked into: what kind it is, what it holds; nothing in it is run."""
