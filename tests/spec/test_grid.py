"""Grids as properties: the product of the axes, in order, under ids made of nothing but values."""

from __future__ import annotations

import pickle
import re
from math import prod
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FieldError, SpecError
from harness.interventions.router_mask.section import RandomPoints
from harness.spec import Experiment, expand, load
from harness.spec.ids import axis_parts

INTERVENTION = {"kind": "router_mask", "points": {"usage": "avg_last_agentic"}, "count": 0}
AXES = {
    "intervention.count": st.integers(0, 10**6),
    "intervention.mode": st.sampled_from(["keep_topk", "replace_topk"]),
    "prompt.style": st.sampled_from(["assisted", "agentic", "completion"]),
    "sampling.temperature": st.floats(0, 1e300),
    "seed": st.integers(0, 10**12),
    # What starts like a path becomes an absolute one, which is not what was written.
    "model": st.text(min_size=1).filter(lambda name: name[0] not in "./~"),
    "task.limit": st.none() | st.integers(1, 99),
    "task.name": st.text(),
    "engine.name": st.just("transformers"),
    "engine.device": st.text(),
}


@st.composite
def axes(draw):
    names = draw(st.lists(st.sampled_from(sorted(AXES)), unique=True, max_size=4))
    return {name: draw(st.lists(AXES[name], min_size=1, max_size=3, unique=True)) for name in names}


def experiment(**changes) -> Experiment:
    fields = {"name": "x", "model": "m", "task": {"name": "t"}, "intervention": INTERVENTION}
    return Experiment.model_validate(fields | changes)


@given(axes())
def test_cases_are_the_product_of_the_axes(axes):
    cases = expand(experiment(axes=axes))
    assert len(cases) == prod(len(values) for values in axes.values())
    assert len({case.id for case in cases}) == len(cases)
    assert len({repr(case.params) for case in cases}) == len(cases)
    assert all(re.fullmatch(r"x(\[[A-Za-z0-9_.+=-]+\])?", case.id) for case in cases)


@given(axes())
def test_the_last_axis_varies_fastest(axes):
    params = [tuple(case.params.values()) for case in expand(experiment(axes=axes))]
    order = [
        tuple(values.index(value) for value, values in zip(each, axes.values(), strict=True))
        for each in params
    ]
    assert order == sorted(order)


@given(axes(), st.randoms())
def test_ids_do_not_depend_on_positions(axes, random):
    shuffled = {axis: random.sample(values, len(values)) for axis, values in axes.items()}
    ids = {repr(case.params): case.id for case in expand(experiment(axes=axes))}
    assert ids == {repr(case.params): case.id for case in expand(experiment(axes=shuffled))}


@given(axes())
def test_params_are_what_the_experiment_is_fixed_at(axes):
    for case in expand(experiment(axes=axes)):
        assert case.experiment.axes == {}
        for axis, value in case.params.items():
            found = case.experiment
            for part in axis.split("."):
                found = getattr(found, part)
            assert found == value


@given(axes())
def test_cases_that_differ_in_the_intervention_share_their_baseline(axes):
    cases = expand(experiment(axes=axes))
    baselines = {id(case.baseline): case.baseline for case in cases}
    others = [values for axis, values in axes.items() if not axis.startswith("intervention")]
    assert len(baselines) == prod(len(values) for values in others)
    assert len({baseline.id for baseline in baselines.values()}) == len(baselines)
    for case in cases:
        assert case.baseline.experiment == case.experiment.model_copy(update={"intervention": None})
        assert case.baseline.params.items() <= case.params.items()
        assert (case.baseline.dose, case.baseline.baseline) == (None, None)


def ids(**changes) -> list[str]:
    return [case.id for case in expand(experiment(**changes))]


def test_what_ids_look_like():
    axes = {"intervention.count": [4, 0], "prompt.style": ["agentic"], "seed": [0]}
    cases = expand(experiment(axes=axes, dose="intervention.count"))
    assert [case.id for case in cases] == [
        "x[count=4-style=agentic-seed=0]",
        "x[count=0-style=agentic-seed=0]",
    ]
    assert [case.dose for case in cases] == [4.0, 0.0]
    assert cases[0].experiment.dose == "intervention.count"
    assert cases[0].baseline.id == "x[baseline-style=agentic-seed=0]"
    assert expand(experiment(axes={"intervention.count": [4]}))[0].baseline.id == "x[baseline]"
    assert ids() == ["x"]
    assert ids(axes={"task.limit": [None, 3]}) == ["x[limit=none]", "x[limit=3]"]
    assert ids(axes={"sampling.temperature": [0.5, 1.0, 1e-05]}) == [
        "x[temperature=0.5]",
        "x[temperature=1.0]",
        "x[temperature=1e-05]",
    ]


