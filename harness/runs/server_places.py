"""Where a spec names a server that cannot be asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.errors import FieldError, ModelError, TitrateError
from harness.metrics.entry import Opening
from harness.runs.planned_case import PlannedCase
from harness.spec import Experiment, SpecSource
from harness.spec.experiment import EngineSettings


def located(
    error: ModelError, model: str, settings: EngineSettings, cases: Sequence[PlannedCase]
) -> TitrateError:
    """The error of an engine that did not open, with the place of its address in a case's spec.

    What is no server, and what no spec of these cases names, stays as it is.
    """
    if settings.base_url is None:
        return error
    problem = str(error).removeprefix("engine.base_url ")
    for planned in cases:
        source = planned.case.source
        for section, of, each, remedy in _asked(planned.experiment):
            if (of, each) == (model, settings):
                return source.locate(FieldError(_place(section, source), problem + remedy))
        openings: Iterable[Opening] = planned.measure.engines_of(planned.experiment).values()
        for opening in openings:  # which have no address in a model's place
            if opening.section and (opening.model, opening.settings) == (model, settings):
                field = f"{opening.section}.engine.base_url"
                return source.locate(FieldError(field, problem))
    return error


def _asked(experiment: Experiment) -> Iterator[tuple[str, str, EngineSettings, str]]:
    """The sections that name a model, what asks for it, and what may be missing there."""
    yield "", experiment.model, experiment.engine, ""
    asked = {} if experiment.intervention is None else experiment.intervention.engines()
    for model, engine in asked.values():
        remedy = "" if engine else ", or say by intervention.engine what runs it"
        yield "intervention.", model, engine or experiment.engine, remedy


def _place(section: str, source: SpecSource) -> str:
    """The field of an address: that of an engine, or the model's, in whose place it may stand."""
    written, above = source.origin(f"{section}engine"), source.origin(section.rstrip("."))
    return f"{section}model" if written == above else f"{section}engine.base_url"
