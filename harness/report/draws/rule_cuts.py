"""What the sampling rules of cases keep of one example distribution, as a picture.

A row per rule setting, a column per token from the most probable one on: bars of what is left, and
with which probability, after all rules have acted in their order.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from harness.report.figures.figure import GREY, RULE, panels, surround
from harness.report.figures.palette import COLOURS
from harness.report.labels import text
from harness.report.load import load_report

if TYPE_CHECKING:
    from harness.sampling.chosen import SamplingRules

#: Probabilities of the example, at temperature 1: of a model that is not sure.
EXAMPLE = (0.27, 0.19, 0.13, 0.09, 0.07, 0.055, 0.045, 0.035, 0.03, 0.025, 0.02, 0.015, 0.01)
#: The smallest rest: tokens that no rule is to be told from.
_REST = 0.0025
_MOST = 24


def rule_cuts(sources: Sequence[Path]) -> Iterator[bytes]:
    """A picture (PNG) of the rules that the reports among the sources have, if there are any."""
    settings: dict[str, dict[str, Any]] = {}
    for source in sources:
        if source.is_dir():
            for case in load_report(source).cases:
                sampling: Any = case.settings.get("sampling") or {}
                settings.setdefault(named(sampling), sampling)
    if len(settings) > 1:
        image = io.BytesIO()
        cuts_figure(dict(list(settings.items())[:_MOST])).savefig(image, format="png", dpi=110)
        yield image.getvalue()


def named(sampling: Mapping[str, Any]) -> str:
    """The rules of a section that act, in words and in their order."""
    from harness.sampling.composition import DEFAULT

    rules = _rules(sampling)
    parts = [f"{name}={text(sampling[name])}" for name in rules]
    parts += [] if rules.compose == DEFAULT else [f"compose={rules.compose}"]
    return ", ".join(parts) or "greedy"


def _rules(sampling: Mapping[str, Any]) -> SamplingRules:
    from harness.sampling.chosen import SamplingRules
    from harness.spec.sampling import SamplingSettings

    section = SamplingSettings.form().model_validate(dict(sampling))
    return SamplingRules(**section.rules)


def cuts_figure(settings: Mapping[str, Mapping[str, Any]]) -> Figure:
    """What sections `sampling` leave of the example, by their names."""
    example = np.asarray([*EXAMPLE, *[_REST] * round((1 - sum(EXAMPLE)) / _REST)])
    figure, axes = panels(0.9 + 0.62 * len(settings), len(settings))
    places = np.arange(1, len(example) + 1)
    for panel, (name, sampling) in zip(axes, settings.items(), strict=True):
        left = _left(example, sampling)
        panel.bar(places, example, color=RULE, width=0.9)
        panel.bar(places[left > 0], left[left > 0], color=COLOURS[0], width=0.55)
        kept = int((left > 0).sum())
        panel.text(1, 0.62, f"{name}: {kept} kept", transform=panel.transAxes, ha="right", size=8.5)
        panel.set_yticks([])
        panel.set_ylim(0, max(0.5, 1.05 * float(left.max())))
    axes[-1].set_xlabel("tokens, from the most probable one on")
    surround(
        figure,
        axes[0],
        title="What rules keep of one distribution",
        subtitle="Grey: the model's own probabilities. Blue: those with which tokens are drawn.",
        caption="The example is of a step in which the model is not sure.",
        entries=[],
    )
    for panel in axes:
        panel.spines["left"].set_visible(False)
        panel.spines["bottom"].set_color(GREY)
    return figure


def _left(example: np.ndarray[Any, Any], sampling: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """The probabilities with which tokens are drawn."""
    import torch

    from harness.engines.decoding.cutting import applied
    from harness.engines.decoding.rules import RowRules

    rules = _rules(sampling)
    logits = torch.tensor(np.log(example), dtype=torch.float32)[None]
    left = applied(logits, RowRules.of([rules], torch.device("cpu")).acting, {})
    if not rules.random:
        left = torch.where(left == left.amax(), left, -torch.inf)
    found: np.ndarray[Any, Any] = left.softmax(dim=-1)[0].double().numpy()
    return found
