"""The bootstrap: fits to resampled rows, and what they tell."""
