"""How two kinds of text differ inside the model, generated token by generated token.

Shapes: S steps, H the width of the hidden states. Each side of a contrastive pair is a prompt of P
tokens and what follows it: its answer or, where it has none, what the model generates greedily.
Step i is read at position P - 1 + i, where the i-th of these tokens is decided; a side counts at a
step as long as its text goes on. A layer's difference at step i is the mean of the positive sides'
states minus the mean of the negative ones', and there are as many steps as both have sides for.

Source: Scalena, Sarti and Nissim 2024 (arXiv:2406.17563), section 3, with their greedy generation
and their mean over the texts that are still alive. They read the input of the attention's output
projection; its output, which is read here at the site `attention`, is linear in that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.engines.contract import Capture, Engine, Reading, Request
from harness.errors import TaskError
from harness.interventions.array import Array
from harness.interventions.steering_terms import Site
from harness.measure.steering_vectors import distinct
from harness.tasks.contrast import ContrastPair
from harness.tasks.conversations import render

Matrix: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class SideTokens:
    """A side's prompt and what follows it; nothing, where that is still to be generated."""

    prompt: tuple[int, ...]
    following: tuple[int, ...]


def sides_of(tokenizer: Any, pairs: Sequence[ContrastPair], steps: int) -> list[SideTokens]:
    """Both sides of every pair, the positive one first, with at most `steps` tokens of answers.

    Raises TaskError where there are no pairs, and for a pair whose sides are the same tokens.
    """
    if not pairs:
        raise TaskError("there are no pairs; a difference needs at least one")
    found = []
    for pair in pairs:
        own = []
        for side in (pair.positive, pair.negative):
            answer = tokenizer(side.answer, add_special_tokens=False)["input_ids"]
            own.append(SideTokens(tuple(render(tokenizer, side.prompt)), tuple(answer[:steps])))
        if own[0] == own[1]:
            raise TaskError(f"{pair.id}: both sides are the same tokens; a pair must differ")
        found += own
    return found


def build_differences(
    engine: Engine, sides: Sequence[SideTokens], *, layers: Sequence[int], site: Site, steps: int
) -> Mapping[int, Array]:
    """The difference [S, H] of each layer, S at most `steps`, from the sides of `sides_of`.

    Raises TaskError for a text that the engine refuses, FieldError for no layer at all.
    """
    layers = distinct(layers)
    texts = list(_followed(engine, sides, steps))
    readings = [
        Reading(
            (*side.prompt, *side.following[:-1]),
            Capture(
                hidden_layers=tuple(layers),
                hidden_site=site,
                positions=tuple(
                    range(len(side.prompt) - 1, len(side.prompt) + len(side.following) - 1)
                ),
            ),
            prompt=len(side.prompt),
        )
        for side in texts
    ]
    alive = np.zeros((2, steps))
    sums: dict[int, Matrix] = {}
    for index, activations in engine.forward(readings):
        for layer in layers:
            states = activations.hidden[layer].double().numpy()
            total = sums.setdefault(layer, np.zeros((2, steps, states.shape[1])))
            total[index % 2, : len(states)] += states
        alive[index % 2, : len(texts[index].following)] += 1
    common = int((alive > 0).all(axis=0).sum())
    positive, negative = alive[0, :common, None], alive[1, :common, None]
    return {
        layer: Array(total[0, :common] / positive - total[1, :common] / negative)
        for layer, total in sums.items()
    }


def rotated(difference: Array, seed: int) -> Array:
    """A difference [S, H] or [H] turned at random: a control that is as long at every step.

    Its rows keep their lengths and the angles between them; the directions in which they lie are
    drawn from the uniform distribution on all rotations.
    """
    rows = np.atleast_2d(difference.numpy().astype(np.float64))
    basis, _ = np.linalg.qr(rows.T)
    random = np.random.Generator(np.random.PCG64(seed))
    frame, triangle = np.linalg.qr(random.standard_normal(basis.shape))
    # Signs as Mezzadri 2007 (arXiv:math-ph/0609050): without them frames are not uniform.
    turned = rows @ basis @ (frame * np.sign(np.diag(triangle))).T
    return Array(turned.reshape(difference.shape))


def _followed(engine: Engine, sides: Sequence[SideTokens], steps: int) -> Sequence[SideTokens]:
    """The sides with what the model generates behind those that have no answer."""
    asked = [index for index, side in enumerate(sides) if not side.following]
    requests = [Request(sides[index].prompt, steps, sample=f"side {index}") for index in asked]
    followed = list(sides)
    for position, completion in engine.generate(requests):
        index = asked[position]
        if not completion.tokens:
            raise TaskError(f"pair {index // 2 + 1}: {completion.error or 'no token follows it'}")
        followed[index] = replace(sides[index], following=completion.tokens)
    return followed
