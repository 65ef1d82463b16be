"""The parts of the estimators: fits, streams, inference, conversion, and checks of parameters and attributes."""
