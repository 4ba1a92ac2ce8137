"""Everything one wants to know of a GPU, asked at once: ``python -m tests.benchmarks.gpu``."""
