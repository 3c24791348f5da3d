"""Dynamic activation composition written out step by step, to compare decoding in rounds with.

The reference shares nothing with the engine: a plain transformers model, one sequence, every text
read anew from its first token, hooks that edit position by position, and the divergence in Python's
own numbers.
"""

from __future__ import annotations

import math
import random
from contextlib import ExitStack

import pytest
import torch

from harness.engines.contract import Completion
from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.array import Array
from harness.interventions.dac.description import DAC, LayerDifference, Property

WIDTH = 32


LAYERS = 2


STEPS = 6


def difference(seed: int, steps: int | None = STEPS, scale: float = 0.5) -> Array:
    generator = torch.Generator().manual_seed(seed)
    shape = (WIDTH,) if steps is None else (steps, WIDTH)
    return Array(scale * torch.randn(shape, generator=generator))


def one_property(seed: int = 0, name: str = "one", site: str = "attention", **shape) -> Property:
    return Property(
        name=name,
        site=site,
        differences=tuple(
            LayerDifference(layer=layer, vector=difference(10 * seed + layer, **shape))
            for layer in range(LAYERS)
        ),
    )


def prompts(count: int, seed: int = 0, length: int = 12) -> list[tuple[int, ...]]:
    draw = random.Random(seed)
    return [tuple(draw.randrange(1, 48) for _ in range(length + index)) for index in range(count)]


def run(engine, requests) -> list[Completion]:
    completions = dict(engine.generate(requests))
    return [completions[index] for index in range(len(requests))]


def decoded(loaded, requests, **settings) -> list[Completion]:
    return run(TransformersEngine(loaded, **settings), requests)


def next_token(loaded, tokens, edits) -> list[float]:
    """Probabilities after `tokens`; `edits` are (layer, site, position) -> vectors to add."""

    def editing(layer, site):
        def hook(_module, _inputs, output):
            hidden = (output[0] if isinstance(output, tuple) else output).clone()
            for (of, where, position), vectors in edits.items():
                for vector in vectors if (of, where) == (layer, site) else ():
                    hidden[0, position] += vector
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return hook

    with ExitStack() as hooks, torch.inference_mode():
        for layer, block in enumerate(loaded.model.get_decoder().layers):
            attention = getattr(block, "self_attn", None) or block.attention
            for site, module in (("attention", attention), ("block", block)):
                hooks.enter_context(module.register_forward_hook(editing(layer, site)))
        logits = loaded.model(torch.tensor([tokens]), use_cache=False).logits[0, -1]
    return logits.double().softmax(-1).tolist()


def reference_alpha(p: list[float], q: list[float], top_p: float, strongest: float) -> float:
    def nucleus(of):
        inside, mass = set(), 0.0
        for token in sorted(range(len(of)), key=lambda token: (-of[token], token)):
            inside.add(token)
            mass += of[token]
            if mass >= top_p:
                break
        return inside

    union = nucleus(p) | nucleus(q)
    of_p, of_q = sum(p[token] for token in union), sum(q[token] for token in union)
    kl = sum(p[token] / of_p * math.log((p[token] / of_p) / (q[token] / of_q)) for token in union)
    return min(max(kl, 0.0), strongest)


def reference(loaded, dac: DAC, prompt, new_tokens: int):
    """Tokens, their log-probabilities, and one list of alphas per property."""

    def edits(doses):
        found = {}
        for each, alphas in zip(dac.properties, doses, strict=True):
            for own in each.differences:
                numbers = own.vector.tensor()
                for step, alpha in enumerate(alphas):
                    if numbers.ndim == 2 and step >= len(numbers):
                        continue
                    row = numbers if numbers.ndim == 1 else numbers[step]
                    place = (own.layer, each.site, len(prompt) - 1 + step)
                    found.setdefault(place, []).append(alpha * row)
        return found

    tokens, scores = [], []
    alphas = [[] for _ in dac.properties]
    for step in range(new_tokens):
        text = [*prompt, *tokens]
        unsteered = next_token(loaded, text, {})
        for which, each in enumerate(dac.properties):
            full = [[] for _ in dac.properties]
            full[which] = [dac.strongest] * (step + 1)
            steered = next_token(loaded, text, edits(full))
            alpha = reference_alpha(unsteered, steered, dac.top_p, dac.strongest)
            ends = each.steps is not None and step >= each.steps
            alphas[which].append(0.0 if ends else alpha)
        probabilities = next_token(loaded, text, edits(alphas))
        token = max(range(len(probabilities)), key=probabilities.__getitem__)
        tokens.append(token)
        scores.append(math.log(probabilities[token]))
        if token == 0:
            break
    return tokens, scores, alphas


def assert_equal_to_reference(loaded, completion, dac, prompt, new_tokens) -> None:
    tokens, scores, alphas = reference(loaded, dac, prompt, new_tokens)
    assert list(completion.tokens) == tokens
    assert completion.log_probabilities == pytest.approx(scores, abs=1e-3)
    for each, own in zip(dac.properties, alphas, strict=True):
        assert completion.traces[f"alpha {each.name}"] == pytest.approx(own, abs=1e-3)
