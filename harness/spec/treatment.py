"""What a sweep does to its model: the section of a spec that its baselines are without.

That is the intervention where there is one. Where there is none and the dose belongs to a sampling
rule, the rule is what is done: `axes: sampling.greedy_threshold: [0, 0.1, 0.2]`. Baselines are then
drawn without that rule. Without a rule that draws there would be nothing to compare: a sweep over
temperature refers to the lowest of its axis.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from harness.sampling import Rule, rules


class Treated(Protocol):
    """An experiment, as far as it matters here."""

    @property
    def dose(self) -> str | None:
        """Its dose axis."""

    @property
    def intervention(self) -> object | None:
        """What is done to its model by an intervention, if anything is."""


def dosed_rule(experiment: Treated) -> Rule | None:
    """The sampling rule that an experiment without an intervention has a dose of, if any."""
    section, _, rest = (experiment.dose or "").partition(".")
    name = rest.partition(".")[0]
    if experiment.intervention is not None or section != "sampling" or name not in rules:
        return None
    found: Rule = rules.get(name)
    return found


def treatment(experiment: Treated, axes: Iterable[str] = ()) -> str | None:
    """The dotted section that baselines are without; None where nothing is done to the model.

    `axes` are those that an experiment's cases have fixed or will fix.
    """
    if experiment.intervention is not None or any(lies_in(each, "intervention") for each in axes):
        return "intervention"
    rule = dosed_rule(experiment)
    if rule is None:
        return None
    return experiment.dose if rule.draws else f"sampling.{rule.name}"


def lies_in(axis: str, section: str | None) -> bool:
    """Whether an axis varies what is in a section: baselines without it have no value of it."""
    return section is not None and f"{axis}.".startswith(f"{section}.")
