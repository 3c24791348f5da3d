"""Small trained models that ship with the harness: real behaviour in a few megabytes."""

from harness.models.zoo.catalog import card, names, resolve, written_config

__all__ = ["card", "names", "resolve", "written_config"]
