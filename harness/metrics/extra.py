"""What metrics need of optional packages: found to be there before anything is loaded."""

from __future__ import annotations

from importlib.util import find_spec

from harness.errors import FieldError


def check_installed(module: str, extra: str) -> None:
    """Raise `FieldError`, of an item's `kind`, where a package of an extra is not installed."""
    if find_spec(module) is None:
        raise FieldError(
            "kind",
            f"needs the package {module}, which is not installed; pip install "
            f"'pytest-titrate[{extra}]'",
        )
