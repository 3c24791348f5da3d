"""How differently the two variants of a pair route: usage maps, and routing distances by layer.

At every shared position of the answer a token's usage is its top-k weights, renormalised to 1
(`router_usage.top_k_usage`). With R layers that have a router and E experts:

    avg_all_<variant>   [R, E]  mean over all positions of all samples; rows sum to 1
    avg_last_<variant>  [R, E]  mean over samples, at each one's last position; rows sum to 1
    diff_all, diff_last [R, E]  agentic minus assisted; rows sum to 0
    thresholded_*       [R, E]  sign of a difference at or above its threshold, else 0
    tv_mean             [R]     total variation of the two usages, 0 to 1
    jaccard_mean        [R]     shared experts over used experts of the two top-k, 0 to 1
    intersection_mean   [R]     shared experts, 0 to k

The last three are means over a sample's positions, then over samples. A threshold is the larger of
0.005 and the 99th percentile of the absolute difference. Keys and definitions are the study's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from harness.measure.distances import total_variation
from harness.tasks.pairs.pair import VARIANTS, Variant

LEAST_THRESHOLD = 0.005
PERCENTILE = 99.0

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class SampleUsage:
    """One sample's share of the maps. `total`, `last`: [R, E] by variant; the rest [R]."""

    positions: int
    total: Mapping[Variant, torch.Tensor]
    last: Mapping[Variant, torch.Tensor]
    total_variation: torch.Tensor
    jaccard: torch.Tensor
    intersection: torch.Tensor


def sample_usage(usage: Mapping[Variant, torch.Tensor]) -> SampleUsage:
    """Reduce a sample's usage [R, P, E] in both variants, position i beside position i."""
    agentic, assisted = (usage[variant] for variant in VARIANTS)
    used = [matrix > 0 for matrix in (agentic, assisted)]
    shared = (used[0] & used[1]).sum(dim=-1).double()
    either = (used[0] | used[1]).sum(dim=-1).double()
    return SampleUsage(
        positions=agentic.shape[1],
        total={variant: usage[variant].sum(dim=1) for variant in VARIANTS},
        last={variant: usage[variant][:, -1] for variant in VARIANTS},
        total_variation=total_variation(agentic, assisted).mean(dim=-1),
        jaccard=(shared / either).mean(dim=-1),
        intersection=shared.mean(dim=-1),
    )


def usage_maps(samples: Sequence[SampleUsage], top_k: int) -> dict[str, NDArray[np.generic]]:
    """The maps of at least one sample under the study's keys, ready for `numpy.savez`."""
    positions = sum(sample.positions for sample in samples)
    maps: dict[str, NDArray[np.generic]] = {}
    average: dict[tuple[str, Variant], Matrix] = {}
    for variant in VARIANTS:
        total = torch.stack([sample.total[variant] for sample in samples]).sum(dim=0)
        last = torch.stack([sample.last[variant] for sample in samples]).mean(dim=0)
        average["all", variant] = (total / positions).numpy()
        average["last", variant] = last.numpy()
    for scope in ("all", "last"):
        for variant in VARIANTS:
            maps[f"avg_{scope}_{variant}"] = average[scope, variant]
        difference = average[scope, "agentic"] - average[scope, "assisted"]
        threshold = max(LEAST_THRESHOLD, float(np.percentile(np.abs(difference), PERCENTILE)))
        maps[f"diff_{scope}"] = difference
        maps[f"thresholded_{scope}"] = thresholded(difference, threshold)
        maps[f"threshold_{scope}"] = np.array(threshold)
    for name, values in (
        ("tv_mean", [sample.total_variation for sample in samples]),
        ("jaccard_mean", [sample.jaccard for sample in samples]),
        ("intersection_mean", [sample.intersection for sample in samples]),
    ):
        maps[name] = torch.stack(values).mean(dim=0).numpy()
    maps["top_k"] = np.array(top_k)
    return maps


def thresholded(difference: Matrix, threshold: float) -> NDArray[np.int8]:
    """The sign [R, E] of differences whose absolute value reaches a threshold, 0 elsewhere."""
    reached = np.abs(difference) >= threshold
    return (np.sign(difference) * reached).astype(np.int8)
