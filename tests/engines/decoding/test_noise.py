"""The noise is Gumbel noise, and a pure function of key, position and token."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.engines.decoding.noise import gumbel, noise_key

KEYS = st.integers(-(2**63), 2**63 - 1)


def noise(key: int, position: int, vocabulary: int = 50) -> torch.Tensor:
    return gumbel(torch.tensor([key]), torch.tensor([position]), vocabulary)[0]


def test_known_bits():
    """SplitMix64 started at 0 gives 0xE220A8397B1DCDAF first (Vigna's reference output).

    Row state for position p is mix(key + (p + 1) * increment), which is that first output here,
    so that this pins both the mixing and the order of the counters.
    """
    expected = 0xE220A8397B1DCDAF
    increment = 0x9E3779B97F4A7C15
    mask = 2**64 - 1

    def mix(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    assert mix(increment) == expected
    bits = mix((expected + increment) & mask) >> 11
    uniform = torch.tensor((bits + 0.5) * 2.0**-53, dtype=torch.float64)
    assert torch.equal(noise(0, 0, 1)[0], -torch.log(-torch.log(uniform)))


def test_distribution_is_standard_gumbel():
    rows = gumbel(torch.arange(200), torch.arange(200) % 7, 500).flatten()
    assert stats.kstest(rows.numpy(), "gumbel_r").pvalue > 0.001


@given(st.lists(st.tuples(KEYS, st.integers(0, 10_000)), min_size=1, max_size=8, unique=True))
def test_a_rows_noise_does_not_depend_on_the_rows_beside_it(pairs):
    keys = torch.tensor([key for key, _ in pairs])
    positions = torch.tensor([position for _, position in pairs])
    together = gumbel(keys, positions, 50)
    for row, (key, position) in zip(together, pairs, strict=True):
        assert torch.equal(row, noise(key, position))
    assert torch.isfinite(together).all()


@given(KEYS, st.integers(0, 1000), st.integers(0, 1000))
def test_positions_are_independent(key, first, second):
    if first != second:
        assert not torch.equal(noise(key, first), noise(key, second))


def test_a_larger_vocabulary_keeps_the_noise_of_a_smaller_one():
    assert torch.equal(noise(5, 3, 100)[:50], noise(5, 3, 50))


def test_keys_are_stable_and_separate_their_parts():
    assert noise_key(0, "a", 0) == noise_key(0, "a", 0)
    parts = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (0, "a1", 0), (10, "a", 0)]
    parts += [(1, "1", 0), (11, "", 0), (1, "", 10), (1, "1", 10)]
    assert len({noise_key(*part) for part in parts}) == len(parts)
