"""From contrastive pairs to steering vectors: read both sides, aggregate their difference.

Shapes: N pairs, H the width of the hidden states; p_i and n_i [H] are the states of the positive
and the negative side of pair i, at one layer and site, at one position of each text.

    mean          mean_i(p_i - n_i): contrastive activation addition (Rimsky et al. 2024,
                  arXiv:2312.06681, section 3)
    mean_centred  mean_i(p_i) minus the mean of all 2N states (mean-centring, Jorgensen et al. 2023,
                  arXiv:2312.03813, with both sides as its background): half of `mean`
    pca           first right singular vector of the differences, not centred: unit length, sign
                  such that the differences' mean projection is positive
    pca_centred   first principal component of the differences without their mean; its sign is
                  that of the pairs' majority
    probe         weights of a logistic regression between the two sides (L2, C = 1), scaled to
                  the length of `mean`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.engines.contract import Capture, Engine, Reading
from harness.errors import FieldError, TaskError
from harness.interventions.array import Array
from harness.interventions.steering_terms import Method, PositionRule, Site
from harness.interventions.vector_file import Logistic, SteeringVectors
from harness.tasks.contrast import ContrastPair, Side
from harness.tasks.conversations import render

Matrix: TypeAlias = NDArray[np.float64]


class PairReader(Protocol):
    """Reads both sides of pairs: `pair_states`, or a cache in front of it."""

    def __call__(
        self,
        engine: Engine,
        pairs: Sequence[ContrastPair],
        *,
        layers: Sequence[int],
        site: Site,
        position: PositionRule,
    ) -> tuple[Mapping[int, Matrix], Mapping[int, Matrix]]:
        """Layer -> [N, H] of the positive and of the negative sides."""


def pair_states(
    engine: Engine,
    pairs: Sequence[ContrastPair],
    *,
    layers: Sequence[int],
    site: Site,
    position: PositionRule,
) -> tuple[Mapping[int, Matrix], Mapping[int, Matrix]]:
    """The states of the positive and of the negative sides: layer -> [N, H] each, float64.

    The state of a text does not depend on what it is batched with: padding is masked out, and
    positions are its own.
    """
    layers = distinct(layers)
    readings = list(
        readings_of_pairs(engine.tokenizer, pairs, layers=layers, site=site, position=position)
    )
    states: dict[int, list[NDArray[np.float64]]] = {layer: [] for layer in layers}
    rows: dict[int, Mapping[int, NDArray[np.float64]]] = {}
    for index, activations in engine.forward(readings):
        rows[index] = {
            layer: activations.hidden[layer].double().mean(dim=0).numpy() for layer in layers
        }
    for index in range(len(readings)):
        for layer in layers:
            states[layer].append(rows[index][layer])
    positive = {layer: np.stack(states[layer][0::2]) for layer in layers}
    negative = {layer: np.stack(states[layer][1::2]) for layer in layers}
    return positive, negative


def build_vectors(
    engine: Engine,
    pairs: Sequence[ContrastPair],
    *,
    layers: Sequence[int],
    site: Site,
    position: PositionRule,
    method: Method,
    facts: Mapping[str, str] | None = None,
    read: PairReader = pair_states,
) -> SteeringVectors:
    """One vector per layer from the pairs' hidden states, which `read` reads or has kept.

    A layer that is named twice has one vector all the same.

    Raises TaskError where there are no pairs, for pairs whose sides are the same tokens, in which
    the position rule matches no token, or whose sides are all alike up to there; FieldError for no
    layer at all.
    """
    layers = distinct(layers)
    readings = readings_of_pairs(
        engine.tokenizer, pairs, layers=layers, site=site, position=position
    )
    check_difference(list(readings), position)
    positive, negative = read(engine, pairs, layers=layers, site=site, position=position)
    vectors = {
        layer: Array(aggregate(positive[layer], negative[layer], method)) for layer in layers
    }
    if site == "block":
        norms = {layer: _mean_norm(positive[layer], negative[layer]) for layer in layers}
    else:
        norms = residual_norms(engine, pairs, layers=layers, position=position, read=read)
    known = {"method": method, "position": str(position), "pairs": str(len(pairs))}
    probes = {}
    if method == "probe":
        probes = {
            layer: _probe_of(vector, positive[layer], negative[layer])
            for layer, vector in vectors.items()
            if vector.norm > 0
        }
    return SteeringVectors(site, vectors, norms, {**known, **(facts or {})}, probes)


def distinct(layers: Sequence[int]) -> list[int]:
    """Every layer once, in the given order; raises FieldError for none.

    What is summed up layer by layer would count one twice that is named twice.
    """
    if not layers:
        raise FieldError("intervention.layer", "no layer is named; name one at least")
    return list(dict.fromkeys(layers))


def residual_norms(
    engine: Engine,
    pairs: Sequence[ContrastPair],
    *,
    layers: Sequence[int],
    position: PositionRule,
    read: PairReader = pair_states,
) -> dict[int, float]:
    """How long the residual stream is after each layer, on average over the tokens of the pairs.

    That is what every vector is added to in the end, whatever its site: what attention and MLP put
    out is added to the stream.
    """
    layers = distinct(layers)
    positive, negative = read(engine, pairs, layers=layers, site="block", position=position)
    return {layer: _mean_norm(positive[layer], negative[layer]) for layer in layers}


def _mean_norm(positive: Matrix, negative: Matrix) -> float:
    return float(np.linalg.norm(np.concatenate([positive, negative]), axis=1).mean())


def aggregate(positive: Matrix, negative: Matrix, method: Method) -> Matrix:
    """A vector [H] from the states [N, H] of both sides, by one of the methods above."""
    differences = positive - negative
    mean: Matrix = differences.mean(axis=0)
    match method:
        case "mean":
            return mean
        case "mean_centred":
            background: Matrix = np.concatenate([positive, negative])
            centred: Matrix = positive.mean(axis=0) - background.mean(axis=0)
            return centred
        case "pca":
            direction = _first_component(differences)
            return direction * _sign(float((differences @ direction).mean()))
        case "pca_centred":
            direction = _first_component(differences - mean)
            return direction * _sign(float(np.sign(differences @ direction).sum()))
        case "probe":
            weights, _ = _logistic_regression(positive, negative)
            length = np.linalg.norm(mean)
            return weights * (length / np.linalg.norm(weights))


def random_control(vector: Array, seed: int, index: int = 0) -> Array:
    """A direction drawn from the uniform distribution on the sphere, as long as `vector`.

    Of several vectors that are added, each has an `index`, and a draw independent of the others'.
    """
    spawned = np.random.SeedSequence(seed, spawn_key=(index,) if index else ())
    draw = np.random.Generator(np.random.PCG64(spawned)).standard_normal(vector.shape)
    return Array(draw * (vector.norm / np.linalg.norm(draw)))


def _first_component(rows: Matrix) -> Matrix:
    """The direction of the largest sum of squares; of unit length."""
    if not np.any(rows):
        raise TaskError(
            "the pairs' differences have no direction (all are equal); use more, and other, pairs"
        )
    component: Matrix = np.linalg.svd(rows, full_matrices=False)[2][0]
    return component


def _sign(value: float) -> float:
    return -1.0 if value < 0 else 1.0


def _probe_of(vector: Array, positive: Matrix, negative: Matrix) -> Logistic:
    """What the vector lost of the probe when it was scaled to the length of the mean."""
    weights, bias = _logistic_regression(positive, negative)
    return Logistic(float(np.linalg.norm(weights)) / vector.norm, bias)


def _logistic_regression(positive: Matrix, negative: Matrix) -> tuple[Matrix, float]:
    """Weights [H] and bias on the states as they are."""
    from sklearn.linear_model import LogisticRegression  # slow to import, and for one method

    states = np.concatenate([positive, negative])
    labels = np.repeat([1, 0], [len(positive), len(negative)])
    # Without a common scale the penalty would act on whatever unit the layer happens to have.
    centre, scale = states.mean(axis=0), states.std() or 1.0
    model = LogisticRegression(max_iter=1000).fit((states - centre) / scale, labels)
    weights: Matrix = model.coef_[0] / scale
    return weights, float(model.intercept_[0] - centre @ weights)


def readings_of_pairs(
    tokenizer: Any,
    pairs: Sequence[ContrastPair],
    *,
    layers: Sequence[int],
    site: Site,
    position: PositionRule,
) -> Iterator[Reading]:
    """What is read of every pair, the positive and the negative side in turn."""
    for pair in pairs:
        sides = [_tokens(tokenizer, side) for side in (pair.positive, pair.negative)]
        if sides[0] == sides[1]:
            raise TaskError(f"{pair.id}: both sides are the same tokens; a pair must differ")
        for prompt, answer in sides:
            at = _at(pair.id, position, len(prompt), len(answer))
            capture = Capture(hidden_layers=tuple(layers), hidden_site=site, positions=at)
            yield Reading((*prompt, *answer), capture, prompt=len(prompt))


def check_difference(readings: Sequence[Reading], position: PositionRule) -> None:
    """Raise TaskError if every pair reads the same tokens on both sides: its vector would be 0.

    A state depends on the tokens up to its own alone. The two sides of answers that begin alike
    differ at their ends, and not where they begin.
    """
    if not readings:
        raise TaskError("there are no pairs; a vector needs at least one")
    sides = zip(readings[0::2], readings[1::2], strict=True)
    if all(_read(positive) == _read(negative) for positive, negative in sides):
        raise TaskError(
            f"the two sides of all pairs are the same tokens up to the position {position!r}, so "
            "that they do not differ there; use a later one, such as last"
        )


def _read(reading: Reading) -> tuple[object, ...]:
    """All that the states of a reading depend on."""
    at = reading.capture.positions or (len(reading.tokens) - 1,)
    return at, tuple(reading.tokens[: max(at) + 1])


def _tokens(tokenizer: Any, side: Side) -> tuple[list[int], list[int]]:
    """Token ids of the prompt and of the answer, encoded apart as decoding would see them."""
    prompt = render(tokenizer, side.prompt)
    if not side.answer:
        return prompt, []
    return prompt, list(tokenizer(side.answer, add_special_tokens=False)["input_ids"])


def _at(pair: str, position: PositionRule, prompt: int, answer: int) -> tuple[int, ...]:
    """The positions that a rule names in a text of so many prompt and answer tokens."""
    length = prompt + answer
    match position:
        case "last":
            at: tuple[int, ...] = (length - 1,)
        case "answer":
            at = (prompt,) if answer else ()
        case "mean":
            at = tuple(range(prompt, length))
        case int():
            at = (length + position,) if -length <= position < 0 else ()
    if not at:
        raise TaskError(
            f"{pair}: the position rule {position!r} matches no token of {prompt} prompt and "
            f"{answer} answer tokens; use last, or pairs with answers"
        )
    return at


def check_layers(layers: Sequence[int], count: int, name: str = "intervention.layer") -> None:
    """Raise FieldError for the first layer that a model with `count` layers does not have."""
    for layer in layers:
        if not 0 <= layer < count:
            raise FieldError(
                name,
                f"there is no layer {layer}; the model's layers are 0-{count - 1}",
            )
