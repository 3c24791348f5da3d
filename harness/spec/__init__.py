"""What to run: spec files, their experiments and cases. Never imports torch.

Names are imported when they are first used: who asks for one module of this room, such as an engine
for what engines say of themselves, does not load the form of a spec.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.spec.case import Case
    from harness.spec.experiment import (
        EngineSettings,
        Experiment,
        PromptSettings,
        Requirements,
    )
    from harness.spec.grid import expand
    from harness.spec.intervention import InterventionSettings
    from harness.spec.loading import engine_settings, load
    from harness.spec.origins import Origin, SpecSource
    from harness.spec.sampling import SamplingSettings
    from harness.spec.schema import experiment_schema
    from harness.spec.task import TaskSettings

__all__ = [
    "Case",
    "EngineSettings",
    "Experiment",
    "InterventionSettings",
    "Origin",
    "PromptSettings",
    "Requirements",
    "SamplingSettings",
    "SpecSource",
    "TaskSettings",
    "engine_settings",
    "expand",
    "experiment_schema",
    "load",
]

_MODULES = {
    "Case": "case",
    "EngineSettings": "experiment",
    "Experiment": "experiment",
    "InterventionSettings": "intervention",
    "Origin": "origins",
    "PromptSettings": "experiment",
    "Requirements": "experiment",
    "SamplingSettings": "sampling",
    "SpecSource": "origins",
    "TaskSettings": "task",
    "engine_settings": "loading",
    "expand": "grid",
    "experiment_schema": "schema",
    "load": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'harness.spec' has no attribute {name!r}")
    return getattr(import_module(f"harness.spec.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
