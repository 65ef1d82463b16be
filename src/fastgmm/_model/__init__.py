"""What a mixture is: covariance structures, sufficient statistics, parameters and the way from one to the other."""
