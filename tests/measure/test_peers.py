"""Vectors against the field's own packages, on zoo/moe, where these can be imported.

Both pin libraries of an earlier generation (steering-vectors: transformers<5, repeng: numpy<2), so
that neither can be installed beside ours with its dependencies; their code runs as it is:

    pip install --no-deps --target peers steering-vectors==0.12.2 repeng==0.4.0
    PYTHONPATH=peers pytest tests/measure/test_peers.py
"""

from __future__ import annotations

from importlib.util import find_spec
from random import Random

import numpy as np
import pytest
import torch

from harness.engines.contract import Request
from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.array import Array
from harness.interventions.gguf_vectors import read_gguf, write_gguf
from harness.interventions.residual import Term
from harness.interventions.steering.description import Steering
from harness.interventions.torch_vectors import read_torch, write_steering_vectors
from harness.measure.steering_vectors import aggregate, build_vectors, pair_states
from harness.models.loading import load
from harness.tasks import micro_gsm8k
from harness.tasks.contrast import ContrastPair, Side, wrong_answer

LAYERS = [0, 1, 2, 3]
steering_vectors = pytest.mark.skipif(
    find_spec("steering_vectors") is None, reason="steering-vectors is not installed"
)
repeng = pytest.mark.skipif(find_spec("repeng") is None, reason="repeng is not installed")


@pytest.fixture(scope="module")
def engine():
    return TransformersEngine(load("zoo/moe"))


@pytest.fixture(scope="module")
def texts():
    """Right and wrong answers of word problems, as bare text: (positive, negative)."""
    random = Random(0)
    found = []
    for _ in range(24):
        problem = micro_gsm8k.training_problem(random)
        wrong = wrong_answer(problem.answer, random)
        found.append((f"{problem.question}\n{problem.answer}", f"{problem.question}\n{wrong}"))
    return found


@pytest.fixture(scope="module")
def pairs(texts):
    return [ContrastPair(f"pair {at}", Side(p), Side(n)) for at, (p, n) in enumerate(texts)]


def ours(engine, pairs, method, site="block"):
    return build_vectors(
        engine, pairs, layers=LAYERS, site=site, position="last", method=method
    ).vectors


@steering_vectors
@pytest.mark.parametrize("method", ["mean", "pca"])
@pytest.mark.parametrize(
    ("site", "kind"), [("block", "decoder_block"), ("attention", "self_attn"), ("mlp", "mlp")]
)
def test_vectors_agree_with_steering_vectors(engine, texts, pairs, method, site, kind):
    from steering_vectors import mean_aggregator, pca_aggregator, train_steering_vector

    peer = train_steering_vector(
        engine.loaded.model,
        engine.tokenizer,
        texts,
        layer_type=kind,
        layer_config={
            "decoder_block": "model.layers.{num}",
            "self_attn": "model.layers.{num}.self_attn",
            "mlp": "model.layers.{num}.mlp",
        },
        aggregator={"mean": mean_aggregator, "pca": pca_aggregator}[method](),
    )
    found = ours(engine, pairs, method, site)
    for layer in LAYERS:
        own, theirs = found[layer].numpy(), peer.layer_activations[layer].numpy()
        np.testing.assert_allclose(own, theirs, atol=1e-5, rtol=1e-5)


@steering_vectors
def test_files_of_steering_vectors_are_exchanged(engine, pairs, tmp_path):
    from steering_vectors import SteeringVector

    built = build_vectors(engine, pairs, layers=[1, 2], site="mlp", position="last", method="mean")
    write_steering_vectors(built, tmp_path / "v.pt")
    peer = SteeringVector(**torch.load(tmp_path / "v.pt", weights_only=True))
    assert peer.layer_type == "mlp"
    torch.save(vars(peer), tmp_path / "w.pt")
    assert read_torch(tmp_path / "w.pt").vectors == built.vectors


