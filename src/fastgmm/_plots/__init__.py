"""Parts of the pictures: checks, marginals, drawing."""
