"""Data from users: containers, checks, readers of files."""
