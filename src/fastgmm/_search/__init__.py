"""The search over covariance types and numbers of components."""
