"""Colours of figures and pages that colour-blind readers tell apart: named ones, and ordered ones.

Each colour is a `Hue`: its value on white paper, and on the page's dark ground.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgb


class Hue(NamedTuple):
    """One colour for both grounds, as `#rrggbb`."""

    light: str
    dark: str


#: Okabe and Ito's palette (jfly.uni-koeln.de/color) without its yellow, lighter on dark.
HUES = (
    Hue("#0072b2", "#4aa3dc"),
    Hue("#d55e00", "#ee7f33"),
    Hue("#009e73", "#24bd93"),
    Hue("#cc79a7", "#dd9abf"),
    Hue("#56b4e9", "#8bcdf2"),
    Hue("#e69f00", "#f0b840"),
    Hue("#000000", "#d8d8d8"),
)
COLOURS = tuple(hue.light for hue in HUES)
MARKERS = "osD^vP<"
#: The ends of viridis (Smith and van der Walt, 2015: perceptually uniform, for colour-blind readers
#: too) that can be seen as a line: its yellow vanishes on white, its violet on black.
_ON_LIGHT, _ON_DARK = (0.0, 0.8), (0.3, 1.0)
#: How much of a colour the lines of a control keep; the rest is paper.
_KEPT = 0.75


def styles() -> Iterator[tuple[Hue, str]]:
    """Hues with their markers, without end: no pair comes again among the first 49."""
    for turn in count():
        for at, hue in enumerate(HUES):
            yield hue, MARKERS[(at + turn) % len(MARKERS)]


def ordered(number: int) -> list[Hue]:
    """So many hues in perceptual order, for values that have one: layers, doses, temperatures."""
    viridis = colormaps["viridis"]
    sides = [np.linspace(low, high, number) for low, high in (_ON_LIGHT, _ON_DARK)]
    return [
        Hue(to_hex(viridis(light)), to_hex(viridis(dark)))
        for light, dark in zip(*sides, strict=True)
    ]


def faded(colour: str) -> str:
    """The colour of a control beside what it controls, on white."""
    red, green, blue = (1 - _KEPT * (1 - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))
