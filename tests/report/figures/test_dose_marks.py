"""The ED50 of a curve stands in its plot where the axis has it."""

from __future__ import annotations

import numpy as np
import pytest

from harness.report.build import build
from harness.report.figures.plots import plots
from tests.claims.test_monotone import curve


def notes(run, results, start="ED50"):
    ((_, figure),) = plots(build(run, results))
    return [text for text in figure.axes[0].texts if text.get_text().startswith(start)]


def test_it_is_drawn_where_half_of_the_effect_is(run):
    (note,) = notes(run, curve((0.9, 0.85, 0.5, 0.1, 0.1), n=100))
    assert note.get_text().startswith("ED50 2 [1.")
    assert note.xy[0] == pytest.approx(2)


def test_words_stand_on_the_left_where_the_plot_ends_on_the_right(run):
    (early,) = notes(run, curve((0.9, 0.85, 0.5, 0.1, 0.1), n=100))
    (late,) = notes(run, curve((0.9, 0.9, 0.9, 0.9, 0.1), n=100))
    assert (early.get_ha(), late.get_ha()) == ("left", "right")
    assert early.xyann[0] == -late.xyann[0] > 0


def test_the_no_effect_dose_stands_at_the_axis(run):
    (note,) = notes(run, curve((0.9, 0.85, 0.5, 0.1, 0.1), n=100), "NOEL")
    assert note.get_text() == "NOEL 1"
    assert note.xy == pytest.approx((1, 0.015))


def test_hills_curve_is_drawn_where_the_data_do_not_reject_it_and_explained(run):
    ((_, figure),) = plots(build(run, curve((0.9, 0.85, 0.5, 0.2, 0.1), n=100)))
    axes = figure.axes[0]
    (fitted,) = [line for line in axes.lines if len(line.get_xdata()) > 50]
    assert np.interp(2, *fitted.get_data()) == pytest.approx(0.5, abs=0.1)
    assert "Dots and dashes: Hill's curve." in " ".join(text.get_text() for text in figure.texts)
    ((_, figure),) = plots(build(run, curve((0.9, 0.2, 0.9, 0.2, 0.1), n=100)))
    assert "Hill" not in " ".join(text.get_text() for text in figure.texts)


def test_of_doses_without_one_and_of_many_curves_nothing_is_drawn(run):
    assert notes(run, curve((0.5,) * 5, n=100)) == []
    many = curve((0.9, 0.85, 0.5, 0.1, 0.1), n=100, seed=[0, 1, 2])
    assert notes(run, many) == []
