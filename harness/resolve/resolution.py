"""How a kind's section becomes its description: what each kind brings to `resolver.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from harness.engines.contract import Engine
from harness.engines.declared import Declared
from harness.interventions.base import Intervention
from harness.interventions.kind import kind_of
from harness.resolve.progress import Progress, Silent
from harness.spec import Experiment
from harness.spec.intervention import InterventionSettings
from harness.store.completions import CompletionStore
from harness.store.results import UsageMap
from harness.tasks.base import Style

S = TypeVar("S", bound=InterventionSettings)


class Resolution(Generic[S]):
    """From sections of one kind to interventions, for the cases of one model.

    The static methods are asked before weights are loaded, and with no engine. `resolve` uses the
    engine only where `measured` says what for, and `others`, those of the models that cases ask, by
    their names; what it measured, it keeps.
    """

    def __init__(
        self,
        engine: Engine,
        progress: Progress,
        store: CompletionStore | None = None,
        others: Mapping[str, Engine] | None = None,
    ) -> None:
        self.engine = engine
        self.progress = progress
        self.store = store
        self.others = others or {}

    @classmethod
    def check(cls, experiment: Experiment, settings: S) -> None:
        """Raise `FieldError` or `ModelError` for what cannot be done.

        Unless a kind says otherwise: what `resolve` refuses, where nothing is measured for it.
        """
        cls.needs(experiment, settings)

    @staticmethod
    def measured(experiment: Experiment, settings: S) -> str | None:  # noqa: ARG004 - for kinds
        """What has to be measured on the model before the intervention is known, if anything."""
        return None

    @staticmethod
    def styles(experiment: Experiment, settings: S) -> Mapping[Style, str]:  # noqa: ARG004 - above
        """Prompt styles that measuring reads the task in, with the field that asks for each."""
        return {}

    @classmethod
    def needs(cls, experiment: Experiment, settings: S) -> Declared:
        """What an engine is asked, by measuring and by the intervention itself."""
        if cls.measured(experiment, settings) is not None:
            return Declared()
        # Nothing is measured, so that nothing is asked of this engine.
        unasked: Engine = None  # type: ignore[assignment]
        return Declared.of([cls(unasked, Silent()).resolve(experiment, settings)])

    @classmethod
    def again(
        cls,
        experiment: Experiment,
        settings: S,
        usage: UsageMap | None,  # noqa: ARG003 - for kinds
    ) -> Intervention | None:
        """What a section comes to, the same to the bit on every machine, without a model; None
        where that needs more than a configuration, `files`, or a recorded map of `usage`.

        Unless a kind says otherwise: known where it is the values of the section.
        """
        if cls.resolve is not Resolution.resolve:
            return None
        unasked: Engine = None  # type: ignore[assignment]
        return cls(unasked, Silent()).resolve(experiment, settings)

    @staticmethod
    def files(settings: S) -> tuple[str, ...]:  # noqa: ARG004 - for kinds
        """The files that `again` reads: whoever is to resolve it again is given them."""
        return ()

    def known(self, experiment: Experiment, settings: S) -> bool:
        """Whether the intervention can be had without asking the engine for anything."""
        return self.measured(experiment, settings) is None

    def resolve(self, experiment: Experiment, settings: S) -> Intervention:  # noqa: ARG002 - above
        """The intervention. Raises `FieldError` or `TaskError` for an impossible one.

        Unless a kind says otherwise: its description, with the values of the section.
        """
        return kind_of(settings.kind).description.model_validate(settings.model_dump())

    def usage(self, experiment: Experiment, settings: S) -> UsageMap | None:  # noqa: ARG002 - above
        """Measured router usage that the intervention follows from, for the report, once known."""
        return None
