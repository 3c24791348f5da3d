"""Interventions from specs: fixed orderings without a model, measured ones once."""

from __future__ import annotations

import json

import pytest

from harness.errors import FieldError
from harness.interventions.router_mask.section import FilePoints, RandomPoints
from harness.interventions.router_points import random_points
from harness.models.loading import load_config
from harness.models.routers import router_shape
from harness.resolve.progress import Silent
from harness.resolve.resolver import Resolver
from harness.resolve.router_mask import check_router_mask, fixed_ordering, ordered
from harness.store.completions import CompletionStore
from tests.runs.small import Wrapped, experiment, mask

USAGE = {"usage": "avg_last_agentic", "samples": 2}


class Notes(Silent):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


@pytest.fixture
def shape():
    return router_shape(load_config("zoo/moe"))


@pytest.fixture
def resolver():
    """Without an engine: whatever needs one would fail."""
    return Resolver(None, Silent())


def points_file(folder, points, name="points.json"):
    path = folder / name
    path.write_text(json.dumps([{"layer": layer, "router": expert} for layer, expert in points]))
    return str(path)


def test_nothing_resolves_to_nothing(resolver):
    assert resolver.resolve(experiment(intervention=None)) is None


def test_doses_are_nested_beginnings_of_one_ordering(resolver, shape):
    ordering = random_points(shape.layers, shape.experts, 3)
    masks = [
        resolver.resolve(experiment(intervention=mask(points={"random": 3}, count=count)))
        for count in range(len(ordering) + 1)
    ]
    for count, resolved in enumerate(masks):
        assert set(resolved.points) == set(ordering[:count])
    assert masks[0].is_neutral
    assert not any(resolved.is_neutral for resolved in masks[1:])


def test_settings_reach_the_mask(resolver):
    settings = mask(count=2, mode="replace_topk", on_empty="zero")
    resolved = resolver.resolve(experiment(intervention=settings))
    assert (resolved.mode, resolved.on_empty) == ("replace_topk", "zero")


def test_a_mask_is_its_points_and_not_the_file_they_were_in(resolver, tmp_path):
    points = [(3, 7), (0, 1), (2, 2)]
    files = [points_file(tmp_path, points, name) for name in ("a.json", "b.json")]
    first, second = (
        resolver.resolve(experiment(intervention=mask(points={"file": file}, count=2)))
        for file in files
    )
    assert first.points == ((0, 1), (3, 7))
    assert first == second
    assert first.fingerprint() == second.fingerprint()


def test_a_file_that_does_not_fit_the_model_is_named(tmp_path, shape):
    file = points_file(tmp_path, [(0, 0), (4, 0)])
    with pytest.raises(FieldError) as error:
        fixed_ordering(FilePoints(file=file), shape)
    assert error.value.field == "intervention.points.file"
    assert error.value.problem.startswith(f"{file}: there is no layer 4, expert 0; ")


def test_every_point_of_a_random_ordering_occurs_once(shape):
    ordering = fixed_ordering(RandomPoints(random=1), shape)
    assert sorted(ordering) == [(layer, expert) for layer in range(4) for expert in range(16)]


@pytest.mark.parametrize(
    ("mode", "count", "possible"),
    [
        ("keep_topk", 64, True),
        ("keep_topk", 65, False),
        ("replace_topk", 56, True),  # 4 layers of 16 experts, 2 of which must stay
        ("replace_topk", 57, False),
    ],
)
def test_a_usage_that_no_ordering_could_fit_is_refused_before_measuring(mode, count, possible):
    asked = experiment(intervention=mask(points=USAGE, mode=mode, count=count))
    if possible:
        check_router_mask(asked, asked.intervention)
    else:
        with pytest.raises(FieldError, match=rf"intervention.count: {count} points"):
            check_router_mask(asked, asked.intervention)


def test_an_ordering_is_measured_once_whatever_the_count_and_the_limit(loaded):
    engine, notes = Wrapped(loaded), Notes()
    resolver = Resolver(engine, notes)
    doses = [
        resolver.resolve(
            experiment(
                intervention=mask(points=USAGE, count=count),
                task={"name": "micro_humaneval", "limit": limit},
            )
        )
        for count, limit in ((0, 1), (4, 1), (8, 3))
    ]
    assert engine.forwards == 1
    assert notes.texts == ["measuring router usage avg_last_agentic on micro_humaneval"]
    assert set(doses[1].points) < set(doses[2].points)


def test_the_usage_behind_an_ordering_is_known_when_it_is_measured_and_found_again(
    loaded, tmp_path
):
    asked = experiment(intervention=mask(points=USAGE, count=4))
    first = Resolver(Wrapped(loaded), Silent(), CompletionStore(tmp_path / "store"))
    assert first.usage(asked) is None
    done = first.resolve(asked)
    usage = first.usage(asked)
    assert usage.expression == "avg_last_agentic"
    assert done.points == tuple(sorted(ordered(usage)[:4]))
    assert all(sum(row) == pytest.approx(1) for row in usage.values)
    engine = Wrapped(loaded)
    again = Resolver(engine, Silent(), CompletionStore(tmp_path / "store"))
    assert (again.usage(asked), again.resolve(asked)) == (usage, done)
    assert engine.forwards == 0
    assert first.usage(experiment(intervention=mask(points=USAGE, count=0))) is None


def test_the_limit_of_the_task_does_not_limit_the_measurement(loaded):
    first, second = (
        Resolver(Wrapped(loaded), Silent()).resolve(
            experiment(
                intervention=mask(points=USAGE | {"samples": 4}, count=12),
                task={"name": "micro_humaneval", "limit": limit},
            )
        )
        for limit in (1, 4)
    )
    assert first == second


def test_other_usages_samples_and_tasks_are_measured_by_themselves(loaded):
    engine = Wrapped(loaded)
    resolver = Resolver(engine, Silent())
    for points, task in (
        (USAGE, "micro_humaneval"),
        ({"usage": "avg_all_agentic", "samples": 2}, "micro_humaneval"),
        ({"usage": "avg_last_agentic", "samples": 1}, "micro_humaneval"),
        (USAGE, "micro_gsm8k"),
    ):
        resolver.resolve(experiment(intervention=mask(points=points, count=4), task={"name": task}))
    assert engine.forwards == 4


def test_a_measured_ordering_may_turn_out_too_uneven(loaded):
    """56 points fit only an ordering that spreads them evenly, which usage does not."""
    settings = mask(points=USAGE, mode="replace_topk", count=56)
    with pytest.raises(FieldError, match=r"use at most \d+ of this ordering"):
        Resolver(Wrapped(loaded), Silent()).resolve(experiment(intervention=settings))
