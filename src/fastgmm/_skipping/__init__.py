"""What a pass may leave out, and whether that pays."""
