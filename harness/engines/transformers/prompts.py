"""Reads prompts into the cache: in passes of similar lengths, in pieces where they are long."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch

from harness.engines.transformers.passes import Alike, Passes, padded
from harness.engines.transformers.residents import Resident
from harness.engines.transformers.shared_layers import of_one_prompt, untouched

# Tokens of one pass: bounds its activations whatever the prompts' lengths.
_PASS_TOKENS = 4096
# What a pass costs beyond its tokens, in tokens; padding costs what tokens cost.
_PASS_COST = 128
# Width of a pass where every pass has the same shape.
_STRICT_WIDTH = 64


def read_prompts(passes: Passes, sequences: Sequence[Resident], *, strict: bool) -> torch.Tensor:
    """Compute the missing columns of sequences in neighbouring slots, shortest missing part first.

    Returns the logits [R, 1, V] after their last tokens.
    """
    return torch.cat(
        [
            _read(passes, part, strict=strict, alike=alike)
            for group, alike in _alike(passes, sequences)
            for part in ([group] if alike else _of_similar_width(group))
        ]
    )


def _alike(
    passes: Passes, sequences: Sequence[Resident]
) -> Iterator[tuple[list[Resident], Alike | None]]:
    """Neighbours in groups: those of one prompt where sharing layers pays, and all in between."""
    others: list[Resident] = []
    for group in of_one_prompt(sequences) if passes.widen else ():
        layers = untouched(group, passes.layers)
        saved = (len(group) - 1) * missing(group[0]) * layers / passes.layers
        if saved <= _PASS_COST:
            others += group
            continue
        if others:
            yield others, None
            others = []
        yield group, Alike(len(group), layers)
    if not passes.widen:
        others = list(sequences)
    if others:
        yield others, None


def missing(sequence: Resident) -> int:
    """Tokens of an admitted sequence that are not in the cache yet."""
    return len(sequence.all_tokens) - sequence.length


def _read(
    passes: Passes, sequences: list[Resident], *, strict: bool, alike: Alike | None
) -> torch.Tensor:
    """Read prompts in one pass, or in several pieces, each of which sees the columns before it.

    Prompts are aligned at their ends, so that the last column holds every row's last token and
    the model computes no other logits. Of sequences that are `alike` the first one is read.
    """
    width = max(map(missing, sequences))
    piece = _STRICT_WIDTH if strict else max(1, _PASS_TOKENS // len(sequences))
    if strict:
        width = -(-width // piece) * piece
    rows = sequences if alike is None else sequences[:1]
    tokens, positions = padded(
        [sequence.all_tokens[sequence.length :] for sequence in rows],
        [sequence.length for sequence in rows],
        width,
        align_ends=True,
    )
    longest = max(len(sequence.all_tokens) for sequence in sequences)
    nothing_cached = all(sequence.length == 0 for sequence in sequences)
    logits = torch.empty(0)
    for start in range(0, width, piece):
        part = slice(start, start + piece)
        alone = nothing_cached and start == 0 and not strict
        looked_at = sequences if start + piece >= width else []
        with passes.sight(looked_at), passes.cut(sequences):
            logits = passes.forward(
                tokens[:, part],
                positions[:, part],
                sequences[0].slot,
                None if alone else passes.columns(longest),
                last_only=True,
                alike=alike,
            )
        share = 1.0 if alike is None else alike.layers / passes.layers
        of_each = share + (1 - share) * (1 if alike is None else alike.rows)
        passes.has_read(tokens[:, part].numel() * of_each)
    return logits


def _of_similar_width(sequences: Sequence[Resident]) -> Iterator[list[Resident]]:
    """Neighbours that are read in one pass each: the cheapest split, padding and passes counted."""
    widths = [missing(sequence) for sequence in sequences]
    # The least cost of the first `end` sequences, and where their last pass begins.
    least, begins = [0.0], [0]
    for end in range(1, len(widths) + 1):
        found = (math.inf, end - 1)
        width = 0
        for begin in range(end - 1, -1, -1):
            width = max(width, widths[begin])
            tokens = width * (end - begin)
            if tokens > _PASS_TOKENS and begin < end - 1:
                break
            found = min(found, (least[begin] + tokens + _PASS_COST, begin))
        least.append(found[0])
        begins.append(found[1])
    cuts = [len(widths)]
    while cuts[-1]:
        cuts.append(begins[cuts[-1]])
    for begin, end in pairwise(reversed(cuts)):
        yield list(sequences[begin:end])
