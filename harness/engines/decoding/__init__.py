"""Decoding: what every engine does alike between logits and tokens."""
