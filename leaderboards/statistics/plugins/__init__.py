"""What other distributions add to the statistics of a board."""