@given(st.sets(st.integers(0, 99) | st.just("inf"), min_size=1, max_size=6), st.randoms())
def test_a_dose_without_end_is_the_highest(values, random):
    budgets = random.sample(sorted(values, key=str), len(values))
    asked = experiment(
        intervention={"kind": "oracle", "model": "zoo/oracle"},
        axes={"intervention.budget": budgets},
        dose="intervention.budget",
    )
    cases = expand(asked)
    assert [case.id for case in cases] == [f"x[budget={each}]" for each in budgets]
    assert [case.dose for case in cases] == [float(each) for each in budgets]
    assert [case.experiment.intervention.budget for case in cases] == budgets


def test_axes_that_share_a_last_component_are_told_apart():
    axes = {"sampling.seed": [0], "seed": [1], "task.name": ["a"]}
    assert axis_parts(axes) == {
        "sampling.seed": ["sampling.seed=0"],
        "seed": ["seed=1"],
        "task.name": ["task=a"],
    }


def test_a_name_is_called_by_what_it_names():
    axes = {"engine.name": ["transformers", "vllm"], "seed": [0]}
    assert axis_parts(axes)["engine.name"] == ["engine=transformers", "engine=vllm"]
    both = axis_parts({"engine": [{"name": "vllm"}], "engine.name": ["vllm"]})
    assert both["engine.name"] == ["engine.name=vllm"]


def test_strings_are_made_safe_and_told_apart():
    assert ids(axes={"model": ["Qwen/Qwen3-8B"]}) == ["x[model=Qwen_Qwen3_8B]"]
    first, second, third = ids(axes={"model": ["a/b", "a-b", "c"]})
    assert re.fullmatch(r"x\[model=a_b_[0-9a-f]{8}\]", first)
    assert re.fullmatch(r"x\[model=a_b_[0-9a-f]{8}\]", second)
    assert first != second
    assert third == "x[model=c]"


def test_an_axis_may_replace_a_section_or_choose_a_variant():
    sections = [None, INTERVENTION | {"count": 3}]
    none, masked = expand(experiment(axes={"intervention": sections}))
    assert none.experiment.intervention is None
    assert none.baseline is None
    assert none.id == "x[intervention=none]"
    assert masked.experiment.intervention.count == 3
    assert masked.baseline.id == "x[baseline]"
    short, long = ids(axes={"intervention.points": [{"random": 0}, {"file": "f" * 99}]})
    assert short == "x[points=random_0]"
    assert re.fullmatch(r"x\[points=[0-9a-f]{8}\]", long)
    (case,) = expand(experiment(axes={"intervention.points.random": [7]}))
    assert case.experiment.intervention.points == RandomPoints(random=7)


def test_cases_are_picklable():
    case = expand(experiment(axes={"intervention.count": [4]}))[0]
    assert pickle.loads(pickle.dumps(case)) == case


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


SPEC = """\
name: x
model: zoo/moe
task: {name: t}
intervention: {kind: router_mask, points: {usage: avg_all_agentic}, count: 0}
"""


