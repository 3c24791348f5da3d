"""Reads prompts into the cache: in passes of similar lengths, in pieces where they are long."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch

from harness.engines.transformers.passes import Passes, padded
from harness.engines.transformers.residents import Resident

# Tokens of one pass: bounds its activations whatever the prompts' lengths.
_PASS_TOKENS = 8192
# What a pass costs beyond its tokens, in tokens; padding costs what tokens cost.
_PASS_COST = 128
# Width of a pass where every pass has the same shape.
_STRICT_WIDTH = 64


def read_prompts(passes: Passes, sequences: Sequence[Resident], *, strict: bool) -> torch.Tensor:
    """Compute the missing columns of sequences in neighbouring slots, shortest missing part first.

    Returns the logits [R, 1, V] after their last tokens.
    """
    return torch.cat([_read(passes, part, strict=strict) for part in _of_similar_width(sequences)])


def missing(sequence: Resident) -> int:
    """Tokens of an admitted sequence that are not in the cache yet."""
    return len(sequence.all_tokens) - sequence.length


def _read(passes: Passes, sequences: list[Resident], *, strict: bool) -> torch.Tensor:
    """Read prompts in one pass, or in several pieces, each of which sees the columns before it.

    Prompts are aligned at their ends, so that the last column holds every row's last token and
    the model computes no other logits.
    """
    width = max(map(missing, sequences))
    piece = _STRICT_WIDTH if strict else max(1, _PASS_TOKENS // len(sequences))
    if strict:
        width = -(-width // piece) * piece
    tokens, positions = padded(
        [sequence.all_tokens[sequence.length :] for sequence in sequences],
        [sequence.length for sequence in sequences],
        width,
        align_ends=True,
    )
    longest = max(len(sequence.all_tokens) for sequence in sequences)
    nothing_cached = all(sequence.length == 0 for sequence in sequences)
    logits = torch.empty(0)
    for start in range(0, width, piece):
        part = slice(start, start + piece)
        alone = nothing_cached and start == 0 and not strict
        logits = passes.forward(
            tokens[:, part],
            positions[:, part],
            sequences[0].slot,
            None if alone else passes.columns(longest),
            last_only=True,
        )
        passes.has_read(tokens[:, part].numel())
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
