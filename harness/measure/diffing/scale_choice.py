"""At which scale a patchscope is listened to, by a judge, who says which tokens belong together.

The judge sees the tokens of every scale, and knows nothing of the facts. An answer that names no
scale is asked for again, by other seeds; where none is to be had, the scale stays the one that says
most that random vectors do not.

Source: science-of-finetuning/diffing-toolkit, activation_difference_lens, auto_patch_scope.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.measure.diffing.evidence import Candidate, Evidence
from harness.measure.diffing.judging import ModelAsker, said, spent
from harness.measure.diffing.pair import Pair, words_of
from harness.measure.diffing.questions import prompt_named
from harness.measure.diffing.section import JudgeSettings
from harness.tasks.reasoning import without_reasoning

PROMPT = "patchscope_scale"
_RETRIES = 3
_SCALE = re.compile(r"^\W*SCALE\s*:\s*\**\s*([0-9]+(?:\.[0-9]+)?)", re.IGNORECASE | re.MULTILINE)
_TOKENS = re.compile(r"^\W*TOKENS\s*:\s*(.*)$", re.IGNORECASE | re.MULTILINE)


def by_judge(
    evidence: Evidence, pair: Pair, judge: JudgeSettings, asker: ModelAsker
) -> tuple[Evidence, int]:
    """A patchscope's evidence at the scales that a judge has chosen, and the tokens that it cost.

    Raises:
        MetricError: the judge gave no answer at all.
    """
    scales: dict[str, Any] = {}
    candidates: list[Candidate] = []
    cost = 0
    for group, found in evidence.about["scales"].items():
        lists = {each["scale"]: each["tokens"] for each in found["scales"]}
        words = {at: words_of(pair, [token for token, _ in own]) for at, own in lists.items()}
        choice, spent_here = _chosen(words, judge, asker)
        cost += spent_here
        best = found["best"] if choice is None else choice[0]
        told = {"best": best, "by": "excess" if choice is None else judge.model}
        if choice is not None:
            told["selected"] = [words[best][place] for place in choice[1]]
        scales[group] = {**found, **told}
        candidates += [
            Candidate(token, word, value, group)
            for (token, value), word in zip(lists[best], words[best], strict=True)
        ]
    prompt = prompt_named(PROMPT)
    about = {**evidence.about, "scales": scales, "prompt": f"{prompt.name} {prompt.digest}"}
    return replace(evidence, candidates=tuple(candidates), about=about), cost


def _chosen(
    words: Mapping[float, Sequence[str]], judge: JudgeSettings, asker: ModelAsker
) -> tuple[tuple[float, list[int]] | None, int]:
    """What a judge chooses of lists by scale, and the tokens of all attempts."""
    lists = [(f"{scale:g}", tokens) for scale, tokens in words.items()]
    messages = prompt_named(PROMPT).messages(lists=lists)
    cost = 0
    for attempt in range(_RETRIES + 1):
        (request,) = asker.requests(
            [messages],
            temperature=judge.temperature or float(attempt > 0),
            seed=judge.seed + attempt,
            max_new_tokens=judge.max_new_tokens,
        )
        (reply,) = asker.ask([request])
        cost += len(request.prompt) + spent(reply)
        choice = choice_of(without_reasoning(said(reply)), words)
        if choice is not None:
            return choice, cost
    return None, cost


def choice_of(text: str, words: Mapping[float, Sequence[str]]) -> tuple[float, list[int]] | None:
    """The scale of the last line `SCALE: 1.5`, and the places of its tokens, counted from 0.

    None for a scale that was not shown; numbers of no token are left out.
    """
    scales, tokens = _SCALE.findall(text), _TOKENS.findall(text)
    if not scales or float(scales[-1]) not in words:
        return None
    scale = float(scales[-1])
    numbers = map(int, re.findall(r"\d+", tokens[-1] if tokens else ""))
    places = dict.fromkeys(number - 1 for number in numbers)
    return scale, [place for place in places if 0 <= place < len(words[scale])]
