"""Identities of drawing tokens: neutral rules, candidate sets, and randomness that is shared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from harness.engines.contract import Capture, Completion, Request, SamplingRules
from harness.invariants.bench import Bench, named
from harness.invariants.family import Family
from harness.invariants.finding import Finding, equal, first_violation

_WARM = SamplingRules(temperature=1.0)
_CANDIDATES = 3


def neutral_rules_change_nothing(bench: Bench) -> Finding:
    """A top-k of the whole vocabulary, a top-p of 1 and a min-p of 0 draw what plain sampling does.

    Source: the rules' definition as cuts of the candidate set (transformers' logits processors,
    in this order); at these values nothing is cut.
    """
    vocabulary = bench.loaded.model.get_input_embeddings().num_embeddings
    neutral = replace(_WARM, top_k=vocabulary, top_p=1.0, min_p=0.0)
    return _same(bench, neutral, _WARM)


def one_candidate_is_greedy(bench: Bench) -> Finding:
    """With one candidate left, by top-k, top-p or min-p, every temperature is greedy decoding.

    Source: the most probable token always stays; the rules' definition.
    """
    findings = [
        _same(bench, replace(_WARM, temperature=2.0, **rule), SamplingRules())
        for rule in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 0.999999})
    ]
    return next((finding for finding in findings if not finding.holds), findings[0])


def greedy_ignores_randomness(bench: Bench) -> Finding:
    """At temperature 0, seed, draw and cuts change nothing.

    Source: greedy decoding takes the first of equal maxima.
    """
    cut = SamplingRules(top_k=2, top_p=0.5, min_p=0.1)
    pairs = [
        (
            named(request),
            bench.alone(replace(request, seed=7, draw=3, sampling=cut)),
            bench.alone(request),
        )
        for request in bench.requests(None)
    ]
    return equal(pairs, tolerance=0.0)


def draws_stay_among_the_candidates(bench: Bench) -> Finding:
    """Every token drawn under a top-k, top-p or min-p is one that the rule allows.

    The model's distribution is read again by teacher forcing. Source: Fan et al. 2018 (top-k),
    Holtzman et al. 2020 (top-p), Nguyen et al. 2024 (min-p).
    """
    slack = bench.rounding
    rules = (
        replace(_WARM, temperature=3.0, top_k=_CANDIDATES),
        replace(_WARM, top_p=0.5),
        replace(_WARM, min_p=0.2),
    )

    def problems() -> Iterator[str | None]:
        for rule in rules:
            for request in bench.requests(None, sampling=rule):
                own = bench.alone(request)
                for at, best in enumerate(_distributions(bench, request, own)):
                    mine = own.log_probabilities[at]
                    above = [score for score in best if score > mine + slack]
                    mass = sum(math.exp(score) for score in above)
                    problem = None
                    if rule.top_k is not None and len(above) >= rule.top_k:
                        problem = f"{len(above)} tokens are more probable, top_k is {rule.top_k}"
                    elif mass >= rule.top_p + slack:
                        problem = f"mass {mass:.3f} is more probable, top_p is {rule.top_p}"
                    elif rule.min_p and mine < best[0] + math.log(rule.min_p) - slack:
                        problem = f"{math.exp(mine - best[0]):.3f} of the best, min_p {rule.min_p}"
                    yield problem and f"{named(request)} at token {at}: {problem}"

    return first_violation(problems(), "tokens")


def seeds_are_different_draws(bench: Bench) -> Finding:
    """Other seeds, and other draws of a sample, give other texts; the same ones the same text.

    Source: noise is keyed by (seed, sample, draw, position). Four draws of some tokens each at a
    high temperature that are all equal have a probability of practically 0.
    """
    hot = SamplingRules(temperature=5.0)

    def problems() -> Iterator[str | None]:
        for field in ("seed", "draw"):
            request = bench.requests(None, sampling=hot)[0]
            texts = {
                bench.alone(replace(request, **{field: value})).tokens  # type: ignore[arg-type]
                for value in range(4)
            }
            yield f"four values of {field} gave one text" if len(texts) == 1 else None

    return first_violation(problems(), "keys of randomness")


def _same(bench: Bench, own: SamplingRules, expected: SamplingRules) -> Finding:
    pairs = [
        (named(one), bench.alone(one), bench.alone(other))
        for one, other in zip(
            bench.requests(None, sampling=own), bench.requests(None, sampling=expected), strict=True
        )
    ]
    return equal(pairs, tolerance=0.0)


def _distributions(bench: Bench, request: Request, own: Completion) -> list[list[float]]:
    """Log-probabilities before every generated token, best first, as many as matter."""
    start = len(request.prompt)
    at = tuple(range(start - 1, start - 1 + len(own.tokens)))
    vocabulary = bench.loaded.model.get_input_embeddings().num_embeddings
    capture = Capture(top_log_probabilities=min(64, vocabulary), positions=at)
    read = bench.read((*request.prompt, *own.tokens), capture).top_log_probabilities
    assert read is not None
    best: list[list[float]] = read.tolist()
    return best


FAMILY = Family(
    "sampling",
    own=(
        neutral_rules_change_nothing,
        one_candidate_is_greedy,
        greedy_ignores_randomness,
        draws_stay_among_the_candidates,
        seeds_are_different_draws,
    ),
    inherited=(),
)
