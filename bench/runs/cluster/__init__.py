"""The same units on many machines: Dask carries chunks to workers, the client alone writes the store."""
