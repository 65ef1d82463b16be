"""Starts for EM."""
