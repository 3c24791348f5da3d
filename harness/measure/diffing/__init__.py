"""What a change has put into a model: read on unrelated text, with it and without it."""
