"""The kind `adapter`: a PEFT LoRA at a scale."""
