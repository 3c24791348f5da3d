"""Draws the next token of every row under the row's own rules; pure functions on tensors.

Shapes: R rows, V vocabulary. A row's result depends on its own logits, rules, key and position
only, never on the rows beside it. Which rules there are is not known here: those that the rows
name act in the order of their places, each once for all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple, TypeAlias

import torch

from harness.engines.contract import Request, SamplingRules
from harness.engines.decoding.noise import gumbel
from harness.errors import RequestError
from harness.sampling import CountRule, LogitsRule, Rule, StatefulRule

States: TypeAlias = Mapping[str, torch.Tensor]
"""What each stateful rule keeps of R rows, [R, width] in float32, by its name."""


@dataclass(frozen=True)
class RowRules:
    """The sampling rules of R rows: those that act in some row, with all rows' values."""

    acting: tuple[tuple[Rule, torch.Tensor], ...]
    random: torch.Tensor
    """[R], bool: whether the row is drawn at random; the two below save work, and no more."""
    any_random: bool
    all_random: bool

    @classmethod
    def of(cls, rules: Sequence[SamplingRules], device: torch.device) -> RowRules:
        """Stack rows' rules; a rule that makes no difference in any row is left out."""
        acting = sorted({rule for row in rules for rule in row.acting}, key=_placed)
        random = [row.random for row in rules]
        return cls(
            acting=tuple(
                (rule, rule.tensors([row.get(rule.name, rule.neutral) for row in rules], device))
                for rule in acting
            ),
            random=torch.tensor(random, device=device),
            any_random=any(random),
            all_random=all(random),
        )

    @property
    def stateful(self) -> tuple[StatefulRule, ...]:
        """The acting rules that keep a state."""
        return tuple(rule for rule, _ in self.acting if isinstance(rule, StatefulRule))

    def __getitem__(self, rows: slice) -> RowRules:
        """The rules of some of the rows."""
        acting = tuple((rule, values[rows]) for rule, values in self.acting)
        return replace(self, acting=acting, random=self.random[rows])

    def repeat(self, times: int) -> RowRules:
        """Every row's rules so many times in a row."""
        if times == 1:
            return self
        acting = tuple((rule, each.repeat_interleave(times, 0)) for rule, each in self.acting)
        return replace(self, acting=acting, random=self.random.repeat_interleave(times))


class Choice(NamedTuple):
    """Chosen token ids [R], their log-probabilities [R] under the model's own distribution, and
    the states of the rules after them.
    """

    tokens: torch.Tensor
    log_probabilities: torch.Tensor
    states: States


def choose(
    logits: torch.Tensor,
    rules: RowRules,
    keys: torch.Tensor,
    positions: torch.Tensor,
    states: States | None = None,
) -> Choice:
    """Draw one token for each row of `logits` [R, V] (float32).

    `keys` [R] are `noise_key`s and `positions` [R] count the tokens generated so far; `states` are
    needed for `rules.stateful` alone. Greedy rows take the first of equal maxima.
    """
    after = dict(states or {})
    left = _applied(logits, rules, after)
    if rules.any_random:
        noisy = left.log_softmax(dim=-1) + gumbel(keys, positions, logits.shape[-1])
        tokens = noisy.argmax(dim=-1)
    if not rules.all_random:
        best = left.argmax(dim=-1)
        tokens = torch.where(rules.random, tokens, best) if rules.any_random else best
    scores = logits.gather(-1, tokens[:, None])[:, 0] - logits.logsumexp(dim=-1)
    for rule, values in rules.acting:
        if isinstance(rule, StatefulRule):
            after[rule.name] = rule.drawn(tokens, scores, values, after[rule.name])
    return Choice(tokens, scores, after)


def initial_states(request: Request) -> dict[str, tuple[float, ...]]:
    """What stateful rules keep before a request's first token: what it carries, or what they say.

    Raises:
        RequestError: the request carries a state that belongs to none of its rules.
    """
    stateful = {rule.name: rule for rule in request.sampling.stateful}
    carried = dict(request.state)
    for name, numbers in carried.items():
        if name not in stateful:
            raise RequestError(f"a state of {name}, which is no stateful rule of this request")
        if len(numbers) != stateful[name].width:
            raise RequestError(
                f"a state of {name} with {len(numbers)} numbers; it keeps {stateful[name].width}"
            )
    prompt = request.prompt[: request.prompt_length]
    return {
        name: carried.get(name) or rule.initial(request.sampling[name], prompt)
        for name, rule in stateful.items()
    }


def _placed(rule: Rule) -> tuple[int, str]:
    return rule.place, rule.name


def _applied(
    logits: torch.Tensor, rules: RowRules, states: dict[str, torch.Tensor]
) -> torch.Tensor:
    """Logits [R, V] under all rules in their order; `states` are brought up to date."""
    for counts, group in groupby(rules.acting, key=lambda acting: isinstance(acting[0], CountRule)):
        if counts:
            logits = truncate(logits, list(group))
            continue
        for rule, values in group:
            if isinstance(rule, StatefulRule):
                logits, states[rule.name] = rule.apply(logits, values, states[rule.name])
            elif isinstance(rule, LogitsRule):
                logits = rule.apply(logits, values)
    return logits


def truncate(logits: torch.Tensor, rules: Sequence[tuple[Rule, torch.Tensor]]) -> torch.Tensor:
    """Set the logits [R, V] of tokens outside each row's candidate set to -inf.

    `rules` are `CountRule`s with all rows' values; each counts among what those before it have
    left, as in transformers' logits processors. The most probable token always stays.
    """
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    ranks = torch.arange(logits.shape[-1], device=logits.device)
    for rule, values in rules:
        assert isinstance(rule, CountRule)
        kept = rule.apply(ordered, values).clamp(min=1)
        ordered.masked_fill_(ranks >= kept[:, None], -torch.inf)
    return torch.empty_like(logits).scatter(-1, order, ordered)
