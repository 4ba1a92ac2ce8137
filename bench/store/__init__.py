"""What a run keeps: units of work with fingerprints, shards of scores, the run folder."""
