"""Files: written whole or not at all, read with care, named as reports carry them."""
