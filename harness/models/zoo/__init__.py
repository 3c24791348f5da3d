"""Small trained models that ship with the harness: real behaviour in a few megabytes."""

from harness.models.zoo.catalog import build, card, names, resolve

__all__ = ["build", "card", "names", "resolve"]
