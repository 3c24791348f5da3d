"""Small trained models: those that ship with us, and those that a package brings."""

from harness.models.zoo.catalog import (
    card,
    lacking,
    names,
    packaged,
    resolve,
    ships,
    written_config,
)

__all__ = ["card", "lacking", "names", "packaged", "resolve", "ships", "written_config"]