def loaded(text: str, *overrides: str):
    Path("x.yaml").write_text(SPEC + text)
    return expand(*load("x.yaml", overrides))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "axes:\n  intervention.cuont: [1]\n",
            "x.yaml:6 axes.intervention.cuont: no such field; did you mean intervention.count?",
        ),
        ("axes: {zzz: [1]}\n", "x.yaml:5 axes.zzz: no such field"),
        (
            "axes:\n  gates: [1]\n",
            "x.yaml:6 axes.gates: cannot be an axis; it is the same for all cases",
        ),
        (
            "axes:\n  requires.network: [true]\n",
            "x.yaml:6 axes.requires.network: cannot be an axis; it is the same for all cases",
        ),
        ("axes:\n  seed: []\n", "x.yaml:6 axes.seed: [] is not accepted; list at least one value"),
        (
            "axes:\n  sampling.temperature: [0, .nan]\n",
            (
                "x.yaml:6 axes.sampling.temperature[1]: NaN is not accepted; "
                "it should be a finite number"
            ),
        ),
        (
            "axes:\n  seed:\n    - 1\n    - 2\n    - 1\n",
            "x.yaml:9 axes.seed[2]: 1 is in the list twice; remove one",
        ),
        (
            "axes:\n  sampling.temperature: [1,\n    1.0]\n",
            "x.yaml:7 axes.sampling.temperature[1]: 1.0 is in the list twice; remove one",
        ),
        (
            "axes:\n  intervention: [null]\n  intervention.count: [1]\n",
            (
                "x.yaml:7 axes.intervention.count: lies inside the axis intervention; "
                "keep one of the two"
            ),
        ),
        (
            "axes:\n  intervention.count:\n    - 0\n    - -3\n",
            (
                "x.yaml:8 intervention.count: -3 is not accepted; "
                "it should be greater than or equal to 0"
            ),
        ),
        (
            (
                "axes:\n  intervention:\n    - null\n    - kind: router_mask\n      count: x\n"
                "      points: {random: 0}\n"
            ),
            "x.yaml:9 intervention.count: 'x' is not accepted; it should be a whole number",
        ),
        ("dose: seed\n", "x.yaml:5 dose: 'seed' is not an axis; there are none"),
        (
            "dose: count\naxes: {intervention.count: [1], seed: [2]}\n",
            (
                "x.yaml:5 dose: 'count' is not an axis; did you mean intervention.count? "
                "accepted: intervention.count, seed"
            ),
        ),
        (
            "dose: prompt.style\naxes:\n  prompt.style: [agentic]\n",
            (
                "x.yaml:7 axes.prompt.style[0]: 'agentic' is not accepted; "
                "the values of the dose are numbers"
            ),
        ),
        (
            "dose: task.limit\naxes:\n  task.limit:\n    - 1\n    - true\n",
            "x.yaml:9 axes.task.limit[1]: true is not accepted; the values of the dose are numbers",
        ),
        (
            f"axes:\n  seed: {list(range(400))}\n  task.limit: {list(range(1, 400))}\n",
            "x.yaml:5 axes: 159600 cases; at most 100000 are accepted",
        ),
    ],
)
def test_a_grid_that_cannot_be(folder, text, expected):
    with pytest.raises(SpecError) as error:
        loaded(text)
    assert str(error.value) == expected


def test_a_case_locates_what_later_rooms_refuse(folder):
    error = FieldError("intervention.count", "70 is too many")
    text = "axes:\n  intervention.count:\n    - 4\n    - 70\ndose: intervention.count\n"
    first, second = loaded(text)
    assert str(first.source.locate(error)) == "x.yaml:7 intervention.count: 70 is too many"
    assert str(second.source.locate(error)) == "x.yaml:8 intervention.count: 70 is too many"
    assert second.baseline.source.origin("intervention.count").text == "x.yaml:4"
    assert second.source.origin("intervention.points.samples").text == "x.yaml:4"
    (only,) = loaded(text, "intervention.count=70")
    assert (only.id, only.dose) == ("x[count=70]", 70.0)
    assert str(only.source.locate(error)) == ("--titrate-set intervention.count=70: 70 is too many")


def test_an_experiment_written_in_python_is_named_in_its_errors():
    with pytest.raises(SpecError, match=r"^experiment x axes\.seed: \[\] is not accepted"):
        expand(experiment(axes={"seed": []}))


def test_paths_on_an_axis_resolve_to_their_file_and_stay_short_in_ids(folder):
    Path("a").mkdir()
    Path("a/base.yaml").write_text(SPEC + "axes: {model: [./m, zoo/moe]}\n")
    Path("x.yaml").write_text("extends: a/base.yaml\n")
    own, zoo = expand(*load("x.yaml"))
    assert own.experiment.model == str(folder / "a/m")
    assert zoo.experiment.model == "zoo/moe"
    assert own.id == "x[model=._m]"
    points = "intervention.points=[{file: p.json}]"
    (case,) = loaded("", f"axes.{points}")
    assert case.experiment.intervention.points.file == str(folder / "p.json")
