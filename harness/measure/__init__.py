"""Looking inside a model while it reads given tokens."""
