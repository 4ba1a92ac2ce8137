"""The report: one HTML file that tells a run's answer first and holds all that it rests on."""
