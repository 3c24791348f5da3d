"""How many curves are told apart: a hue for each family, a panel where hues would run out.

A *family* is a curve and its random control: one hue, the control paler and dotted. Where an axis
has an order (layers, temperatures: at least three numbers, seeds excepted), hues follow it, and
every combination of the other axes has a panel of its own. Other families have the palette's hues,
no hue twice in a panel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from harness.report.figures.curves import Dosed, curves, is_control
from harness.report.figures.palette import HUES, MARKERS, Hue, ordered
from harness.report.labels import label, varying
from harness.spec.doses import number_of
from harness.spec.intervention import controls

#: Axes whose numbers are names: they start random numbers.
_SEEDS = ("seed", "points.random")
#: Fewer numbers than this are names: two ends need no scale between them.
_LEAST_ORDERED = 3
#: More curves than this are one bundle of thin lines: a legend would be longer than the plot.
_MOST_CURVES = 40
#: More panels than this are a bundle, too: they are too many to compare.
_MOST_PANELS = 6


@dataclass(frozen=True)
class DrawnCurve:
    """A curve and how it is drawn."""

    label: str
    name: str
    """The label without what the panel's title says."""
    members: tuple[Dosed, ...]
    hue: Hue
    marker: int
    """Its place among `palette.MARKERS`."""
    is_control: bool


@dataclass(frozen=True)
class Panel:
    """Curves that are drawn over each other."""

    title: str
    """What its curves have in common and other panels' have not; empty for the only panel."""
    curves: tuple[DrawnCurve, ...]


@dataclass(frozen=True)
class Arrangement:
    """The panels of an experiment, one below the other."""

    panels: tuple[Panel, ...]
    bundled: bool
    """Whether there are too many curves for markers, intervals and a legend."""
    order: str
    """The axis that hues follow, by its full name; empty where they are names."""

    @property
    def curves(self) -> list[DrawnCurve]:
        """All curves, panel by panel."""
        return [curve for panel in self.panels for curve in panel.curves]


def arranged(treated: Sequence[Dosed]) -> Arrangement:
    """The curves of cases with doses, each with its hue, marker and panel."""
    found = curves(treated)
    params = {name: dict(members[0][1].params) for name, members in found.items()}
    cases = [case for _, case in treated]
    named = varying(cases, without=treated[0][1].dose_axis)
    axes = {axis: name for axis, name in named.items() if axis not in controls()}
    order = _ordered_axis(params, axes)
    titles, told = _titles(params, axes, order)
    bundled = len(found) > _MOST_CURVES or len(set(titles.values())) > _MOST_PANELS
    if bundled:
        titles = dict.fromkeys(found, "")
    if bundled and not order:
        hues = dict.fromkeys(found, (0, HUES[0]))
    else:
        hues = _hues(params, axes, order, titles)
    panels: dict[str, list[DrawnCurve]] = {}
    for name, members in found.items():
        place, hue = hues[name]
        curve = DrawnCurve(
            label=name,
            name=label(params[name], {axis: named[axis] for axis in named if axis not in told}),
            members=tuple(members),
            hue=hue,
            marker=place % len(MARKERS),
            is_control=is_control(members[0][1]),
        )
        panels.setdefault(titles[name], []).append(curve)
    return Arrangement(
        tuple(Panel(title, tuple(members)) for title, members in panels.items()), bundled, order
    )


def _ordered_axis(params: Mapping[str, Mapping[str, JsonValue]], axes: Mapping[str, str]) -> str:
    """The axis with an order that has the most values, or nothing."""
    sizes = {}
    for axis in axes:
        values = [each.get(axis) for each in params.values()]
        if axis.endswith(_SEEDS) or any(number_of(value) is None for value in values):
            continue
        distinct = len({_number(value) for value in values})
        if distinct >= _LEAST_ORDERED:
            sizes[axis] = distinct
    return max(sizes, key=lambda axis: sizes[axis], default="")


def _titles(
    params: Mapping[str, Mapping[str, JsonValue]], axes: Mapping[str, str], order: str
) -> tuple[dict[str, str], set[str]]:
    """The title of each curve's panel, and the axes that the titles tell the values of."""
    if order:
        others = {axis: name for axis, name in axes.items() if axis != order}
        return {curve: label(each, others) for curve, each in params.items()}, set(others)
    families = {curve: label(each, axes) for curve, each in params.items()}
    distinct = list(dict.fromkeys(families.values()))
    if len(distinct) <= len(HUES):
        return dict.fromkeys(params, ""), set()
    splits = []
    for axis, name in axes.items():
        split = {curve: label(each, {axis: name}) for curve, each in params.items()}
        members: dict[str, set[str]] = {}
        for curve, title in split.items():
            members.setdefault(title, set()).add(families[curve])
        if max(map(len, members.values())) <= len(HUES):
            splits.append((len(members), axis, split))
    if splits and len(axes) > 1:
        _, axis, split = min(splits, key=lambda found: found[0])
        return split, {axis}
    # By as many as there are hues, in the order that the curves have.
    rows = [distinct[at : at + len(HUES)] for at in range(0, len(distinct), len(HUES))]
    named = {each: f"{row[0]} to {row[-1]}" for row in rows for each in row}
    return {curve: named[family] for curve, family in families.items()}, set()


def _hues(
    params: Mapping[str, Mapping[str, JsonValue]],
    axes: Mapping[str, str],
    order: str,
    titles: Mapping[str, str],
) -> dict[str, tuple[int, Hue]]:
    """Place and hue of each curve: along the ordered axis, or of its family in its panel."""
    if order:
        values = {curve: _number(each[order]) for curve, each in params.items()}
        places = {value: at for at, value in enumerate(sorted(set(values.values())))}
        scale = ordered(len(places))
        return {curve: (places[at], scale[places[at]]) for curve, at in values.items()}
    panels: dict[str, dict[str, int]] = {}
    found = {}
    for curve, each in params.items():
        panel = panels.setdefault(titles[curve], {})
        place = panel.setdefault(label(each, axes), len(panel))
        found[curve] = (place, HUES[place % len(HUES)])
    return found


def _number(value: JsonValue) -> float:
    number = number_of(value)
    assert number is not None, "an ordered axis has a number in every case"
    return number
