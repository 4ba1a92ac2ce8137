"""In which order a run scores its images, and in which chunks."""
