"""Gumbel noise as a pure function of (key, position, token): draws never depend on a batch.

Adding Gumbel noise to log-probabilities and taking the maximum draws from the distribution (Gumbel
1954; Maddison, Tarlow and Minka 2014, "A* Sampling"). A token's noise depends on its request's key
and its position only, so that a request draws the same tokens in any batch, slot or worker, and
the conditions of a sweep, which share keys, share their randomness (common random numbers).
The bits come from the finaliser of SplitMix64 (Steele, Lea and Flood 2014) used as a counter-based
generator: integer arithmetic, so that every device computes the same bits.
"""

from __future__ import annotations

import hashlib

import torch

# SplitMix64's increment and multipliers as signed 64-bit integers, which is what torch has.
_INCREMENT = 0x9E3779B97F4A7C15 - (1 << 64)
_MULTIPLIER_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MULTIPLIER_2 = 0x94D049BB133111EB - (1 << 64)


def noise_key(seed: int, sample: str, draw: int) -> int:
    """The signed 64-bit key of one request's randomness."""
    digest = hashlib.sha256(f"{seed}\x1f{sample}\x1f{draw}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def gumbel(keys: torch.Tensor, positions: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Standard Gumbel noise [R, V] in float64 for rows' keys [R] at their positions [R] (int64).

    Computed where `keys` live, on the CPU for MPS devices, which have no float64.
    """
    device = keys.device
    if device.type == "mps":
        keys, positions = keys.cpu(), positions.cpu()
    tokens = torch.arange(vocabulary, device=keys.device, dtype=torch.int64)
    noise = noise_of(keys[:, None], positions[:, None], tokens)
    return noise.float().to(device) if device.type == "mps" else noise


def noise_of(keys: torch.Tensor, positions: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The same noise of single tokens (int64), of any shapes that broadcast, in float64."""
    rows = _mix(keys + (positions + 1) * _INCREMENT)
    bits = _mix(rows + (tokens + 1) * _INCREMENT)
    # The upper 53 bits, moved into the open interval (0, 1) so that neither logarithm is infinite.
    uniform = (_shift_right(bits, 11).to(torch.float64) + 0.5) * 2.0**-53
    return -torch.log(-torch.log(uniform))


def _mix(state: torch.Tensor) -> torch.Tensor:
    """SplitMix64's finaliser: every input bit affects every output bit."""
    state = (state ^ _shift_right(state, 30)) * _MULTIPLIER_1
    state = (state ^ _shift_right(state, 27)) * _MULTIPLIER_2
    return state ^ _shift_right(state, 31)


def _shift_right(value: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift; torch's own keeps the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
