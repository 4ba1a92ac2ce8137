"""One run: request, preparation, thresholds, scoring here or on a cluster, record."""
