"""The analyses of draws: each says of a case a value per sample at every x, and no more.

Means over samples, their intervals and the paired differences from a baseline follow alike for all
of them, in `curves`. A sample counts once, however many of its draws an x is about, and where it
has none there it is left out; `n` says how many samples there are.

Sources: the post-processing of Li et al. (2025), arXiv:2510.05987, whose definitions these are
unless a title says more; equal tokens beside equal k: arXiv:2506.13681.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from harness.metrics.entry import MetricEntry
from harness.report.draws.drawn import LOW, Drawn, Samples

#: Bins of ranks and counts, and cuts of mean ranks: as of the original's post-processing.
_MOST_COUNT, _MOST_RANK = 20, 10
_MEAN_RANKS = (1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
#: Budgets, and lengths, that curves are read at.
_MARKS = 8

X = float | str
Values = Mapping[X, Mapping[str, float]]


@dataclass(frozen=True)
class Marks:
    """Where curves are read, the same for all cases: numbers of draws, budgets and lengths."""

    draws: tuple[int, ...]
    budgets: tuple[int, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, cases: Iterable[Samples]) -> Marks:
        """Those at which all of these cases have something to say."""
        listed = [[sample.drawn for sample in samples.values()] for samples in cases]
        fewest = min((len(drawn) for samples in listed for drawn in samples), default=0)
        powers = [2**power for power in range(fewest.bit_length())]
        lengths = [each.draw.tokens for samples in listed for drawn in samples for each in drawn]
        budgets: Any = ()
        if lengths and (mean := fmean(lengths)) >= 1 and fewest:
            budgets = np.geomspace(mean, mean * fewest, min(_MARKS, fewest + 1)).round()
        quantiles = np.quantile(lengths, np.linspace(0.1, 1, _MARKS)).round() if lengths else ()
        return cls(
            tuple(dict.fromkeys([*powers, fewest] if fewest else [])),
            tuple(dict.fromkeys(map(int, budgets))),
            tuple(dict.fromkeys(map(int, quantiles))),
        )


@dataclass(frozen=True)
class Analysis:
    """One analysis.

    Args:
        name: Of its files.
        title: What it shows, in a line.
        x: What its x is.
        y: The metric that its values are of; the one number of samples is its mean.
        about: What a reader has to know, in a sentence or two.
        values: What a case's samples say at every x, in the order of x.
        needs: What draws must have: several of a sample, named answers, ranks, tokens.
    """

    name: str
    title: str
    x: str
    y: MetricEntry
    about: str
    values: Callable[[Samples, Marks], Values]
    needs: frozenset[str] = frozenset()

    def of(self, samples: Samples, marks: Marks) -> Values:
        """Its values; none where the draws lack what it needs."""
        return self.values(samples, marks) if self.needs <= _had(samples) else {}


def _had(samples: Samples) -> set[str]:
    drawn = [each for sample in samples.values() for each in sample.drawn]
    found = {
        # Of two draws a vote is the first one.
        "several": any(len(sample.drawn) > 2 for sample in samples.values()),
        "answers": any(each.draw.answer is not None for each in drawn),
        "ranks": any(each.ranks is not None for each in drawn),
        "tokens": any(each.draw.tokens > 0 for each in drawn),
    }
    return {name for name, had in found.items() if had}


def _at_draws(worth: str) -> Callable[[Samples, Marks], Values]:
    def values(samples: Samples, marks: Marks) -> Values:
        return {
            k: {name: each.orders.at_draws(worth, k) for name, each in samples.items()}
            for k in marks.draws
        }

    return values


def _at_tokens(worth: str) -> Callable[[Samples, Marks], Values]:
    def values(samples: Samples, marks: Marks) -> Values:
        return {
            budget: {name: each.orders.at_tokens(worth, budget) for name, each in samples.items()}
            for budget in marks.budgets
        }

    return values


def _binned(bin_: Callable[[Drawn], X | None], order: Sequence[X]) -> Callable[..., Values]:
    """Accuracy of the draws in each bin, a sample's averaged first."""

    def values(samples: Samples, marks: Marks) -> Values:
        del marks
        found: dict[X, dict[str, float]] = {}
        for at in order:
            means = {
                name: fmean(right)
                for name, sample in samples.items()
                if (right := [each.draw.correct for each in sample.drawn if bin_(each) == at])
            }
            if means:
                found[at] = means
        return found

    return values


def _counted(count: int, most: int) -> X:
    return float(count) if count < most else f"{most}+"


def _low(each: Drawn) -> X | None:
    return None if each.ranks is None else _counted(each.ranks.low, _MOST_COUNT)


def _most(each: Drawn) -> X | None:
    return None if each.ranks is None else _counted(each.ranks.most, _MOST_RANK)


def _mean(each: Drawn) -> X | None:
    if each.ranks is None:
        return None
    cut = next((cut for cut in _MEAN_RANKS if each.ranks.mean <= cut), None)
    return f"> {_MEAN_RANKS[-1]:g}" if cut is None else f"≤ {cut:g}"


