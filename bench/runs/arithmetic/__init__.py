"""Which arithmetic each detector is scored in, where the run is to choose: a check on the first images."""
