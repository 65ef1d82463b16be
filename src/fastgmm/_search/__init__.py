"""The search over numbers of components and covariance types."""
