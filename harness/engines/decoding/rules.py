"""Draws the next token of every row under the row's own rules; pure functions on tensors.

Shapes: R rows, V vocabulary. A row's result depends on its own logits, rules, key and position
only, never on the rows beside it. Which rules there are is not known here: each is asked for the
rows in which it acts, in the order of their composition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
import torch

from harness.engines.contract import Request
from harness.engines.decoding.cutting import Acting, applied, put, rows_of
from harness.engines.decoding.noise import gumbel, noise_of
from harness.engines.decoding.step_log import step_log
from harness.errors import RequestError
from harness.sampling import CountRule, Rule, StatefulRule, Value
from harness.sampling.chosen import SamplingRules
from harness.sampling.composition import COMPOSITIONS
from harness.sampling.scans import best, there

States: TypeAlias = Mapping[str, torch.Tensor]
"""What each stateful rule keeps of R rows, [R, width] in float32, by its name."""

# Tokens of a row up to which noise is made for these alone and not for the whole vocabulary. It
# costs more than all rules together, on a CPU.
_FEW = 4096


@dataclass(frozen=True)
class RowRules:
    """The sampling rules of R rows: those that act in some row, in the order in which they do."""

    acting: tuple[Acting, ...]
    random: torch.Tensor
    """[R], bool: whether the row is drawn at random; the two below save work, and no more."""
    any_random: bool
    all_random: bool

    @classmethod
    def of(cls, rules: Sequence[SamplingRules], device: torch.device) -> RowRules:
        """Stack rows' rules; a rule that makes no difference in any row is left out."""
        found: dict[tuple[str, Rule], list[int]] = {}
        for row, own in enumerate(rules):
            for rule in own.acting:
                found.setdefault((own.compose, rule), []).append(row)
        # Rows of one composition have none of another, so that only the order within one matters.
        acting = sorted(found, key=lambda each: (each[0], COMPOSITIONS[each[0]].place(each[1])))
        random = [row.random for row in rules]
        return cls(
            acting=tuple(
                Acting(
                    rule,
                    rule.tensors([rules[row][rule.name] for row in rows], device),
                    rows,
                    COMPOSITIONS[compose],
                    _most(rule, [rules[row][rule.name] for row in rows]),
                )
                for compose, rule in acting
                for rows in [found[compose, rule]]
            ),
            random=torch.tensor(random, device=device),
            any_random=any(random),
            all_random=all(random),
        )

    @property
    def stateful(self) -> tuple[StatefulRule, ...]:
        """The acting rules that keep a state."""
        rules = (each.rule for each in self.acting)
        return tuple(dict.fromkeys(rule for rule in rules if isinstance(rule, StatefulRule)))

    def __getitem__(self, rows: slice) -> RowRules:
        """The rules of some of the rows."""
        start, stop, _ = rows.indices(len(self.random))
        acting = (each[start:stop] for each in self.acting)
        return replace(
            self, acting=tuple(each for each in acting if each.rows), random=self.random[rows]
        )

    def repeat(self, times: int) -> RowRules:
        """Every row's rules so many times in a row."""
        if times == 1:
            return self
        acting = tuple(each.repeat(times) for each in self.acting)
        return replace(self, acting=acting, random=self.random.repeat_interleave(times))


class Chosen(NamedTuple):
    """Chosen token ids [R], their log-probabilities [R] under the model's own distribution, the
    states of the rules after them, and a log of the steps [R, 8] (`step_log.py`) if asked for.
    """

    tokens: torch.Tensor
    log_probabilities: torch.Tensor
    states: States
    log: torch.Tensor | None = None


def choose(
    logits: torch.Tensor,
    rules: RowRules,
    keys: torch.Tensor,
    positions: torch.Tensor,
    states: States | None = None,
    *,
    logged: bool = False,
) -> Chosen:
    """Draw one token for each row of `logits` [R, V] (float32).

    `keys` [R] are `noise_key`s and `positions` [R] count the tokens generated so far; `states` are
    needed for `rules.stateful` alone. `logged` asks for a log of the steps. Greedy rows take the
    first of equal maxima.
    """
    after = dict(states or {})
    left = applied(logits, rules.acting, after)
    if rules.any_random:
        tokens = _drawn(left, keys, positions)
    if not rules.all_random:
        first = best(left)
        tokens = torch.where(rules.random, tokens, first) if rules.any_random else first
    scores = logits.gather(-1, tokens[:, None])[:, 0] - logits.logsumexp(dim=-1)
    for each in rules.acting:
        rule, rows = each.rule, each.rows
        if isinstance(rule, StatefulRule):
            own = after[rule.name]
            drawn = (rows_of(tokens, rows), rows_of(scores, rows), each.values, rows_of(own, rows))
            after[rule.name] = put(own.clone(), rows, rule.drawn(*drawn))
    return Chosen(tokens, scores, after, step_log(logits, left, tokens) if logged else None)


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


def _most(rule: Rule, values: Sequence[Value]) -> int | None:
    """How many tokens a rule keeps at these values at most; None where that is not known."""
    counts = [rule.most(value) if isinstance(rule, CountRule) else None for value in values]
    known = [count for count in counts if count is not None]
    return max(known) if len(known) == len(counts) else None


def _drawn(left: torch.Tensor, keys: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Tokens [R] drawn at random from logits [R, V]."""
    rows, vocabulary = left.shape
    few = torch.zeros(rows, dtype=torch.bool)
    if left.device.type == "cpu" and vocabulary > _FEW:
        kept = there(left)
        few = kept.sum(dim=-1) <= _FEW
    if not few.any():
        noisy = left.log_softmax(dim=-1) + gumbel(keys, positions, vocabulary)
        return noisy.argmax(dim=-1)
    tokens = torch.empty(rows, dtype=torch.int64)
    tokens[few] = _drawn_of_few(left[few], kept[few], keys[few], positions[few])
    if not few.all():
        noisy = left[~few].log_softmax(dim=-1) + gumbel(keys[~few], positions[~few], vocabulary)
        tokens[~few] = noisy.argmax(dim=-1)
    return tokens


def _drawn_of_few(
    left: torch.Tensor, kept: torch.Tensor, keys: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """Tokens [R] drawn from logits [R, V] on a CPU, by the noise of the `kept` ones alone."""
    rows, vocabulary = left.shape
    places = torch.from_numpy(np.flatnonzero(kept.numpy()))  # 20 times as fast as torch's
    row, token = places // vocabulary, places % vocabulary
    noisy = left.flatten()[places].double() + noise_of(keys[row], positions[row], token)
    largest = torch.full((rows,), -torch.inf, dtype=noisy.dtype)
    largest = largest.scatter_reduce(0, row, noisy, "amax")
    won = noisy == largest[row]
    first = torch.full((rows,), vocabulary).scatter_reduce(0, row[won], token[won], "amin")
    return first.clamp(max=vocabulary - 1)  # a row of NaN has no largest
