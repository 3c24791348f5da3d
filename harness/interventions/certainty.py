"""How sure a model is of its next token: numbers of one distribution, or of one layer's attention.

    entropy, varentropy     bits: H = -sum p log2 p, and sum p (log2 p + H)^2
    top_probability, margin max p, and by how much it exceeds the second largest
    attention_*             of the last layer's heads at the last position, below

Attention is A [heads, K], the weights over the keys, and S [heads, K], the scaled scores of which
A is the softmax; nothing is made of A by a second one. `attention_entropy` is the mean over heads
of each one's entropy in bits, `attention_varentropy` the variance of these over heads (population),
`agreement` the mean of |A - its mean over heads|, `interaction` the mean of |S| over the keys.

Source: xjdr-alt/entropix, sampler.py (434f6f0), and swairshah/Guided-Inference, whose statistics
of attention are of a softmax of A.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def entropy(log_probabilities: Tensor) -> float:
    """Of natural log-probabilities [V]; from 0 to log2 V bits."""
    bits = _bits(log_probabilities)
    return max(0.0, -float((bits.exp2() * bits).nansum()))


def varentropy(log_probabilities: Tensor) -> float:
    """The variance of a token's information, in bits squared, for log-probabilities [V]."""
    bits = _bits(log_probabilities)
    probabilities = bits.exp2()
    mean = -(probabilities * bits).nansum()
    return max(0.0, float((probabilities * (bits + mean) ** 2).nansum()))


def top_probability(log_probabilities: Tensor) -> float:
    """The largest probability."""
    return float(log_probabilities.double().max().exp())


def margin(log_probabilities: Tensor) -> float:
    """The largest probability minus the second largest; all of it where there is one token."""
    best = log_probabilities.double().topk(min(2, len(log_probabilities))).values.exp()
    return float(best[0] - best[1]) if len(best) > 1 else float(best[0])


def kl_divergence(own: Tensor, other: Tensor) -> float:
    """KL(other || own) in nats of two log-distributions [V]: how far one's own is from the other.

    Infinite where the own one excludes what the other may say.
    """
    import torch

    p, q = other.double(), own.double()
    terms = torch.where(p > -torch.inf, p.exp() * (p - q), 0.0)
    return max(0.0, float(terms.sum()))


def attention_statistics(weights: Tensor, scores: Tensor) -> dict[str, float]:
    """The four of one position, for weights and scores [heads, K] over the keys it may see."""
    weights = weights.double()
    bits = -(weights * weights.log2()).nansum(dim=-1)
    return {
        "attention_entropy": float(bits.mean()),
        "attention_varentropy": float(bits.var(correction=0)),
        "agreement": float((weights - weights.mean(dim=0)).abs().mean()),
        "interaction": float(scores.double().abs().mean()),
    }


#: Of one distribution, by the names under which they are told.
OF_DISTRIBUTIONS: Mapping[str, Callable[[Tensor], float]] = {
    "entropy": entropy,
    "varentropy": varentropy,
    "top_probability": top_probability,
    "margin": margin,
}


def of_steps(logits: Tensor, scores: Tensor | None) -> dict[str, tuple[float, ...]]:
    """All of them for each of T positions, of logits [T, V] and attention scores [heads, T, S].

    Scores are -inf where nothing is seen; without them there is nothing of attention.
    """
    found: dict[str, list[float]] = {}
    for at, row in enumerate(logits.log_softmax(dim=-1)):
        numbers = {name: of(row) for name, of in OF_DISTRIBUTIONS.items()}
        if scores is not None:
            own = scores[:, at]
            own = own[:, own[0] > float("-inf")]
            numbers |= attention_statistics(own.softmax(dim=-1), own)
        for name, number in numbers.items():
            found.setdefault(name, []).append(number)
    return {name: tuple(values) for name, values in found.items()}


def _bits(log_probabilities: Tensor) -> Tensor:
    """Binary logarithms; 0 times -inf, which is 0 here, becomes NaN and drops out of sums."""
    return log_probabilities.double() / log(2)
