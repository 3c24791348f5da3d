"""Rules applied to rows of logits, each to the rows in which it acts, in the order of composition.

Shapes: R rows, V vocabulary; what is cut is -inf. Of tokens that are equally probable at the edge
of a count, those with the lowest ids stay, unless the rule counts all of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch

from harness.sampling import CountRule, LogitsRule, MaskRule, Rule, StatefulRule
from harness.sampling.composition import Composition
from harness.sampling.scans import at_least, descending, largest, only

# Up to how many a row's largest numbers are found faster than its vocabulary is sorted.
_FEW = 512


@dataclass(frozen=True)
class Acting:
    """A rule in the rows in which it acts: its values there, the rows' numbers, ascending, and how
    many tokens it keeps in any of them at most, where it looks at no others (`CountRule.most`).
    """

    rule: Rule
    values: torch.Tensor
    rows: Sequence[int]
    composition: Composition
    most: int | None = None

    def __getitem__(self, some: slice) -> Acting:
        """In a part of all rows, which are counted from the first of these."""
        first, last = (bisect_left(self.rows, at) for at in (some.start, some.stop))
        rows = [row - some.start for row in self.rows[first:last]]
        return replace(self, values=self.values[first:last], rows=rows)

    def repeat(self, times: int) -> Acting:
        """With every row so many times in a row."""
        rows = [row * times + again for row in self.rows for again in range(times)]
        return replace(self, values=self.values.repeat_interleave(times, 0), rows=rows)


def applied(
    logits: torch.Tensor, acting: Sequence[Acting], states: dict[str, torch.Tensor]
) -> torch.Tensor:
    """Logits [R, V] under all rules; `states` are brought up to date, logits left as they are."""
    if any(len(each.rows) < len(logits) for each in acting):
        logits = logits.clone()  # rows are put back into it
    for composition, group in groupby(acting, key=lambda each: each.composition):
        own = list(group)
        cuts = [each for each in own if isinstance(each.rule, CountRule | MaskRule)]
        if composition.together:
            for each in own:
                logits = logits if each in cuts else _changed(logits, each, states)
            logits = _cut_together(logits, cuts)
            continue
        for counts, neighbours in groupby(own, key=lambda each: isinstance(each.rule, CountRule)):
            if counts:
                logits = _counted(logits, list(neighbours))
                continue
            for each in neighbours:
                logits = _changed(logits, each, states)
    return logits


def rows_of(tensor: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
    """Some rows of a tensor; itself where these are all of them."""
    return tensor if len(rows) == len(tensor) else tensor[_index(rows, tensor)]


def put(tensor: torch.Tensor, rows: Sequence[int], new: torch.Tensor) -> torch.Tensor:
    """A tensor with some rows replaced, in place; `new` where these are all of them."""
    return new if len(rows) == len(tensor) else tensor.index_copy_(0, _index(rows, tensor), new)


def _index(rows: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.int64, device=like.device)


def _changed(logits: torch.Tensor, acting: Acting, states: dict[str, torch.Tensor]) -> torch.Tensor:
    """Logits under one rule that does not count."""
    rule, rows = acting.rule, acting.rows
    own = rows_of(logits, rows)
    if isinstance(rule, StatefulRule):
        kept = states[rule.name]
        own, new = rule.apply(own, acting.values, rows_of(kept, rows))
        states[rule.name] = put(kept.clone(), rows, new)
    elif isinstance(rule, MaskRule):
        own = only(rule.apply(own, acting.values), own)
    else:
        assert isinstance(rule, LogitsRule)
        own = rule.apply(own, acting.values)
    return put(logits, rows, own)


def _counted(logits: torch.Tensor, group: Sequence[Acting]) -> torch.Tensor:
    """Logits under count rules that follow each other, in one sort of the rows that have any.

    Each counts among what those before it have left, as in transformers' logits processors. Rows
    whose first rule keeps few are not sorted: their largest numbers are enough, unless what ties
    with the last of the few goes on beyond these.
    """
    first = {row: each.most for each in reversed(group) for row in each.rows}
    limit = min(_FEW, logits.shape[-1] - 1)
    few = sorted(row for row, most in first.items() if most is not None and most < limit)
    ordered = logits
    if few:
        most = [first[row] or 0 for row in few]
        ordered = largest(rows_of(logits, few), max(most) + 1)
        seen = _seen(ordered, most)
        few, ordered = [few[at] for at in seen], rows_of(ordered, seen)
    many = sorted(first.keys() - few)
    if few and many:
        logits = logits.clone()  # a part of its rows is put back into it
    if few:
        logits = put(logits, few, _within(rows_of(logits, few), ordered, few, group))
    if many:
        own = rows_of(logits, many)
        logits = put(logits, many, _within(own, descending(own), many, group))
    return logits


def _seen(ordered: torch.Tensor, most: Sequence[int]) -> list[int]:
    """The rows of which so many largest numbers, and all that tie with the last of these, are among
    the first max(most) + 1 that are given.
    """
    last = ordered.gather(-1, _index(most, ordered)[:, None] - 1)[:, 0]
    beyond = (last == ordered[:, max(most)]) & last.isfinite()
    return [at for at, ties in enumerate(beyond.tolist()) if not ties]


def _within(
    own: torch.Tensor, ordered: torch.Tensor, rows: Sequence[int], group: Sequence[Acting]
) -> torch.Tensor:
    """Logits of some rows under count rules, of these logits in descending order."""
    kept = torch.full((len(rows),), own.shape[-1], device=own.device)
    left, ranks = ordered, torch.arange(ordered.shape[-1], dtype=torch.int32, device=own.device)
    places = {row: place for place, row in enumerate(rows)}
    for position, each in enumerate(group):
        acting = [at for at, row in enumerate(each.rows) if row in places]
        if not acting:
            continue
        within = [places[each.rows[at]] for at in acting]
        counts = _count(each.rule, rows_of(left, within), rows_of(each.values, acting))
        kept = put(kept, within, counts.minimum(rows_of(kept, within)))
        if position + 1 < len(group):
            left = only(ranks < kept.int()[:, None], left)
    return only(_first(own, ordered, kept), own)


def _cut_together(logits: torch.Tensor, cuts: Sequence[Acting]) -> torch.Tensor:
    """Logits of what every rule keeps of the same distribution; at least the best token stays."""
    if not cuts:
        return logits
    rows = sorted(set().union(*(each.rows for each in cuts)))
    own = rows_of(logits, rows)
    kept = torch.ones_like(own, dtype=torch.bool)
    counting = {row for each in cuts if isinstance(each.rule, CountRule) for row in each.rows}
    ordered = descending(own) if counting else own
    for each in cuts:
        within = [bisect_left(rows, row) for row in each.rows]
        mine = rows_of(own, within)
        if isinstance(each.rule, MaskRule):
            left = each.rule.apply(mine, each.values)
        else:
            in_order = rows_of(ordered, within)
            left = _first(mine, in_order, _count(each.rule, in_order, each.values))
        kept = put(kept, within, rows_of(kept, within) & left)
    # Typical may leave what others cut: then nothing is left but the best.
    empty = ~kept.any(dim=-1)
    kept |= empty[:, None] & (own == own.amax(dim=-1, keepdim=True))
    return put(logits, rows, only(kept, own))


def _count(rule: Rule, ordered: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """How many tokens a rule keeps, [R], at least one and at most all."""
    assert isinstance(rule, CountRule)
    return rule.apply(ordered, values).clamp(1, ordered.shape[-1])


def _first(logits: torch.Tensor, ordered: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Which tokens are the first so many [R] of logits [R, V], given these in descending order."""
    last = counts[:, None] - 1
    # What is out already is not counted: a great many such tokens would tie.
    least = ordered.gather(-1, last).clamp(min=torch.finfo(ordered.dtype).min)
    kept = at_least(logits, least[:, 0])
    following = ordered.gather(-1, (last + 1).clamp(max=ordered.shape[-1] - 1))
    tied = ((following == least) & (last + 1 < ordered.shape[-1])).squeeze(-1).nonzero()[:, 0]
    if len(tied):
        equal = logits[tied] == least[tied]
        above = kept[tied] & ~equal
        room = counts[tied] - above.sum(dim=-1)
        kept[tied] = above | (equal & (equal.cumsum(dim=-1) <= room[:, None]))
    return kept
