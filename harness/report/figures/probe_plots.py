"""The probes of a model over its layers, with their intervals and their control task."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from harness.measure.probes import CHANCE, LayerProbe, ProbeScore
from harness.report.figures.figure import GREY, HEIGHT, RULE, canvas, surround
from harness.report.figures.palette import COLOURS


def probe_plot(probes: Sequence[LayerProbe], title: str, subtitle: str) -> Figure:
    """AUC over layers: the probe's, and grey that of shuffled labels."""
    figure, axes = canvas(HEIGHT)
    layers = [each.layer for each in probes]
    for name, colour, marker, scores in (
        ("probe", COLOURS[0], "o", [each.probe for each in probes]),
        ("control task (shuffled labels)", GREY, "s", [each.control for each in probes]),
    ):
        axes.errorbar(
            layers,
            [score.auc for score in scores],
            _errors(scores),
            fmt=f"{marker}-",
            color=colour,
            capsize=3,
            markersize=4,
            label=name,
        )
    axes.axhline(CHANCE, color=RULE, zorder=0)
    axes.set_xticks(layers if len(layers) <= 32 else layers[:: len(layers) // 16])
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("layer")
    axes.set_ylabel("AUC")
    below = [str(each.layer) for each in probes if each.below_chance]
    note = f"; below chance, a fault of the control: layer {', '.join(below)}" if below else ""
    surround(
        figure,
        axes,
        title=title,
        subtitle=subtitle,
        caption=f"cross-validated by pair; 95 % bootstrap intervals over pairs{note}",
        entries=axes.get_legend_handles_labels()[1],
    )
    return figure


def _errors(scores: Sequence[ProbeScore]) -> tuple[list[float], list[float]]:
    return (
        [max(0.0, score.auc - score.ci_low) for score in scores],
        [max(0.0, score.ci_high - score.auc) for score in scores],
    )
