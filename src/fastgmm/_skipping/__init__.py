"""What a pass may leave out without changing its result, and whether that pays."""
