"""Oracle help: a model that may ask another one for the next tokens, on a budget."""
