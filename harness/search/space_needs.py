"""What a search may ask of its engine: the union over every configuration of its space.

A forward pass that is compiled cannot learn later what a trial turns out to need
(`engines/declared.py`), and it is not known beforehand which configurations are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from optuna.distributions import BaseDistribution, IntDistribution
from pydantic import JsonValue

from harness.engines.declared import Declared
from harness.errors import FieldError
from harness.resolve.needs import needs_of
from harness.search.space import Space

#: Fields of an intervention that say how it is done and never where, nor what has to be read for
#: it: one value stands for all. Of every other field, new ones too, all are tried.
_HOW = frozenset(
    {
        "intervention.control",
        "intervention.control_seed",
        "intervention.mode",
        "intervention.on_empty",
        "intervention.positions",
        "intervention.schedule",
        "intervention.units",
        "intervention.vector.data",
        "intervention.vector.method",
        "intervention.vector.position",
        "intervention.vector.samples",
        "intervention.vector.weight",
    }
)
_LAYERS = frozenset({"intervention.layer", "intervention.vector.layer"})


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

    One end of a range of doses is not neutral, and what one dose needs, all need.
    """
    values: dict[str, list[JsonValue]] = {}
    for field, value in space.corners():
        if field.startswith("intervention") and not (field in _HOW and field in values):
            values.setdefault(field, []).append(value)
    for field in _LAYERS & values.keys():
        values[field] = _together(values[field], space.distributions[field])
    return values


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
