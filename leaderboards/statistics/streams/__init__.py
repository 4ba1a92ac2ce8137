"""The numbers of a cell whose scores lie on disk: sorted in runs, merged, and summed in bounded memory."""
