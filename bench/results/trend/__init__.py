"""One metric over runs, each held against the run before it."""
