"""Usage maps: the identities of averages, differences and distances, over random routings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.measure.router_usage import top_k_usage
from harness.measure.usage_maps import LEAST_THRESHOLD, sample_usage, thresholded, usage_maps

LAYERS, EXPERTS, TOP_K = 3, 8, 2
SEEDS = st.lists(st.integers(0, 2**20), min_size=1, max_size=4)


def routed(seed):
    """Usage of both variants of one sample, [R, P, E]."""
    generator = torch.Generator().manual_seed(seed)
    positions = 1 + seed % 5
    return {
        variant: top_k_usage(torch.randn(LAYERS, positions, EXPERTS, generator=generator), TOP_K)
        for variant in ("agentic", "assisted")
    }


def maps_of(seeds):
    return usage_maps([sample_usage(routed(seed)) for seed in seeds], TOP_K)


@given(SEEDS)
def test_rows_of_averages_sum_to_one_and_those_of_differences_to_nothing(seeds):
    maps = maps_of(seeds)
    for scope in ("all", "last"):
        for variant in ("agentic", "assisted"):
            average = maps[f"avg_{scope}_{variant}"]
            assert average.shape == (LAYERS, EXPERTS)
            np.testing.assert_allclose(average.sum(-1), 1)
            assert average.min() >= 0
            assert average.max() <= 1
        np.testing.assert_allclose(maps[f"diff_{scope}"].sum(-1), 0, atol=1e-12)
        difference = maps[f"avg_{scope}_agentic"] - maps[f"avg_{scope}_assisted"]
        np.testing.assert_array_equal(maps[f"diff_{scope}"], difference)


@given(SEEDS)
def test_averages_are_over_all_positions_and_over_last_ones(seeds):
    maps = maps_of(seeds)
    usage = [routed(seed)["agentic"] for seed in seeds]
    everything = torch.cat(usage, dim=1).mean(1)
    np.testing.assert_allclose(maps["avg_all_agentic"], everything, atol=1e-12)
    last = torch.stack([each[:, -1] for each in usage]).mean(0)
    np.testing.assert_allclose(maps["avg_last_agentic"], last, atol=1e-12)


@given(st.integers(0, 2**20))
def test_routing_distances_of_one_position_obey_their_laws(seed):
    usage = {variant: each[:, :1] for variant, each in routed(seed).items()}
    one = sample_usage(usage)
    shared = one.intersection
    torch.testing.assert_close(one.jaccard, shared / (2 * TOP_K - shared))
    assert one.total_variation.min() >= 0
    assert one.total_variation.max() <= 1
    for layer in range(LAYERS):
        a, b = (set(usage[v][layer, 0].nonzero()[:, 0].tolist()) for v in usage)
        assert int(shared[layer]) == len(a & b)
        if not a & b:
            assert float(one.total_variation[layer]) == pytest.approx(1)


def test_a_sample_against_itself_is_nowhere_apart():
    usage = routed(7)["agentic"]
    same = sample_usage({"agentic": usage, "assisted": usage})
    assert same.total_variation.abs().max() == 0
    assert (same.jaccard == 1).all()
    assert (same.intersection == TOP_K).all()


@given(SEEDS)
def test_distances_are_means_over_samples(seeds):
    maps = maps_of(seeds)
    each = [sample_usage(routed(seed)) for seed in seeds]
    expected = torch.stack([one.total_variation for one in each]).mean(0)
    np.testing.assert_allclose(maps["tv_mean"], expected)
    assert maps["jaccard_mean"].shape == maps["intersection_mean"].shape == (LAYERS,)


@given(SEEDS)
def test_thresholded_maps_hold_the_signs_of_what_reaches_the_threshold(seeds):
    maps = maps_of(seeds)
    difference, threshold = maps["diff_all"], float(maps["threshold_all"])
    assert threshold >= LEAST_THRESHOLD
    assert threshold == max(LEAST_THRESHOLD, np.percentile(np.abs(difference), 99))
    np.testing.assert_array_equal(maps["thresholded_all"] == 1, difference >= threshold)
    np.testing.assert_array_equal(maps["thresholded_all"] == -1, difference <= -threshold)


def test_the_threshold_itself_is_reached():
    signs = thresholded(np.array([[0.5, -0.5, 0.49, 0.0]]), 0.5)
    assert signs.tolist() == [[1, -1, 0, 0]]


def test_the_keys_are_those_of_the_studys_file():
    averages = {f"avg_{s}_{v}" for s in ("all", "last") for v in ("agentic", "assisted")}
    by_scope = {f"{n}_{s}" for n in ("diff", "thresholded", "threshold") for s in ("all", "last")}
    rest = {"tv_mean", "jaccard_mean", "intersection_mean", "top_k"}
    assert set(maps_of([1])) == averages | by_scope | rest
