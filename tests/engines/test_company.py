"""Several engines as one: streams are split by name, answers keyed by who gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest

import harness
from harness import registry
from harness.engines.company import Company
from harness.engines.contract import Request, Scoring
from harness.engines.transformers import cache_sizes
from harness.engines.transformers.engine import TransformersEngine
from harness.metrics.entry import Asker, Asks, MetricEntry, Opening, Seen
from harness.metrics.kind import MetricKind
from harness.models.loading import load
from harness.spec.metric import MetricSettings
from tests.runs.small import Wrapped

PROMPTS = [(1, 5, 9), (1, 7), (1, 2, 3, 4)]


@pytest.fixture(scope="module")
def own():
    return TransformersEngine(load("zoo/moe", device="cpu"))


@pytest.fixture(scope="module")
def base():
    return TransformersEngine(load("zoo/base", device="cpu"))


@pytest.fixture(scope="module")
def company(own, base):
    return Company(own, {"base": base})


def test_each_engine_answers_what_names_it(company, own, base):
    requests = [Request(p, 4, engine=name) for p in PROMPTS for name in ("base", "")]
    scorings = [Scoring(p, ((8, 9),), engine=name) for p in PROMPTS for name in ("", "base")]
    made, scored = dict(company.generate(requests)), dict(company.score(scorings))
    assert sorted(made) == sorted(scored) == list(range(6))
    for at, request in enumerate(requests):
        ((_, alone),) = (base if request.engine else own).generate([request])
        assert made[at].tokens == alone.tokens
    for at, scoring in enumerate(scorings):
        ((_, alone),) = (base if scoring.engine else own).score([scoring])
        assert scored[at].log_probabilities[0] == pytest.approx(alone.log_probabilities[0])
    assert scored[0].log_probabilities[0] != pytest.approx(scored[1].log_probabilities[0])


@pytest.mark.parametrize("asked", [Request((1, 2), 4), Scoring((1, 2), ((3,),))])
def test_a_name_is_in_no_key_and_the_engine_that_answers_is(company, own, base, asked):
    named = replace(asked, engine="base")
    assert named != asked
    assert named.key() == asked.key()
    assert company.fingerprint(asked) == own.fingerprint
    assert company.fingerprint(named) == base.fingerprint != own.fingerprint


def test_all_are_closed(own):
    both = [Wrapped(own.loaded), Wrapped(own.loaded)]
    Company(both[0], {"other": both[1]}).close()
    assert [each.closed for each in both] == [1, 1]


def slot_bytes(engine: TransformersEngine, requests: list[Request]) -> int:
    """What one slot of the cache takes that these requests need."""
    need = engine.cache_need(requests[:1])
    assert need is not None
    return need.wanted


def slots_held(sizes: Sequence[int], *engines: TransformersEngine) -> list[int]:
    needs = [engine.cache_need([]) for engine in engines]
    return [need.held // size for need, size in zip(needs, sizes, strict=True) if need]


@pytest.fixture
def scarce(monkeypatch):
    """Memory for so many bytes of keys and values, over all of some engines."""

    def of(most: int, *engines: TransformersEngine) -> None:
        def free(_devices: object) -> int:
            held = sum(need.held for each in engines if (need := needs(each)) is not None)
            return max(0, most - held)

        def needs(each: TransformersEngine):
            monkeypatch.setattr(cache_sizes, "_free_memory", lambda _: 0)
            found = each.cache_need([])
            monkeypatch.setattr(cache_sizes, "_free_memory", free)
            return found

        monkeypatch.setattr(cache_sizes, "_FREE_SHARE", 1)
        monkeypatch.setattr(cache_sizes, "_free_memory", free)

    return of


@pytest.mark.parametrize("together", [True, False], ids=["one stream", "one after the other"])
def test_caches_of_all_that_generate_share_what_is_free_by_need(scarce, together):
    """Neither takes all of it because it was first, and answers are those of each alone."""
    one, two = (TransformersEngine(load(name, device="cpu")) for name in ("zoo/moe", "zoo/base"))
    few, many = ([Request((1, at + 2, 9), 4, engine=name) for at in range(count)]
                 for name, count in (("", 4), ("two", 12)))  # fmt: skip
    alone = {
        request: next(iter(engine.generate([request])))[1].tokens
        for engine, requests in ((one, few), (two, many))
        for request in requests
    }
    one, two = (TransformersEngine(engine.loaded) for engine in (one, two))
    sizes = slot_bytes(one, few), slot_bytes(two, many)
    assert 4 * sizes[0] == 12 * sizes[1], "both need as much"
    scarce(4 * sizes[0], one, two)
    company = Company(one, {"two": two})
    streams = [[*few, *many]] if together else [few, many, few]
    for stream in streams:
        for at, completion in company.generate(stream):
            assert completion.tokens == alone[stream[at]]
    held = slots_held(sizes, one, two)
    assert held == [2, 6], "half of what each needs: 4 and 12"
    scarce(100 * sizes[0], one, two)
    dict(company.generate([*few, *many]))
    held = slots_held(sizes, one, two)
    assert held == [4, 12], "no limit where all fits"


def test_an_engine_whose_shapes_are_fixed_shares_nothing(own, base):
    strict = TransformersEngine(base.loaded, determinism="strict", slots=2, columns=32)
    assert strict.cache_need([Request((1, 2), 4)]) is None
    asked = [Request((1, 2), 4), Request((1, 2), 4, engine="strict")]
    assert len(dict(Company(own, {"strict": strict}).generate(asked))) == 2


class _ContinuedSettings(MetricSettings):
    """How many tokens another model adds to a completion."""

    kind: Literal["continued"]
    """Which kind of metric this is: continued."""


def _continued(_settings: _ContinuedSettings) -> MetricEntry:
    """The tokens that zoo/base generates behind every completion: 3 of each, unless it ends."""

    def ask(seen: Seen, asker: Asker) -> list[Request]:
        return [Request((*asker.prompt, *each.tokens), 3, engine="other") for each in seen.answers]

    def value(seen: Seen) -> float:
        return float(sum(len(reply.tokens) for reply in seen.replies))

    other = {"other": Opening("zoo/base")}
    return MetricEntry("continued", "tokens", "neither", "count", (0, None),
                       value=value, asks=Asks(ask, engines=other))  # fmt: skip


def test_two_models_of_an_experiment_generate(tmp_path, monkeypatch):
    """From a spec on: both are planned, their answers kept under both fingerprints, and resumed."""
    monkeypatch.chdir(tmp_path)
    registry.metrics.register(
        "continued", MetricKind("continued", "tokens behind", _ContinuedSettings, _continued)
    )
    try:
        spec = {
            "name": "both", "model": "zoo/moe", "task": {"name": "micro_humaneval", "limit": 3},
            "sampling": {"max_new_tokens": 4}, "metrics": ["continued"],
            "intervention": {"kind": "router_mask", "points": {"random": 0}, "count": 0},
            "axes": {"intervention.count": [0, 30]}, "dose": "intervention.count",
        }  # fmt: skip
        experiment = harness.Experiment.model_validate(spec)
        first = harness.run(experiment, directory=tmp_path / "one")
        again = harness.run(experiment, directory=tmp_path / "two")
    finally:
        registry.metrics.unregister("continued")
    values = first.cases["metrics.continued.value"]
    assert (values > 0).all()
    assert list(values) == list(again.cases["metrics.continued.value"])
    costs = [report.report.run.cost for report in (first, again)]
    assert [(cost.model_loads, cost.requests - cost.stored) for cost in costs if cost] == [
        (2, costs[0].requests), (0, 0),
    ]  # fmt: skip