@steering_vectors
def test_generated_tokens_stay_steered_where_a_mask_by_token_index_empties(engine):
    """The peer steers nothing that is generated with a cache; ours is its uncached decoding."""
    from steering_vectors import SteeringVector

    model, tokenizer = engine.loaded.model, engine.tokenizer
    prompt = tokenizer("def add_three(x):\n    ")["input_ids"]
    vector = torch.randn(96, generator=torch.Generator().manual_seed(0))
    peer = SteeringVector({2: vector}, "decoder_block")
    where = {"decoder_block": "model.layers.{num}"}
    inputs = torch.tensor([prompt])
    chosen = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}

    def generated(alpha, *, use_cache):
        with peer.apply(model, where, multiplier=alpha, min_token_index=len(prompt)):
            output = model.generate(inputs, use_cache=use_cache, **chosen)
        return tuple(output[0, len(prompt) :].tolist())

    unsteered = generated(0.0, use_cache=False)
    doses = (2.0, 4.0, 8.0, 16.0)
    alpha = next(each for each in doses if generated(each, use_cache=False) != unsteered)
    # After the first step its cached passes are one token long: index n is in none of them.
    assert generated(alpha, use_cache=True) == unsteered
    term = Term(layer=2, vector=Array(vector), alpha=alpha, positions="generated")
    request = Request(
        prompt=tuple(prompt), max_new_tokens=12, intervention=Steering(terms=(term,)), sample="s"
    )
    ((_, own),) = engine.generate([request])
    expected = generated(alpha, use_cache=False)
    assert own.tokens == expected[: len(own.tokens)]
    assert len(own.tokens) > 4


@pytest.fixture
def control_vector(monkeypatch):
    """repeng's class; its annotations name `np.float_`, which numpy 2 has no more."""
    monkeypatch.setattr(np, "float_", np.float64, raising=False)
    from repeng import ControlVector

    return ControlVector


@repeng
@pytest.mark.parametrize(
    ("variant", "method"), [("pca_center", "pca"), ("pca_diff", "pca_centred")]
)
def test_vectors_agree_with_repeng_up_to_sign(
    engine, texts, pairs, control_vector, variant, method
):
    from repeng import DatasetEntry

    peer = control_vector.train(
        engine.loaded.model,
        engine.tokenizer,
        [DatasetEntry(*each) for each in texts],
        method=variant,
        batch_size=1,
    )
    found = ours(engine, pairs, method)
    assert sorted(peer.directions) == [1, 2, 3]  # block 0 is left out by default
    for layer in (1, 2):
        same_up_to_sign(found[layer].numpy(), peer.directions[layer])
    # The last one is of the states behind the final norm, not of the block's output.
    positive, negative = pair_states(engine, pairs, layers=[3], site="block", position="last")
    norm = engine.loaded.model.model.norm
    with torch.inference_mode():
        sides = [
            norm(torch.tensor(side[3]).float()).double().numpy() for side in (positive, negative)
        ]
    same_up_to_sign(aggregate(*sides, method), peer.directions[3])
    with pytest.raises(AssertionError):
        same_up_to_sign(found[3].numpy(), peer.directions[3])


def same_up_to_sign(own, theirs):
    sign = np.sign(float(own @ theirs))
    np.testing.assert_allclose(own, sign * theirs, atol=1e-5)


@repeng
def test_control_vectors_are_exchanged_with_repeng(engine, pairs, control_vector, tmp_path):
    built = build_vectors(
        engine, pairs, layers=[1, 2], site="block", position="last", method="mean"
    )
    write_gguf(built, tmp_path / "v.gguf")
    peer = control_vector.import_gguf(tmp_path / "v.gguf")
    assert sorted(peer.directions) == [1, 2]
    np.testing.assert_array_equal(peer.directions[2], built.vectors[2].numpy())
    (2 * peer).export_gguf(tmp_path / "w.gguf")
    doubled = read_gguf(tmp_path / "w.gguf").vectors
    assert doubled == {layer: Array(2 * one.tensor()) for layer, one in built.vectors.items()}
