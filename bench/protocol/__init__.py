"""The protocol of a run: suites, conditions, threshold policies, severity, seeds; no torch."""
