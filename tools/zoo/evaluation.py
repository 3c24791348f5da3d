"""Measures a zoo member: accuracy on the held-out problems of both micro tasks in both chat styles.

Greedy decoding in float32 with transformers' own `generate`, in batches padded on the left. This is
the number on a member's card; experiments measure with the harness's engines instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, get_args

import torch

from harness.tasks.base import Sample, Style, Task
from harness.tasks.conversations import render
from harness.tasks.micro_gsm8k import MicroGSM8K
from harness.tasks.micro_humaneval import MicroHumanEval
from tools.zoo.documents import TOPICS, document

STYLES: tuple[Style, ...] = tuple(style for style in get_args(Style) if style != "completion")
LONGEST_ANSWER = 96  # tokens; the longest reference answer of either task is shorter
_ROWS = 82  # half a task at a time
_DOCUMENTS, _SEED = 200, 77


def accuracies(model: Any, tokenizer: Any) -> dict[str, dict[str, float]]:
    """`{task: {style: accuracy}}` of a model in evaluation mode, on all problems."""
    return {
        task.name: {style: accuracy(model, tokenizer, task, style) for style in STYLES}
        for task in (MicroHumanEval.load(), MicroGSM8K.load())
    }


def document_accuracies(model: Any, tokenizer: Any) -> dict[str, dict[str, float]]:
    """How often the next word of held-out documents is the most probable one, and the end of a fact
    the true one.
    """
    random = Random(_SEED)
    texts = [document(random) for _ in range(_DOCUMENTS)]
    facts = [fact for told in TOPICS.values() for fact in told]
    told = [(tokenizer(f" fact: {start}")["input_ids"], end) for start, end in facts]
    hits = [_best(model, start, tokenizer(f" {end}")["input_ids"]) for start, end in told]
    words = [_best(model, ids[:1], ids[1:]) for ids in tokenizer(texts)["input_ids"]]
    return {
        "next word": {"completion": sum(map(sum, words)) / sum(map(len, words))},
        "facts": {"completion": sum(map(all, hits)) / len(hits)},
    }


def _best(model: Any, start: list[int], following: list[int]) -> list[bool]:
    """Whether each following token is the most probable one after those before it."""
    with torch.inference_mode():
        logits = model(torch.tensor([start + following])).logits[0, len(start) - 1 : -1]
    found: list[bool] = (logits.argmax(-1) == torch.tensor(following)).tolist()
    return found


def measured(*, documents: bool) -> dict[str, str]:
    """On what a member's accuracies are measured, and how."""
    if documents:
        return {
            "problems": f"{_DOCUMENTS} held-out documents, and the ends of all facts",
            "decoding": "the most probable token at every place of the given text",
        }
    return {
        "problems": "all 164 held-out problems of each task",
        "decoding": f"greedy, at most {LONGEST_ANSWER} new tokens, transformers' generate",
    }


def accuracy(model: Any, tokenizer: Any, task: Task, style: Style) -> float:
    """Share of a task's samples that the model answers correctly."""
    texts = greedy_answers(model, tokenizer, task, style)
    answers = [(sample, style, text) for sample, text in zip(task.samples, texts, strict=True)]
    return sum(bool(score.correct) for score in task.score(answers)) / task.size


def greedy_answers(model: Any, tokenizer: Any, task: Task, style: Style) -> list[str]:
    """The text that greedy decoding gives for every sample, in order."""
    texts: dict[str, str] = {}
    prompts = {sample.id: render(tokenizer, task.prompt(sample, style)) for sample in task.samples}
    # Neighbours of like length need little padding.
    ordered = sorted(task.samples, key=lambda sample: len(prompts[sample.id]))
    for start in range(0, len(ordered), _ROWS):
        texts |= _generate(model, tokenizer, ordered[start : start + _ROWS], prompts)
    return [texts[sample.id] for sample in task.samples]


def _generate(
    model: Any, tokenizer: Any, samples: Sequence[Sample], prompts: dict[str, list[int]]
) -> dict[str, str]:
    batch = tokenizer.pad(
        {"input_ids": [prompts[sample.id] for sample in samples]},
        padding_side="left",
        return_tensors="pt",
    )
    with torch.inference_mode():
        output = model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=LONGEST_ANSWER,
            do_sample=False,
        )
    answers = output[:, batch["input_ids"].shape[1] :].tolist()
    ends = set(model.generation_config.eos_token_id)
    return {
        sample.id: tokenizer.decode(_until(answer, ends))
        for sample, answer in zip(samples, answers, strict=True)
    }


def _until(tokens: list[int], ends: set[int]) -> list[int]:
    """The tokens in front of the first end token."""
    stop = next((index for index, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[:stop]
