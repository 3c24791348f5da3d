"""Small trained models that ship with the harness: real behaviour in a few megabytes."""

from harness.models.zoo.catalog import build, card, check_recipe, names, resolve, written_config

__all__ = ["build", "card", "check_recipe", "names", "resolve", "written_config"]
