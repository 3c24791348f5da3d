from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.report.build import build
from harness.report.figures.curve_panels import arranged
from harness.report.figures.curves import by_dose
from harness.report.figures.palette import HUES, ordered
from tests.report.small_run import cases_of, first, result_of, steered

COUNT = "intervention.count"


def arrangement_of(run, results):
    report = build(run, results)
    return arranged(by_dose(report, report.cases))


def swept(**axes):
    named = {
        "style": "prompt.style",
        "temperature": "sampling.temperature",
        "seed": "seed",
        "top_p": "sampling.top_p",
    }
    axes = {named[name]: values for name, values in axes.items()} | {COUNT: [0, 1]}
    return [result_of(case, first(1, 2)) for case in cases_of(axes=axes, dose=COUNT)]


def test_a_control_has_the_hue_and_the_marker_of_its_vector(run):
    arrangement = arrangement_of(run, steered({"intervention.layer": [0, 1, 2, 3]}))
    (panel,) = arrangement.panels
    vectors, controls = panel.curves[::2], panel.curves[1::2]
    assert [curve.is_control for curve in vectors] == [False] * 4
    assert [curve.is_control for curve in controls] == [True] * 4
    assert [(c.hue, c.marker) for c in vectors] == [(c.hue, c.marker) for c in controls]
    assert [curve.hue for curve in vectors] == ordered(4)
    assert [curve.name for curve in panel.curves[:2]] == [
        "layer=0, vector",
        "layer=0, random control",
    ]


def test_numbers_have_hues_in_their_order_and_names_and_seeds_have_the_palettes(run):
    scaled = arrangement_of(run, swept(temperature=[0.8, 0.2, 0.4]))
    assert scaled.order == "sampling.temperature"
    by_name = {curve.name: curve.hue for curve in scaled.curves}
    assert list(by_name.values()) == ordered(3)
    assert list(by_name) == ["temperature=0.2", "temperature=0.4", "temperature=0.8"]
    for axes in ({"seed": [0, 1, 2]}, {"style": ["agentic", "assisted"]}, {"temperature": [0, 1]}):
        named = arrangement_of(run, swept(**axes))
        assert named.order == ""
        assert [curve.hue for curve in named.curves] == list(HUES[: len(named.curves)])


def test_beside_an_ordered_axis_every_other_combination_has_a_panel(run):
    found = arrangement_of(run, swept(style=["agentic", "assisted"], temperature=[0.2, 0.4, 0.6]))
    assert [panel.title for panel in found.panels] == ["style=agentic", "style=assisted"]
    for panel in found.panels:
        assert [curve.hue for curve in panel.curves] == ordered(3)
        assert panel.curves[0].name == "temperature=0.2"


def test_more_names_than_hues_are_split_by_an_axis_or_else_in_their_order(run):
    found = arrangement_of(run, swept(style=["agentic", "assisted"], seed=[0, 1, 2, 3]))
    assert [panel.title for panel in found.panels] == ["style=agentic", "style=assisted"]
    alone = arrangement_of(run, swept(seed=list(range(9))))
    assert [panel.title for panel in alone.panels] == ["seed=0 to seed=6", "seed=7 to seed=8"]


def test_a_bundle_follows_an_order_or_has_one_hue(run):
    temperatures = arrangement_of(run, swept(temperature=[at / 100 for at in range(1, 42)]))
    assert temperatures.bundled
    assert [curve.hue for curve in temperatures.curves] == ordered(41)
    seeds = arrangement_of(run, swept(seed=list(range(41))))
    assert seeds.bundled
    assert {curve.hue for curve in seeds.curves} == {HUES[0]}


@settings(max_examples=40, deadline=None)
@given(
    styles=st.integers(1, 3),
    seeds=st.integers(1, 14),
    temperatures=st.integers(1, 5),
)
def test_every_curve_is_there_and_no_hue_comes_back_in_a_panel(run, styles, seeds, temperatures):
    results = swept(
        style=["agentic", "assisted", "completion"][:styles],
        seed=list(range(seeds)),
        temperature=[(at + 1) / 8 for at in range(temperatures)],
    )
    found = arrangement_of(run, results)
    assert len({curve.label for curve in found.curves}) == styles * seeds * temperatures
    if not found.bundled:
        for panel in found.panels:
            assert len({curve.hue for curve in panel.curves}) == len(panel.curves)
