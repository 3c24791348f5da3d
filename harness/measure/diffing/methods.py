"""The methods by their names: `(pair, texts, settings, layer) -> Evidence`, and their lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.measure.diffing.activations import adl
from harness.measure.diffing.evidence import Evidence
from harness.measure.diffing.kl import kl
from harness.measure.diffing.logit_diff import logit_diff
from harness.measure.diffing.orderings import TOPICS
from harness.measure.diffing.pair import Pair
from harness.measure.diffing.patchscope import patchscope
from harness.measure.diffing.section import DiffSettings
from harness.measure.diffing.texts import Texts

Method = Callable[[Pair, Texts, DiffSettings, int], Evidence]

METHODS: Mapping[str, Method] = {
    "logit_diff": logit_diff,
    "adl": adl,
    "patchscope": patchscope,
    "kl": kl,
}


def lists_of(settings: DiffSettings, texts: Texts) -> list[str]:
    """The names of the lists that a method has where it finds anything."""
    if settings.method in ("adl", "patchscope"):
        return [f"position {label}" for label in texts.labels[: settings.read_positions]]
    if settings.method == "logit_diff" and settings.ordering == "nmf":
        return [f"topic {number + 1}" for number in range(TOPICS)]
    return [""]
