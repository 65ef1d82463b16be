"""What the pictures are made of."""
