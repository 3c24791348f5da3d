"""`method: logit_diff`: tokens whose logits the change raises most often (diff mining).

Logits of both models are read chunk by chunk and counted (`counts.py`); what is kept does not grow
with the number of texts, but for NMF, which keeps the k largest differences of each position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from harness.engines.contract import Capture
from harness.measure.diffing.counts import TokenCounts
from harness.measure.diffing.evidence import Candidate, Evidence, Example
from harness.measure.diffing.orderings import (
    Ordered,
    TopEntries,
    by_fraction_positive,
    by_occurrence,
    by_topic,
)
from harness.measure.diffing.pair import Pair, largest_of, words_of
from harness.measure.diffing.patchscope import patched
from harness.measure.diffing.section import DiffSettings
from harness.measure.diffing.texts import Texts

#: Tokens shown on each side of an example.
_AROUND = 8


def counted(
    pair: Pair,
    texts: Texts,
    settings: DiffSettings,
    layer: int,
    entries: TopEntries | None = None,
) -> TokenCounts:
    """The counts over all texts; `entries` also gets the largest differences themselves."""
    counts: TokenCounts | None = None
    for number, (own, other) in enumerate(_logits(pair, texts, settings, layer)):
        width = min(own.shape[-1], other.shape[-1])  # a tuned model may have added tokens
        own, other = own[:, :width], other[:, :width]
        if counts is None:
            counts = TokenCounts(width, settings.depth, pair.rounding)
        differences = other - own
        first = number * len(texts.labels)
        leading = counts.add(differences, largest_of(own, other), first)
        if entries is not None:
            entries.add(differences, leading)
    assert counts is not None, "there is a text"
    return counts


def logit_diff(pair: Pair, texts: Texts, settings: DiffSettings, layer: int) -> Evidence:
    """The tokens in the order that is asked for, with their counts and examples."""
    entries = TopEntries() if settings.ordering == "nmf" else None
    counts = counted(pair, texts, settings, layer, entries)
    lists: Mapping[str, Ordered]
    if counts.nothing:
        lists = {}
    elif entries is not None:
        lists = by_topic(entries, settings.listed)
    elif settings.ordering == "fraction_positive_diff":
        lists = {"": by_fraction_positive(counts, settings.listed)}
    else:
        lists = {"": by_occurrence(counts, settings.listed)}
    listed = [(group, *each) for group, ordered in lists.items() for each in ordered]
    words = words_of(pair, [token for _, token, _ in listed])
    return Evidence(
        "logit_diff",
        tuple(
            Candidate(
                token,
                word,
                value,
                group,
                {
                    "rate": float(counts.rate[token]),
                    "mean_difference": float(counts.mean[token]),
                    "fraction_positive": float(counts.fraction_positive[token]),
                    "count_positive": int(counts.positive[token]),
                    "count_negative": int(counts.negative[token]),
                },
                tuple(_examples(pair, texts, counts, token)),
            )
            for (group, token, value), word in zip(listed, words, strict=True)
        ),
        counts.positions,
        counts.silent,
        len(texts),
        texts.dropped,
        {"ordering": settings.ordering, "depth": counts.depth, "vocabulary": counts.vocabulary},
    )


def _logits(
    pair: Pair, texts: Texts, settings: DiffSettings, layer: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Of each text the logits [P, V] of both models, by the variant that is asked for."""
    if settings.logits == "logits":
        width = len(pair.base.tokenizer)
        for _, own, other in pair.read(texts.texts, Capture(logits=True), width):
            assert own.logits is not None
            assert other.logits is not None
            yield own.logits, other.logits
        return
    capture = Capture(hidden_layers=(layer,))
    for _, own, other in pair.read(texts.texts, capture, len(pair.base.tokenizer)):
        states = own.hidden[layer], other.hidden[layer]
        if settings.logits == "logit_lens":
            yield pair.base.readout(states[0]).cpu(), pair.tuned.readout(states[1]).cpu()
        else:
            yield patched(pair.base, layer, states[0]), patched(pair.tuned, layer, states[1])


def _examples(pair: Pair, texts: Texts, counts: TokenCounts, token: int) -> Iterator[Example]:
    """Where a token gained most."""
    for value, number in zip(counts.best[:, token], counts.where[:, token], strict=True):
        if int(number) < 0 or float(value) <= 0:
            continue
        at, label = divmod(int(number), len(texts.labels))
        text = texts.texts[at]
        position = text.positions[label]
        before = text.tokens[max(0, position + 1 - _AROUND) : position + 1]
        after = text.tokens[position + 1 : position + 1 + _AROUND]
        decode = pair.base.tokenizer.decode
        yield Example(text.sample, position, decode(before), decode(after), float(value))
