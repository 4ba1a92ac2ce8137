"""From a tree of files to a manifest."""
