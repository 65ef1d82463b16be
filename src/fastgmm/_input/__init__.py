"""Data from users: kinds of containers, checks, and readers of files."""
