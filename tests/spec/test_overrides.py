"""Overrides of the command line: what they change, and how wrong ones are told."""

from __future__ import annotations

import pytest

from harness.spec import load
from tests.spec.written import SPEC, message, write

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "intervention.count=-70",
            (
                "--titrate-set intervention.count=-70: -70 is not accepted; "
                "it should be greater than or equal to 0"
            ),
        ),
        (
            "intervention.cuont=1",
            ("--titrate-set intervention.cuont=1: no such field; did you mean intervention.count?"),
        ),
        ("count=1", "--titrate-set count=1: no such field; did you mean intervention.count?"),
        ("zzz=1", "--titrate-set zzz=1: no such field; `titrate schema experiment` has them all"),
        (
            "extends=y.yaml",
            (
                "--titrate-set extends=y.yaml: no such field; "
                "`titrate schema experiment` has them all"
            ),
        ),
        (
            "axes.sede=[1]",
            "--titrate-set axes.sede=[1]: no such field; did you mean seed?",
        ),
        ("seed", "--titrate-set seed: has no value; write FIELD=VALUE, such as task.limit=20"),
        ("=1", "--titrate-set =1: names no field; write FIELD=VALUE, such as task.limit=20"),
        (
            "seed=[1",
            (
                "--titrate-set seed=[1: is not YAML: while parsing a flow sequence, "
                "expected ',' or ']', but got '<stream end>'"
            ),
        ),
    ],
)
def test_an_override_that_fails(override, expected):
    assert message(SPEC, override) == expected


def test_an_override_inside_a_section_that_is_an_axis():
    spec = SPEC.replace("seed: [0, 1]", "prompt: [{style: agentic}]")
    assert message(spec, "prompt.style=assisted") == (
        "--titrate-set prompt.style=assisted: the axis prompt sets the whole section; "
        "override prompt or axes.prompt"
    )


def test_overriding_a_swept_field_fixes_it():
    experiment, _ = load(write(SPEC), ["seed=5"])
    assert (experiment.seed, list(experiment.axes)) == (5, ["intervention.count"])


def test_overriding_the_dose_keeps_its_axis_with_one_value():
    experiment, source = load(write(SPEC), {"intervention.count": "9"})
    assert experiment.axes == {"intervention.count": [9], "seed": [0, 1]}
    assert experiment.dose == "intervention.count"
    assert source.origin("axes.intervention.count[0]").text == "--titrate-set intervention.count=9"


def test_overriding_the_section_of_the_dose():
    experiment, _ = load(write(SPEC), ["intervention=null"])
    assert (experiment.intervention, experiment.dose) == (None, None)
    assert experiment.axes == {"seed": [0, 1]}
    section = "intervention={kind: router_mask, points: {random: 0}, count: 3}"
    assert load("x.yaml", [section])[0].axes == {"intervention.count": [3], "seed": [0, 1]}


def test_an_override_can_sweep_or_drop_the_dose():
    swept, _ = load(
        write(unswept(SPEC)), ["axes.intervention.count=[1, 2]", "dose=intervention.count"]
    )
    assert (swept.axes, swept.dose) == ({"intervention.count": [1, 2]}, "intervention.count")
    assert message(f"{SPEC[: SPEC.index('dose:')]}dose: [x]\n", "seed=1") == (
        'x.yaml:14 dose: ["x"] is not accepted; it should be text'
    )


def test_later_overrides_win():
    assert load(write(SPEC), ["seed=1", "seed=2"])[0].seed == 2
    assert load("x.yaml", ["seed=1", "axes.seed=[3, 4]"])[0].axes["seed"] == [3, 4]


def unswept(text: str) -> str:
    return text[: text.index("axes:")]


@pytest.mark.parametrize(
    "override",
    [
        "name=x",
        "model=zoo/moe",
        "intervention.count=0",
        "intervention.points.samples=164",
        "intervention.points={usage: avg_last_agentic}",
        "seed=0",
        "task.limit=",
        "prompt={style: assisted}",
    ],
)
def test_overriding_with_the_value_already_there_changes_nothing(override):
    path = write(unswept(SPEC))
    assert load(path, [override])[0] == load(path)[0]
