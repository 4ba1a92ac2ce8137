"""The memory of a process: where large blocks come from, and when cycles are looked for."""
