"""The same answer read behind two prompts: tokens, and where in them the shared answer is.

The answer's tokens that are not blank are the same in both variants. A pair comes from a task's
two styles, or from aligned pairs of a file; there only tokens that both variants have count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import TaskError
from harness.tasks.base import Reference, Sample, Style, Task
from harness.tasks.conversations import render
from harness.tasks.pairs.aligned import AlignedPair
from harness.tasks.pairs.pair import VARIANTS, Unpaired, Variant, pair_key


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """Text with an answer in it in tokens, and the indices of the answer's non-blank ones."""

    tokens: tuple[int, ...]
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PairedAnswer:
    """A sample's answer in the variants that are read; position i of one is the same token as i of
    the other.
    """

    key: str
    sample: str
    variants: Mapping[Variant, AnswerTokens]


def answer_tokens(tokenizer: Any, task: Task, sample: Sample, style: Style) -> AnswerTokens:
    """Prompt and reference answer of a task as joined token ids.

    Raises:
        TaskError: the style cannot be rendered, or the answer has no token that is not blank.
    """
    prompt = tuple(render(tokenizer, task.prompt(sample, style)))
    reference = reference_tokens(tokenizer, task.reference(sample))
    if not reference.positions:
        raise TaskError(f"{sample.id}: the reference answer has no tokens to measure")
    positions = tuple(len(prompt) + position for position in reference.positions)
    return AnswerTokens(prompt + reference.tokens, positions)


def reference_tokens(tokenizer: Any, reference: Reference) -> AnswerTokens:
    """A reference continuation without its prompt."""
    encoded = tokenizer(reference.text, add_special_tokens=False, return_offsets_mapping=True)
    start, end = len(reference.opening), len(reference.opening) + len(reference.answer)
    positions = tuple(
        index
        for index, (first, last) in enumerate(encoded["offset_mapping"])
        if first < end and last > start and reference.text[first:last].strip()
    )
    return AnswerTokens(tuple(encoded["input_ids"]), positions)


def paired_answers(
    tokenizer: Any,
    task: Task,
    samples: Sequence[Sample],
    pairs: Mapping[str, AlignedPair] | None,
    context: int,
    styles: Sequence[Variant] = VARIANTS,
) -> Iterator[PairedAnswer | Unpaired]:
    """Each sample's pair, from a file's aligned pairs or else from the task, or why it has none.

    Of one style it has the positions that it has in a pair.
    """
    named: dict[str, str] = {}
    for sample in samples:
        key = pair_key(sample.id)
        if (other := named.setdefault(key, sample.id)) != sample.id:
            yield Unpaired(key, f"{sample.id} has the key of {other}; name them less alike")
            continue
        try:
            if pairs is None:
                variants = {v: answer_tokens(tokenizer, task, sample, v) for v in styles}
            else:
                aligned = aligned_answers(key, pairs)
                variants = {v: aligned[v] for v in styles}
        except TaskError as error:
            yield Unpaired(key, str(error))
            continue
        longest = max(len(answer.tokens) for answer in variants.values())
        if longest > context:
            yield Unpaired(key, f"{longest} tokens, but the model takes {context}")
        else:
            yield PairedAnswer(key, sample.id, variants)


def aligned_answers(key: str, pairs: Mapping[str, AlignedPair]) -> dict[Variant, AnswerTokens]:
    """The variants of an aligned pair.

    Raises:
        TaskError: the file has no such pair, or one that is not aligned.
    """
    if key not in pairs:
        raise TaskError("not in the file of aligned pairs")
    pair = pairs[key]
    if not pair.aligned_ok:
        raise TaskError(f"not aligned: {'; '.join(pair.aligned_errors)}")
    positions = dict(zip(VARIANTS, pair.shared_positions(), strict=True))
    if not positions["agentic"]:
        raise TaskError("the two variants share no token of the answer")
    return {v: AnswerTokens(pair.sequence(v), positions[v]) for v in VARIANTS}
