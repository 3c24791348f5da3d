"""Statistics of finished answers: where an oracle spoke in them, or of every step of a solution.

    {"prompt": "...", "interleaved_outputs": [{"output": "...", "model_type": "base"}, ...], ...}
    {"question": {"problem": "..."}, "label": {"steps": [{"completions": [{"text": "...",
     "rating": -1}, ...], "chosen_completion": 0, "human_completion": null}, ...]}}

The first is a line of swairshah/Guided-Inference, or of `titrate export --format guided`: numbers
are of the token to come where each of the oracle's outputs begins, behind the prompt and the text
before it, encoded together. The second is a line of PRM800K (Lightman et al. 2023): every rated
completion of every step, behind the problem and the steps that were chosen; numbers are means over
the tokens of the step. The model reads what is given: nothing is generated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.engines.contract import Capture, Engine, Reading
from harness.interventions.certainty import of_steps
from harness.tasks.base import Style
from harness.tasks.conversations import maths_prompt, render

#: What the original calls the statistics, by their names here.
NAMES = {
    "entropy": "entropy",
    "varentropy": "varentropy",
    "top_probability": "top_prob",
    "margin": "prob_top2_diff",
    "attention_entropy": "attn_entropy",
    "attention_varentropy": "attn_varentropy",
    "agreement": "agreement",
    "interaction": "interaction_strength",
}


@dataclass(frozen=True)
class Occasion:
    """Tokens that a model reads, and from where numbers are taken.

    Args:
        record: The number of the record, from 0.
        tokens: What is read.
        first: The first of these whose prediction counts; those behind it count, too.
        told: What is known of the occasion: where it is, and how it was labelled.
        bad: Whether it is of the kind that numbers may tell: a wrong answer, or a step rated -1.
    """

    record: int
    tokens: tuple[int, ...]
    first: int
    told: Mapping[str, Any]
    bad: bool


def is_guided(record: Mapping[str, Any]) -> bool:
    """Whether a record has an oracle's outputs; else it has rated steps."""
    return "interleaved_outputs" in record


def fault(record: Mapping[str, Any]) -> str | None:
    """What is wrong with a record; None for one of the two forms."""
    try:
        if is_guided(record):
            whole = isinstance(record["prompt"], str) and all(
                isinstance(each["output"], str) and each["model_type"] in ("base", "oracle")
                for each in record["interleaved_outputs"]
            )
        else:
            whole = isinstance(record["question"]["problem"], str) and all(
                isinstance(each["text"], str) and each["rating"] in (-1, 0, 1, None)
                for step in record["label"]["steps"]
                for each in step["completions"] or ()
            )
    except (KeyError, TypeError):
        whole = False
    if whole:
        return None
    return (
        "is no line of guided inference (prompt, interleaved_outputs of output and model_type) and "
        "none of PRM800K (question.problem, label.steps of completions with text and rating)"
    )


def occasions_of(records: Sequence[Mapping[str, Any]], tokenizer: Any) -> list[Occasion]:
    """Where numbers are taken in records of either form."""
    return [
        occasion
        for number, record in enumerate(records)
        for occasion in (_consultations if is_guided(record) else _steps)(number, record, tokenizer)
    ]


def numbers_at(engine: Engine, occasions: Sequence[Occasion]) -> list[dict[str, float]]:
    """Each occasion's statistics by the original's names, means where it has several tokens.

    Those of attention are left out where the model's kernel does not show its scores.
    """
    readings = [
        Reading(
            occasion.tokens,
            Capture(
                logits=True,
                attention_scores=True,
                positions=tuple(
                    range(occasion.first - 1, max(occasion.first, len(occasion.tokens) - 1))
                ),
            ),
        )
        for occasion in occasions
    ]
    found: list[dict[str, float]] = [{} for _ in occasions]
    for position, read in engine.forward(readings):
        assert read.logits is not None
        told = of_steps(read.logits, read.attention_scores)
        found[position] = {NAMES[name]: sum(each) / len(each) for name, each in told.items()}
    return found


def _consultations(number: int, record: Mapping[str, Any], tokenizer: Any) -> Iterator[Occasion]:
    before = record["prompt"]
    total = max(int(record.get("total_tokens_generated") or 0), 1)
    positions = iter(record.get("cheat_positions") or ())
    right = _is_right(record)
    written = 0
    for each in record["interleaved_outputs"]:
        length = len(_encoded(tokenizer, each["output"]))
        if each["model_type"] == "oracle":
            tokens = _encoded(tokenizer, before)
            position = next(positions, written)
            told = {
                "position": position,
                "normalized_position": position / total,
                "oracle_tokens": length,
                "oracle_tokens_normalized": length / total,
            }
            yield Occasion(number, tokens, len(tokens), told, not right)
        before += each["output"]
        written += length


def _is_right(record: Mapping[str, Any]) -> bool:
    """As the record says; else as the original says it: answers are equal as texts."""
    said = (record.get("analysis") or {}).get("acc")
    if said is not None:
        return bool(said)
    return record.get("parsed_answer") is not None and (
        record["parsed_answer"] == record.get("ground_truth")
    )


def _steps(number: int, record: Mapping[str, Any], tokenizer: Any) -> Iterator[Occasion]:
    style: Style = "assisted" if tokenizer.chat_template else "completion"
    before = tuple(render(tokenizer, maths_prompt(record["question"]["problem"], style)))
    for at, step in enumerate(record["label"]["steps"]):
        completions = step["completions"] or ()
        for which, each in enumerate(completions):
            tokens = _encoded(tokenizer, each["text"] + "\n")
            if each["rating"] is not None:
                told = {"step": at, "completion": which, "rating": each["rating"]}
                yield Occasion(
                    number, (*before, *tokens), len(before), told, bad=each["rating"] == -1
                )
        chosen = step.get("chosen_completion")
        human = step.get("human_completion")
        text = completions[chosen]["text"] if chosen is not None else (human or {}).get("text")
        if text is None:
            return  # nothing was chosen: here the solution was given up
        before = (*before, *_encoded(tokenizer, text + "\n"))


def _encoded(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
