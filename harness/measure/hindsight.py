"""The consultations that were chosen in hindsight, one after the other, and what follows from them.

hindsight.jsonl   a line per sample: {"sample": "MicroGSM8K/3", "consultations": [...]}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import TaskError

FILE = "hindsight.jsonl"


class Consultation(BaseModel):
    """An answer with one consultation more; the model's own one has none, and begins at 0.

    Args:
        at: The first token that the oracle was asked for.
        until: The first one behind these.
        tokens: The whole answer.
        text: What it says.
        right: Whether that is right.
        worth: v(t) of the answer from `until` on; empty where it was not asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: int = 0
    until: int = 0
    tokens: tuple[int, ...]
    text: str
    right: bool
    worth: tuple[int, ...] = ()


#: By sample: the consultations of its answer, in their order.
Chains = Mapping[str, Sequence[Consultation]]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sample: str
    consultations: tuple[Consultation, ...]


def written(chains: Chains) -> str:
    """The content of the file."""
    return "".join(
        f"{json.dumps({'sample': name, 'consultations': [each.model_dump() for each in chain]})}\n"
        for name, chain in chains.items()
    )


def read(text: str) -> Chains:
    """The consultations that a file tells of.

    Raises:
        TaskError: it is no such file.
    """
    try:
        lines = [_Line.model_validate_json(line) for line in text.splitlines()]
    except ValidationError as error:
        raise TaskError(f"{FILE}: {error.errors()[0]['msg']}") from error
    return {line.sample: line.consultations for line in lines}


def metrics_of_chains(
    own: Mapping[str, Consultation], chains: Chains, most: int
) -> dict[str, dict[str, Any]]:
    """Metric -> sample -> value, of up to `most` consultations in each of the models' answers."""
    metrics: dict[str, dict[str, Any]] = {}
    for calls in range(1, most + 1):
        last = {name: [answer, *chains[name][:calls]][-1] for name, answer in own.items()}
        metrics[f"hindsight_{calls}"] = {name: float(each.right) for name, each in last.items()}
        metrics[f"hindsight_tokens_{calls}"] = {
            name: [sum(c.until - c.at for c in chains[name][:calls]), len(each.tokens)]
            for name, each in last.items()
        }
    return metrics


def unfounded(
    own: Consultation, chain: Sequence[Consultation], length: int, most: int
) -> Iterator[str]:
    """Yield what of a chain is not what the maps of its answers would have chosen.

    Args:
        own: The model's own answer.
        chain: What came of it.
        length: How many tokens the oracle says at most.
        most: How many consultations were chosen at most.
    """
    before = own
    for step in chain[:most]:
        first = _first_worth(before)
        if before.right:
            yield "asked, though the answer is right"
        elif step.right != (first is not None) or (first is not None and step.at != first):
            where = "nowhere" if first is None else f"at token {first}"
            yield f"asked at token {step.at}, right: {step.right}; its map says help {where}"
        if not before.until <= step.at < step.until <= step.at + length:
            yield f"asked for the tokens {step.at} to {step.until}, after {before.until}"
        if step.tokens[: step.at] != before.tokens[: step.at]:
            yield f"tokens before {step.at} are not those of the answer before"
        before = step
    if len(chain) < most and _first_worth(before) is not None:
        yield f"not asked at token {_first_worth(before)}, where its map says help"
    if len(chain) > most:
        yield f"{len(chain)} consultations of {most}"


def _first_worth(answer: Consultation) -> int | None:
    """Where help mends a wrong answer."""
    if answer.right:
        return None
    return next((answer.until + at for at, value in enumerate(answer.worth) if value > 0), None)
