"""Searches for the best values of an experiment's fields, on splits that cannot leak.

Trials are compared on validation samples; the test samples are scored once, with the best
configuration, beside its neutral dose and its control. Vectors come from training material that
shares no content with either. Needs the extra `search` (Optuna), which only its modules import.
"""

from __future__ import annotations

from importlib.util import find_spec

from harness.errors import TitrateError


def check_installed() -> None:
    """Raise `TitrateError` where what searches need is not installed."""
    if find_spec("optuna") is None:
        raise TitrateError(
            "a search needs the package optuna; pip install 'pytest-titrate[search]'"
        )
