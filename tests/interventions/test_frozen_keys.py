"""Stored completions stay valid: what they are stored under is what it was when they were made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from harness.engines.contract import Request, Stop
from harness.interventions.array import Array
from harness.interventions.base import Intervention
from harness.interventions.dac.description import DAC, LayerDifference, Property
from harness.interventions.residual import Condition, Term
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.steering.description import Steering
from harness.sampling.chosen import SamplingRules


def vector(*shape: int) -> Array:
    return Array(np.arange(np.prod(shape), dtype="<f4").reshape(shape) / 8)


INTERVENTIONS: dict[str, Callable[[], Intervention]] = {
    "no mask": lambda: RouterMask(),
    "mask": lambda: RouterMask(mode="replace_topk", on_empty="zero", points=((3, 1), (0, 7))),
    "no steering": lambda: Steering(),
    "steering": lambda: Steering(
        terms=(
            Term(layer=1, vector=vector(4), alpha=2.0, residual_norm=3.0),
            Term(
                layer=0,
                site="mlp",
                vector=vector(4),
                alpha=-1.5,
                positions="generated",
                schedule="diminishing",
                over=5,
                condition=Condition(kind="cosine", direction=vector(4), threshold=0.25),
            ),
        )
    ),
    "given": lambda: Steering(
        terms=(
            Term(layer=2, vector=vector(3, 4), alpha=1.0, schedule="given", given=(0.5, 0.0, 1.0)),
        )
    ),
    "dac": lambda: DAC(
        properties=(
            Property(name="one", differences=(LayerDifference(layer=0, vector=vector(2, 4)),)),
            Property(name="two", site="block", differences=()),
        ),
        top_p=0.9,
        mean_divergence=True,
    ),
}


def request(intervention: Intervention | None) -> Request:
    return Request(
        (1, 2, 3),
        7,
        intervention,
        SamplingRules(temperature=0.5, top_p=0.9, greedy_threshold=0.1),
        Stop(frozenset({5, 4}), ("\n",)),
        seed=1,
        sample="a/1",
        draw=2,
        continued=1,
    )


FROZEN = {
    "no mask": ("06d5bc6f7dfb03c7", "e88299e7843ac453", "06d5bc6f7dfb03c7"),
    "mask": ("a2a81336406e0b61", "783386e875294263", "a2a81336406e0b61"),
    "no steering": ("02432a9011e8953e", "8f76e1648f138bc1", ""),
    "steering": ("d556f3ef6548c37f", "2523d944250ac736", "d556f3ef6548c37f"),
    "given": ("e30d7fc35bdd1fc0", "a6ef515eb0b1c2de", "33d45cc640afde6d"),
    "dac": ("e53de2913d1ad023", "4e355e9d1c9b8392", "e53de2913d1ad023"),
    "none": ("", "4bdfac8d21098baa", ""),
}


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_fingerprints_and_keys_are_what_they_were(name):
    intervention = INTERVENTIONS[name]()
    found = (intervention.fingerprint()[:16], request(intervention).key()[:16])
    prefix = intervention.prefix_key(9, 3)[:16]
    assert (*found, prefix) == FROZEN[name]


def test_the_key_of_no_intervention_is_what_it_was():
    assert request(None).key()[:16] == FROZEN["none"][1]
