"""Where a spec names a server that cannot be asked."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import FieldError, ModelError, TitrateError
from harness.runs.planned_case import PlannedCase
from harness.spec.experiment import EngineSettings


def located(
    error: ModelError, settings: EngineSettings, cases: Sequence[PlannedCase]
) -> TitrateError:
    """The error of an engine that did not open, with the place of its address in a case's spec.

    What is no server, and what no spec of these cases names, stays as it is.
    """
    if settings.base_url is None:
        return error
    problem = str(error).removeprefix("engine.base_url ")
    for planned in cases:
        experiment = planned.experiment
        asked = {} if experiment.intervention is None else experiment.intervention.engines()
        places = [("engine.base_url", experiment.engine)]
        places += [("intervention.engine.base_url", each) for _, each in asked.values()]
        for field, each in places:
            if each == settings:
                return planned.case.source.locate(FieldError(field, problem))
    return error
