"""The embedded default engine, on transformers models."""
