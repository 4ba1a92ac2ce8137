"""Networks of the studies, one file each."""
