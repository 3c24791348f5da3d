"""What requests are stored under: keys that were given once stay, whatever is added to sampling."""

from __future__ import annotations

import pytest

from harness.engines.contract import Request, Stop
from harness.interventions.router_mask.description import RouterMask
from harness.sampling.chosen import SamplingRules

#: Sampling rules, and the key that a completion drawn under them has in stores on disk.
KEYS = (
    ({}, "dab87f0ef4a4b05043a5f43337b9f3deeb5abd7cd27e380147343632a3a3b8d3"),
    ({"temperature": 0.7}, "0f848033d4cdf47b1666dec982bddc96d6fa6852bfa1b229d59832451a20afe8"),
    (
        {"temperature": 1.0, "top_k": 5, "top_p": 0.9, "min_p": 0.05},
        "2a98a2208b4ef617591f59782219880b9522b834d1e1d20237e0b5c41e6e0d23",
    ),
    (
        {"temperature": 1.0, "greedy_threshold": 0.3},
        "315f09ca2bb6e3083ef866b9c875638f8bc49cd80ba14e2b7da2c5836d13b65d",
    ),
    (
        {"temperature": 0.0, "top_k": 3, "greedy_threshold": 0.5},
        "241ba63cf32889d9088a2991839b75b3ab501208fa80ac2b0cce7482469001cf",
    ),
)


@pytest.mark.parametrize(("rules", "key"), KEYS)
def test_keys_of_stored_completions_stay(rules, key):
    request = Request(
        (1, 2, 3),
        8,
        sampling=SamplingRules(**rules),
        stop=Stop(frozenset({2}), ("\n",)),
        seed=3,
        sample="s/1",
        draw=2,
    )
    assert request.key() == key


def test_the_key_of_a_continued_request_stays():
    request = Request((1, 2, 3), 8, RouterMask(points=((0, 1),)), continued=1, distribution=True)
    assert request.key() == "2b5431c3520924add0b1447d3709674fd0710b82d5c42262951507d0d508d57d"
