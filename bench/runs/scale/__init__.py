"""The plan of a run far larger than this machine: counts and demands on paper, and a simulated clock."""
