"""Kept sets equal those of transformers' warpers, and of llama.cpp's chain computed once more."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from tests.engines.decoding.steps_of import assert_the_same, first, left, steps

WARPERS = {
    "temperature": TemperatureLogitsWarper,
    "top_h": TopHLogitsWarper,
    "top_k": TopKLogitsWarper,
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
    "typical": TypicalLogitsWarper,
    "epsilon": EpsilonLogitsWarper,
    "eta": lambda value: EtaLogitsWarper(value, device="cpu"),
}


def warped(logits, values):
    """Logits under transformers' own warpers, in its order."""
    for name, warper in WARPERS.items():
        if name in values:
            logits = warper(values[name])(None, logits)
    return logits


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 1.5},
        {"top_h": 0.4},
        {"top_h": 1.0},
        {"top_k": 7},
        {"top_p": 0.5},
        {"top_p": 0.9},
        {"min_p": 0.05},
        {"typical": 0.5},
        {"typical": 0.95},
        {"epsilon": 0.01},
        {"eta": 0.02},
        {"temperature": 1.5, "top_k": 40, "top_p": 0.9, "min_p": 0.05},
        {"temperature": 0.7, "top_h": 0.8, "top_k": 20, "top_p": 0.95, "min_p": 0.1},
        {"temperature": 2.0, "top_p": 0.9, "typical": 0.9, "epsilon": 0.003, "eta": 0.004},
    ],
    ids=str,
)
def test_hf_keeps_what_transformers_keeps(values):
    logits = steps()
    assert_the_same(left(logits, **values), warped(logits, values), values)


def chained(logits, *, top_n_sigma=0.0, top_k=0, typical=1.0, top_p=1.0, min_p=0.0):
    """What llama.cpp's chain keeps of one step [V], bool, and how near it was to anything else.

    Written after its samplers' definitions, in float64; temperature comes last and keeps all.
    """
    order = np.argsort(-logits, kind="stable")
    values, near = logits[order].astype(np.float64), np.inf
    if top_n_sigma:
        least = values.max() - top_n_sigma * values.std()
        near = min(near, np.abs(values - least).min())
        values, order = values[values >= least], order[values >= least]
    if top_k:
        values, order = values[:top_k], order[:top_k]
    if typical < 1:
        scores = values - np.logaddexp.reduce(values)
        entropy = -(scores * np.exp(scores)).sum()
        distance = np.abs(-scores - entropy)
        nearest = np.argsort(distance, kind="stable")
        mass = np.exp(scores[nearest]).cumsum()
        last = min(int((mass < typical).sum()), len(mass) - 1)
        edge = distance[nearest[last]]
        others = distance[np.abs(distance - edge) > 1e-9]
        near = min(near, np.abs(mass - typical).min(), np.abs(others - edge).min(initial=1.0))
        kept = distance <= edge + 1e-9  # tokens that are equally near stay together
        values, order = values[kept], order[kept]
    if top_p < 1:
        mass = np.exp(values - np.logaddexp.reduce(values)).cumsum()
        near = min(near, np.abs(mass - top_p).min())
        count = int((mass < top_p).sum()) + 1
        values, order = values[:count], order[:count]
    if min_p:
        least = values.max() + np.log(min_p)
        near = min(near, np.abs(values - least).min())
        values, order = values[values >= least], order[values >= least]
    there = np.zeros(len(logits), dtype=bool)
    there[order] = True
    return there, near


@pytest.mark.parametrize(
    "values",
    [
        {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "temperature": 0.8},
        {"top_n_sigma": 1.0, "temperature": 1.5},
        {"top_k": 20, "typical": 0.9, "top_p": 0.88, "temperature": 1.5},
        {"top_n_sigma": 2.0, "top_k": 30, "top_p": 0.8, "min_p": 0.02, "temperature": 2.0},
    ],
    ids=str,
)
def test_llamacpp_keeps_what_its_chain_keeps(values):
    logits = steps()
    own = left(logits, compose="llamacpp", **values)
    temperature = values["temperature"]
    asked = {name: value for name, value in values.items() if name != "temperature"}
    near_edge = 0
    for row, step in enumerate(logits.numpy()):
        kept, near = chained(step, **asked)
        if not np.array_equal(own[row].isfinite().numpy(), kept):
            assert near < 1e-5, row  # the sums are float32 here and float64 there
            near_edge += 1
    assert near_edge <= 5
    finite = own.isfinite()
    assert torch.equal(own[finite], (logits / temperature)[finite])


def counted(logits, values):
    """How many tokens each of the seed's counts keeps; the smallest is what `min` keeps."""
    probabilities = logits.div(values["temperature"]).softmax(-1).sort(-1, descending=True).values
    counts = {
        "top_k": lambda k: torch.full((len(logits),), k),
        "top_p": lambda p: (probabilities.cumsum(-1) <= p).sum(-1) + 1,
        "min_p": lambda m: (probabilities >= m * probabilities[:, :1]).sum(-1),
        "epsilon": lambda e: (probabilities >= e).sum(-1),
    }
    each = [counts[name](value) for name, value in values.items() if name in counts]
    return torch.stack(each).amin(0).clamp(1, logits.shape[-1])


def test_min_keeps_the_smallest_count_of_the_tempered_distribution():
    logits = steps()
    values = {"temperature": 1.5, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "epsilon": 0.004}
    own = left(logits, compose="min", **values)
    expected = first(logits / 1.5, counted(logits, values))
    # Sums of the same probabilities in another order may differ in their last bit.
    assert ((own.isfinite() != expected.isfinite()).any(-1)).sum() <= 2


def test_the_orders_keep_different_sets():
    """As often as was measured on other random steps: vLLM 35 %, min 71 %, llama.cpp 98 %."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1000, 5000, generator=generator) * 3
    values = {"temperature": 1.5, "top_k": 40, "top_p": 0.9, "min_p": 0.05}
    sets = {
        compose: left(logits, compose=compose, **values).isfinite()
        for compose in ("hf", "vllm", "llamacpp", "min")
    }
    share = {
        name: (kept != sets["hf"]).any(-1).float().mean().item() for name, kept in sets.items()
    }
    assert share["hf"] == 0
    assert 0.1 < share["vllm"] < share["min"] < share["llamacpp"]
