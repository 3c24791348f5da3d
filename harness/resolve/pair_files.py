"""The aligned pairs of a run, each file read once and shared by all cases that name it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import islice
from typing import Any

from harness.errors import FieldError, TaskError
from harness.spec import Experiment
from harness.tasks.pairs.aligned import AlignedPair
from harness.tasks.pairs.files import read_tokens

#: Pairs whose tokens are decoded to see whether they are this tokenizer's.
_PROBED = 20


def pairs_of(experiment: Experiment) -> Mapping[str, AlignedPair] | None:
    """The pairs that an experiment names, or None where it puts the task's own prompts.

    Raises:
        FieldError: the file is not a pair_tokens.json, or the style is not one of a pair.
    """
    path = experiment.prompt.pairs
    if path is None:
        return None
    if experiment.prompt.style == "completion":
        raise FieldError(
            "prompt.style", "completion is not a style of pairs; use agentic or assisted"
        )
    try:
        return _read(path)
    except TaskError as error:
        raise FieldError("prompt.pairs", str(error)) from error


def check_tokenizer(experiment: Experiment, tokenizer: Any) -> None:
    """Refuse pairs that were aligned with another tokenizer: their ids are other words here.

    Raises:
        FieldError: a token of the file is unknown to this tokenizer, or another text.
    """
    pairs = pairs_of(experiment) or {}
    for key, pair in pairs.items():
        ids = {*pair.agentic_ids, *pair.assisted_aligned_ids}
        strange = next((token for token in sorted(ids) if not 0 <= token < len(tokenizer)), None)
        if strange is not None:
            raise FieldError(
                "prompt.pairs",
                f"{experiment.prompt.pairs}: {key} has token {strange}, but {experiment.model} "
                f"knows {len(tokenizer)}; align the pairs with --model {experiment.model}",
            )
    for key, pair in islice(pairs.items(), _PROBED):
        positions, texts = pair.canonical_non_ws_positions, pair.canonical_non_ws_tokens
        for at, text in zip(positions, texts, strict=False):
            token = pair.agentic_ids[at]
            if tokenizer.decode([token]) != text:
                raise FieldError(
                    "prompt.pairs",
                    f"{experiment.prompt.pairs}: token {token} of {key} is {text!r} there but not "
                    f"for {experiment.model}; align the pairs with --model {experiment.model}",
                )


@cache
def _read(path: str) -> Mapping[str, AlignedPair]:
    return read_tokens(path)
