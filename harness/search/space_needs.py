"""What a search may ask of its engine: the union over every configuration of its space.

A forward pass that is compiled cannot learn later what a trial turns out to need
(`engines/declared.py`), and it is not known beforehand which configurations are drawn.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Literal

from optuna.distributions import BaseDistribution, IntDistribution
from pydantic import JsonValue

from harness.engines.declared import Declared
from harness.errors import FieldError
from harness.resolve.needs import needs_of
from harness.search.space import Space
from harness.search.treatment import treatment
from harness.spec import InterventionSettings


def needs_of_space(space: Space) -> Declared:
    """What all configurations of a space need together, and no more.

    The test samples need nothing else: they are scored at the best configuration, at its neutral
    dose and with its control, which acts at the same places. A configuration that cannot be is
    passed by: its trial fails before anything is asked for.
    """
    values = _values(space)
    needs = Declared()
    for chosen in product(*values.values()):
        configuration = dict(zip(values, chosen, strict=True))
        try:
            experiment = space.experiment(configuration)
        except FieldError:
            continue
        needs |= needs_of([experiment])
    return needs


def _values(space: Space) -> Mapping[str, Sequence[JsonValue]]:
    """The values to combine of every field that matters: every choice, and both ends of a range.

    One end of a range of doses is not neutral, and what one dose needs, all need. Of a field that
    its kind says to be about how (`InterventionSettings.says_how`) one value stands for all.
    """
    kinds = _kinds(space)
    values: dict[str, list[JsonValue]] = {}
    for field, value in space.corners():
        known = field in values and _all_say(kinds, "says_how", field)
        if field.startswith("intervention") and not known:
            values.setdefault(field, []).append(value)
    for field in [each for each in values if _all_say(kinds, "says_layers", each)]:
        values[field] = _together(values[field], space.distributions[field])
    return values


def _kinds(space: Space) -> set[type[InterventionSettings]]:
    """The sections that the space's configurations have, which may choose between kinds."""
    found = {type(treatment(space.base))}
    for field, value in space.corners():
        try:
            found.add(type(treatment(space.experiment({field: value}))))
        except FieldError:
            continue
    return found


def _all_say(
    kinds: Collection[type[InterventionSettings]],
    what: Literal["says_how", "says_layers"],
    field: str,
) -> bool:
    """Whether every kind that has a field says this of it."""
    path = field.removeprefix("intervention.")
    having = [each for each in kinds if path.partition(".")[0] in each.model_fields]
    return bool(having) and all(path in getattr(each, what) for each in having)


def _together(values: Sequence[JsonValue], distribution: BaseDistribution) -> list[JsonValue]:
    """All layers that a field may name, as one list, which needs all that each of them needs.

    One by one, the layers of a section and those of its vector would be multiplied.
    """
    if isinstance(distribution, IntDistribution):
        return [[*range(distribution.low, distribution.high + 1, distribution.step)]]
    named = (each if isinstance(each, list) else [each] for each in values)
    layers = {layer for each in named for layer in each if isinstance(layer, int)}
    together: list[JsonValue] = [[*sorted(layers)]] if layers else []
    return [*together, None] if None in values else together
