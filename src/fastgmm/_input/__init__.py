"""Data as users give them: what they are, whether they are valid, and readers of files."""