def _up_to_length(samples: Samples, marks: Marks) -> Values:
    """Accuracy of the draws of at most so many tokens."""
    found: dict[X, dict[str, float]] = {}
    for most in marks.lengths:
        kept = {
            name: [each.draw.correct for each in sample.drawn if each.draw.tokens <= most]
            for name, sample in samples.items()
        }
        means = {name: fmean(right) for name, right in kept.items() if right}
        if means:
            found[most] = means
    return found


def _vote_below_rank(samples: Samples, marks: Marks) -> Values:
    """The vote of the draws whose mean rank is at most a cut, in the order in which they came."""
    from harness.statistics.votes import vote

    del marks
    found: dict[X, dict[str, float]] = {}
    for cut in (*_MEAN_RANKS, float("inf")):
        kept = {
            name: [
                each.draw
                for each in sample.drawn
                if each.ranks is not None and each.ranks.mean <= cut
            ]
            for name, sample in samples.items()
        }
        votes = {name: vote(draws) for name, draws in kept.items() if draws}
        if votes:
            found["all" if cut == float("inf") else f"≤ {cut:g}"] = votes
    return found


_MAJ = MetricEntry("maj@k", "whether the most frequent answer is right", "higher", "rate")
_PASS = MetricEntry("pass@k", "whether some answer is right", "higher", "rate")
_RIGHT = MetricEntry("accuracy", "the share of right answers", "higher", "rate")
_VOTED = MetricEntry("maj", "whether the most frequent answer is right", "higher", "rate")
_DISTINCT = MetricEntry("distinct answers", "how many answers differ", "neither", "score")
_ENTROPY = MetricEntry("entropy of answers", "in bits", "neither", "score")
_SEVERAL, _NAMED = frozenset({"several"}), frozenset({"several", "answers"})
_RANKED = frozenset({"ranks"})

ANALYSES = (
    Analysis(
        "maj",
        "Majority vote over the number of draws",
        "draws, k",
        _MAJ,
        "Of equally frequent answers the first one counts; what cannot be read is an answer, too.",
        _at_draws("vote"),
        _NAMED,
    ),
    Analysis(
        "maj-tokens",
        "Majority vote at equal generated tokens",
        "generated tokens per sample",
        _MAJ,
        "As many draws as the tokens pay for to their end: longer answers get fewer votes.",
        _at_tokens("vote"),
        _NAMED | {"tokens"},
    ),
    Analysis(
        "pass",
        "Some draw is right, over the number of draws",
        "draws, k",
        _PASS,
        "The mean over orders of the draws.",
        _at_draws("any_right"),
        _SEVERAL,
    ),
    Analysis(
        "pass-tokens",
        "Some draw is right, at equal generated tokens",
        "generated tokens per sample",
        _PASS,
        "As many draws as the tokens pay for to their end.",
        _at_tokens("any_right"),
        _SEVERAL | {"tokens"},
    ),
    Analysis(
        "distinct",
        "Distinct answers over the number of draws",
        "draws, k",
        _DISTINCT,
        "What cannot be read counts as one answer.",
        _at_draws("distinct"),
        _NAMED,
    ),
    Analysis(
        "entropy",
        "Entropy of the answers over the number of draws",
        "draws, k",
        _ENTROPY,
        "Of the shares of the answers, in bits; 0 where all draws agree.",
        _at_draws("answer_entropy"),
        _NAMED,
    ),
    Analysis(
        "length",
        "Accuracy of draws up to a length",
        "generated tokens of a draw, at most",
        _RIGHT,
        "Only draws of at most so many tokens count; samples without one are left out.",
        _up_to_length,
        frozenset({"tokens"}) | _SEVERAL,
    ),
    Analysis(
        "low-confidence",
        "Accuracy by the number of low-confidence tokens",
        f"tokens where the most probable one has less than {LOW:g}",
        _RIGHT,
        "Draws by how many of their tokens are of low confidence.",
        _binned(_low, [*map(float, range(_MOST_COUNT)), f"{_MOST_COUNT}+"]),
        _RANKED,
    ),
    Analysis(
        "mean-rank",
        "Accuracy by mean rank",
        "mean rank of a draw's tokens",
        _RIGHT,
        "Draws by the mean of their tokens' ranks in the model's own distribution.",
        _binned(_mean, [*(f"≤ {cut:g}" for cut in _MEAN_RANKS), f"> {_MEAN_RANKS[-1]:g}"]),
        _RANKED,
    ),
    Analysis(
        "max-rank",
        "Accuracy by highest rank",
        "highest rank of a draw's tokens",
        _RIGHT,
        "Draws by the highest of their tokens' ranks in the model's own distribution.",
        _binned(_most, [*map(float, range(1, _MOST_RANK)), f"{_MOST_RANK}+"]),
        _RANKED,
    ),
    Analysis(
        "vote-below-rank",
        "Majority vote of draws with a low mean rank",
        "mean rank of the draws that vote",
        _VOTED,
        "Only draws whose mean rank is at most this vote; samples without one are left out.",
        _vote_below_rank,
        _RANKED | _NAMED,
    ),
)
