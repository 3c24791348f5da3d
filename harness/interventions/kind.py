"""A kind of intervention: its name, by what it acts, and where each of its parts is found.

Parts are references `"module:object"`, or the objects themselves, and are imported when they are
asked for: to read a spec is to import its section and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness import registry
from harness.errors import RegistryError
from harness.interventions.base import Intervention
from harness.registry import load_object
from harness.spec.engine_kind import Mechanism

if TYPE_CHECKING:
    from harness.spec.intervention import InterventionSettings


class Kind:
    """One kind of intervention, as `titrate.interventions` entries hold it.

    Args:
        name: What a spec says as `intervention.kind`.
        summary: One line for listings.
        mechanism: By what it acts; an engine that has the mechanism runs the kind.
        section: The `InterventionSettings` of a spec.
        description: The `Intervention`: numbers and mathematics.
        identities: The `harness.invariants.family.Family`: doses and what they owe.
        resolution: The `harness.resolve.resolution.Resolution` that makes one of the other; by
            default the description has the fields of the section.
        lacking: `(settings) -> str | None`, why what a section names is not here, so that its case
            is skipped, by name; asked before anything heavy is imported.
        grids: Readers (`harness.report.page.grids`) of pictures that only this kind has.
        doses: Of fields whose values are names and may be a spec's dose all the same: what the
            number behind a name is, in words, and `(settings) -> float | None`, which says it.
            None: what is named is not here. Raises ValueError where it has no number.
    """

    def __init__(
        self,
        name: str,
        summary: str,
        *,
        mechanism: Mechanism,
        section: str | type[InterventionSettings],
        description: str | type[Intervention],
        identities: Any,
        resolution: Any = "harness.resolve.resolution:Resolution",
        lacking: Any = None,
        grids: Sequence[Any] = (),
        doses: Mapping[str, tuple[str, Any]] | None = None,
    ) -> None:
        self.name = name
        self.summary = summary
        self.mechanism: Mechanism = mechanism
        self._section = section
        self._description = description
        self._resolution = resolution
        self._identities = identities
        self._lacking = lacking
        self._grids = tuple(grids)
        self._doses = dict(doses or {})

    @cached_property
    def section(self) -> type[InterventionSettings]:
        """What a spec says of it."""
        found: type[InterventionSettings] = self._checked("section", self._section)
        return found

    @cached_property
    def description(self) -> type[Intervention]:
        """What is done to a model, as numbers."""
        found: type[Intervention] = self._checked("description", self._description)
        if found.mechanism != self.mechanism:
            raise RegistryError(
                f"kind of intervention {self.name}: acts by {self.mechanism}, but its description "
                f"{found.__name__} by {found.mechanism}; derive it from the class of the mechanism"
            )
        return found

    def lacks(self, settings: InterventionSettings) -> str | None:
        """Why a case with this section cannot run here; None where it can, as far as is known."""
        found: str | None = None if self._lacking is None else _part(self._lacking)(settings)
        return found

    def unit_of(self, field: str) -> str | None:
        """What the number behind a name of a field is; None where its names are no doses."""
        return self._doses[field][0] if field in self._doses else None

    def named_dose(self, field: str, settings: InterventionSettings) -> float | None:
        """The number behind the name that a section has in a field; None where it is not here."""
        found: float | None = _part(self._doses[field][1])(settings)
        return found

    @cached_property
    def resolution(self) -> Any:
        """How the section becomes the description: a `Resolution` class."""
        return _part(self._resolution)

    @cached_property
    def identities(self) -> Any:
        """What must hold on whole models: a `Family`."""
        return _part(self._identities)

    @cached_property
    def grids(self) -> tuple[Any, ...]:
        """Readers of what the page shows of it, beside what it shows of every kind."""
        return tuple(map(_part, self._grids))

    def _checked(self, part: str, reference: Any) -> Any:
        found = _part(reference)
        named = found.model_fields["kind"]
        if self.name not in (named.default, *getattr(named.annotation, "__args__", ())):
            raise RegistryError(
                f"kind of intervention {self.name}: its {part} {found.__name__} is of another "
                f'kind; write kind: Literal["{self.name}"]'
            )
        return found

    def __repr__(self) -> str:
        return f"Kind({self.name!r})"


def kind_of(name: str) -> Kind:
    """The registered kind of a name; raises RegistryError where there is none."""
    found: Kind = registry.interventions.get(name)
    return found


def intervention_from(description: dict[str, Any]) -> Intervention:
    """The intervention that `model_dump` described; equal to it, fingerprint included.

    Raises RegistryError for a kind that is not registered, such as one of a missing package.
    """
    return kind_of(description["kind"]).description.model_validate(description)


def _part(reference: Any) -> Any:
    return load_object(reference) if isinstance(reference, str) else reference
