"""Passes over rows: of an array, of batches, of dask chunks."""
