"""Passes over rows, wherever they are: an array, batches, chunks of a dask collection."""
