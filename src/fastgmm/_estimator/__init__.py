"""Parts of the estimators: fits, streams, inference, checks."""
