"""Identities of drawing tokens: neutral rules, candidate sets, states, and shared randomness.

They try the registered rules, whichever these are, at the values that each names for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from harness.engines.contract import Capture, Completion, Request
from harness.invariants.bench import Bench, named
from harness.invariants.family import Family
from harness.invariants.finding import Compared, Finding, equal, first_violation
from harness.sampling import CountRule, MaskRule, StatefulRule, Value, registered
from harness.sampling.chosen import SamplingRules
from harness.sampling.composition import COMPOSITIONS

_WARM: dict[str, Value] = {"temperature": 1.0}
_GREEDY = SamplingRules()
# Tokens of the first of two parts.
_CUT = 2


def neutral_rules_change_nothing(bench: Bench) -> Finding:
    """Rules at values that cut nothing, such as a top-k beyond the vocabulary, draw what plain
    sampling does, in every order; so does a rule that runs at its neutral value.

    Source: the rules' definition as cuts of the candidate set (transformers' logits processors,
    in this order); at these values nothing is cut.
    """
    idle = {rule.name: rule.idle for rule in registered() if rule.idle is not None}
    neutral = {
        rule.name: rule.neutral
        for rule in registered()
        if isinstance(rule, CountRule | MaskRule) and rule.neutral is not None
    }
    tried = [SamplingRules(compose=name, **_WARM | idle) for name in COMPOSITIONS]
    tried.append(SamplingRules(tried=neutral, **_WARM | neutral))
    return _first(_same(bench, rules, SamplingRules(**_WARM)) for rules in tried)


def one_rule_is_the_same_in_every_order(bench: Bench) -> Finding:
    """A rule beside nothing but a temperature of 1 draws the same under every composition.

    Source: orders differ in what a cut sees of others; where two definitions of a rule differ
    (`Composition.variants`), the rule is left out.
    """
    return _first(
        _same(bench, SamplingRules(compose=name, **values), SamplingRules(**values))
        for name, composition in COMPOSITIONS.items()
        for rule in registered()
        if rule.example is not None and not rule.draws and rule.name not in composition.variants
        for values in [_WARM | {rule.name: rule.example}]
    )


def one_candidate_is_greedy(bench: Bench) -> Finding:
    """With one candidate left, by whichever rule, every temperature is greedy decoding.

    Source: the most probable token always stays; the rules' definition.
    """
    return _first(
        _same(bench, SamplingRules(**{"temperature": 2.0, rule.name: rule.strictest}), _GREEDY)
        for rule in registered()
        if rule.strictest is not None
    )


def greedy_ignores_randomness(bench: Bench) -> Finding:
    """At temperature 0, seed, draw and cuts change nothing.

    Source: greedy decoding takes the first of equal maxima.
    """
    cut = SamplingRules(**{r.name: r.example for r in registered() if r.keeps_best and not r.draws})
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
    """Every token drawn under a rule is one that the rule allows.

    The model's distribution is read again by teacher forcing. Source: each rule's definition,
    which it states once more for a single token (`Rule.excluded`).
    """
    slack = bench.rounding

    def problems() -> Iterator[str | None]:
        for rule in registered():
            if rule.example is None or rule.draws:
                continue
            rules = SamplingRules(**_WARM | {rule.name: rule.example})
            for request in bench.requests(None, sampling=rules):
                own = bench.alone(request)
                for at, best in enumerate(_distributions(bench, request, own)):
                    score = own.log_probabilities[at]
                    problem = rule.excluded(rule.example, score, best, slack)
                    yield problem and f"{named(request)} at token {at}: {problem}"

    return first_violation(problems(), "tokens")


def a_cut_request_goes_on(bench: Bench) -> Finding:
    """A request in two parts gives what it gives in one, states of the rules included.

    Source: noise is keyed by the position in the whole, and states come back with a completion.
    """
    every = {rule.name: rule for rule in registered() if rule.example is not None}
    stateful = [name for name, rule in every.items() if isinstance(rule, StatefulRule)]
    stateless = {name: every[name].example for name in every if name not in stateful}
    tried = [stateless, *({**_WARM, name: every[name].example} for name in stateful)]

    def pairs() -> Iterator[Compared]:
        for values in tried:
            for request in bench.requests(None, sampling=SamplingRules(**values)):
                whole = bench.alone(request)
                first = bench.alone(replace(request, max_new_tokens=_CUT))
                if whole.finish_reason == "error" and values is not stateless:
                    continue  # an engine may refuse, by name, to keep states
                if first.finish_reason == "length" and len(whole.tokens) > _CUT:
                    rest = request.after(first, request.max_new_tokens - _CUT)
                    yield named(request), _joined(first, bench.alone(rest)), whole

    return equal(pairs(), tolerance=bench.tolerance)


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


def _joined(first: Completion, rest: Completion) -> Completion:
    """Two parts as one; the text and the states of the second are those of the whole."""
    return replace(
        rest,
        tokens=first.tokens + rest.tokens,
        log_probabilities=first.log_probabilities + rest.log_probabilities,
    )


def _first(findings: Iterable[Finding]) -> Finding:
    """The first violated one, or one that holds; at least one is given."""
    found = list(findings)
    return next((finding for finding in found if not finding.holds), found[0])


def _same(bench: Bench, own: SamplingRules, expected: SamplingRules) -> Finding:
    pairs = [
        (named(one), bench.alone(one), bench.alone(other))
        for one, other in zip(
            bench.requests(None, sampling=own), bench.requests(None, sampling=expected), strict=True
        )
    ]
    return equal(pairs, tolerance=0.0)


def _distributions(bench: Bench, request: Request, own: Completion) -> list[list[float]]:
    """Log-probabilities of all tokens before every generated one, best first."""
    start = len(request.prompt)
    at = tuple(range(start - 1, start - 1 + len(own.tokens)))
    vocabulary = bench.loaded.model.get_input_embeddings().num_embeddings
    capture = Capture(top_log_probabilities=vocabulary, positions=at)
    read = bench.read((*request.prompt, *own.tokens), capture).top_log_probabilities
    assert read is not None
    best: list[list[float]] = read.tolist()
    return best


FAMILY = Family(
    "sampling",
    own=(
        neutral_rules_change_nothing,
        one_rule_is_the_same_in_every_order,
        one_candidate_is_greedy,
        greedy_ignores_randomness,
        draws_stay_among_the_candidates,
        a_cut_request_goes_on,
        seeds_are_different_draws,
    ),
    inherited=(),
)
