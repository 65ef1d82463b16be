"""Results: gathered in arrays, written to datasets and files."""
