"""Mixture models: covariance structures, sufficient statistics, parameters, and the M step between them."""
