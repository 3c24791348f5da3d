from __future__ import annotations

from itertools import islice, pairwise

import pytest
from matplotlib.colors import to_rgb

from harness.report.figures.palette import COLOURS, MARKERS, faded, ordered, styles


def lightness(colour):
    """L* of CIELAB, from the relative luminance of sRGB (IEC 61966-2-1)."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in to_rgb(colour)
    ]
    y = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


@pytest.mark.parametrize("count", [1, 2, 7, 48])
def test_ordered_hues_grow_lighter_and_can_be_seen_on_their_ground(count):
    hues = ordered(count)
    assert len(set(hues)) == count
    for side, most in (("light", 80), ("dark", 100)):
        steps = [lightness(getattr(hue, side)) for hue in hues]
        assert all(a < b for a, b in pairwise(steps))
        assert steps[-1] <= most
    assert lightness(hues[0].dark) > 30


def test_every_colour_has_a_marker_of_its_own():
    assert len(set(COLOURS)) == len(set(MARKERS)) == len(COLOURS) == len(MARKERS)


def test_more_lines_than_colours_are_still_told_apart():
    first = list(islice(styles(), 49))
    assert len(set(first)) == 49
    assert [(hue.light, marker) for hue, marker in first[:7]] == list(
        zip(COLOURS, MARKERS, strict=True)
    )


def test_a_faded_colour_is_paler_and_still_tells_its_origin():
    for colour in COLOURS:
        assert lightness(faded(colour)) > lightness(colour)
    assert len({faded(colour) for colour in COLOURS}) == len(COLOURS)
