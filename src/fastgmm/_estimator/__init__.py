"""What the estimators share: fitting, streams, inference, conversion, checks of parameters."""
