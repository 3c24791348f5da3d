"""The methods by their names, and the lists that each of them has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.measure.diffing.activations import Difference, adl
from harness.measure.diffing.evidence import Evidence
from harness.measure.diffing.kl import kl
from harness.measure.diffing.logit_diff import logit_diff
from harness.measure.diffing.orderings import TOPICS
from harness.measure.diffing.pair import Pair
from harness.measure.diffing.patchscope import patchscope
from harness.measure.diffing.section import DiffSettings
from harness.measure.diffing.texts import Texts

OF_LOGITS: Mapping[str, Callable[[Pair, Texts, DiffSettings, int], Evidence]] = {
    "logit_diff": logit_diff,
    "kl": kl,
}
"""Those that read logits of both models, at a layer."""

OF_DIFFERENCES: Mapping[str, Callable[[Pair, Texts, DiffSettings, Difference], Evidence]] = {
    "adl": adl,
    "patchscope": patchscope,
}
"""Those that read the mean difference of activations."""


def reads_layer(settings: DiffSettings) -> bool:
    """Whether a method reads hidden states of `layer`, and not the models' own logits alone."""
    own = settings.method == "logit_diff" and settings.logits == "logits"
    return not own and settings.method != "kl"


def lists_of(settings: DiffSettings, texts: Texts) -> list[str]:
    """The names of the lists that a method has where it finds anything."""
    if settings.method in OF_DIFFERENCES:
        return [f"position {label}" for label in texts.labels[: settings.read_positions]]
    if settings.method == "logit_diff" and settings.ordering == "nmf":
        return [f"topic {number + 1}" for number in range(TOPICS)]
    return [""]
