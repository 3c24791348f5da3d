"""Which metric a name is: of the measure that measured it, or else of the registry."""

from __future__ import annotations

from harness import registry
from harness.metrics.entry import MetricEntry
from harness.spec.measure import Measure

#: What a task scores: a share of right (or parsed, ...) answers.
SCORE = MetricEntry("score", "share of right answers", "higher", "rate", (0, 1))
_UNKNOWN = MetricEntry("unknown", "measured by another version, or by what is not installed")


def metric_of(measure: str, name: str) -> MetricEntry:
    """The metric that an experiment with this `measure` calls so.

    What completions are scored by is a share, whatever a task calls it, unless it is registered.
    One that another version measured has no known direction.
    """
    if measure not in registry.measures:
        return _UNKNOWN
    found: Measure = registry.measures.get(measure)
    if found.reads:
        return next((each for each in found.entries() if each.name == name), _UNKNOWN)
    return registered(name) or SCORE


def registered(name: str) -> MetricEntry | None:
    """The registered metric of completions of this name, if there is one."""
    if name not in registry.metrics:
        return None
    entry: MetricEntry = registry.metrics.get(name)
    return entry


def directionless(metric: str) -> str:
    """Why nothing can be better or worse in a metric, for the messages that refuse it."""
    siblings: list[str] = []
    for name in registry.measures.names():
        entries = registry.measures.get(name).entries()
        if any(each.name == metric for each in entries):
            siblings += [each.name for each in entries if each.good != "neither"]
    directed = f" ({' or '.join(siblings)} has)" if siblings else ""
    return f"{metric} has no better or worse, only higher and lower{directed}"
