"""What to run: spec files, their experiments and cases. Never imports torch."""

from harness.spec.case import Case
from harness.spec.experiment import (
    EngineSettings,
    Experiment,
    PromptSettings,
    Requirements,
)
from harness.spec.grid import expand
from harness.spec.intervention import InterventionSettings
from harness.spec.load import engine_settings, load
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
