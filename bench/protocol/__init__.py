"""What is asked: suites, conditions, threshold policies, severity, seeds; no torch."""
