"""Models: statistics, covariance structures, the M step."""
