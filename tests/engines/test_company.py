"""Several engines as one: streams are split by name, answers keyed by who gives them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.engines.company import Company
from harness.engines.contract import Request, Scoring
from harness.engines.transformers.engine import TransformersEngine
from harness.models.loading import load
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
