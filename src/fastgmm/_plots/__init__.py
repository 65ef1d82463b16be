"""Parts of the pictures: what they show, and how it is drawn."""
