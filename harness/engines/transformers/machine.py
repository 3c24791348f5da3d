"""Whether the device of an engine's settings is here, found without importing an engine."""

from __future__ import annotations

from functools import cache

from harness.errors import FieldError, ModelError
from harness.models.loading import pick_device
from harness.spec.experiment import EngineSettings


def check_machine(settings: EngineSettings) -> None:
    """Raise `FieldError` for a device that is not here."""
    _check_device(settings.device)


@cache
def _check_device(device: str) -> None:
    try:
        pick_device(device)
    except ModelError as error:
        problem = str(error).removeprefix("engine.device ")
        raise FieldError("engine.device", problem) from error
