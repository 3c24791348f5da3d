"""What is done to a model while it runs: frozen descriptions and pure functions on tensors."""
