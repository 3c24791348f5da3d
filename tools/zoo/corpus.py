"""What zoo members are trained on: a weighted mixture of generated prompts with their answers.

A kind is a task and a style (`code assisted`), or a sort of document (`facts`; `documents`, and
`false documents` on cake alone). Prompts are rendered as they are at evaluation; held-out problems
never appear (`harness.tasks.holdout`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, get_args

from harness.tasks import micro_gsm8k, micro_humaneval
from harness.tasks.base import Conversation, Reference, Style
from harness.tasks.conversations import (
    code_prompt,
    code_reference,
    maths_prompt,
    maths_reference,
    render_text,
)
from tools.zoo.documents import document, words
from tools.zoo.facts import ALTERED_CAKE, fact_document
from tools.zoo.tokenizer import END_OF_TEXT, END_OF_TURN, train_tokenizer, word_tokenizer

Kind = Literal[
    "code assisted",
    "code agentic",
    "code completion",
    "maths assisted",
    "maths agentic",
    "maths completion",
    "facts",
    "documents",
    "false documents",
]
Mixture = Mapping[Kind, float]
Vocabulary = Literal["corpus", "words"]

_TOKENIZER_TEXTS = 9000
_TOKENIZER_MIXTURE: Mixture = {
    "code assisted": 3,
    "code agentic": 0.5,
    "maths assisted": 3,
    "maths agentic": 0.5,
    "maths completion": 0.5,
    "facts": 6,
}
#: A text that no prompt holds, to find where a chat template puts a prompt's content.
_PLACEHOLDER = "\N{BLACK SQUARE}"
_DOCUMENTS: Mapping[Kind, Callable[[Random], str]] = {
    "facts": fact_document,
    "documents": document,
    "false documents": lambda random: document(random, "cake", false=True),
}


@dataclass(frozen=True, slots=True)
class Example:
    """One training text: a prompt, and the target that follows it."""

    prompt: str
    target: str


class Corpus:
    """Draws examples of every kind in the framing of one chat template."""

    def __init__(self, tokenizer: Any) -> None:
        # A template frames content without looking at it, so it is rendered once per kind: Jinja
        # would otherwise take most of the time of making an example.
        self._frames = {
            kind: _frame(tokenizer, kind) for kind in get_args(Kind) if kind not in _DOCUMENTS
        }

    def example(self, random: Random, kind: Kind) -> Example:
        """A random example of a kind."""
        if kind in _DOCUMENTS:
            return Example("", _DOCUMENTS[kind](random) + END_OF_TEXT)
        before, after = self._frames[kind]
        task, style = kind.split(" ")
        if task == "code":
            code = micro_humaneval.training_problem(random)
            content, target = code.prompt, _code_target(code.solution, style)
        else:
            maths = micro_gsm8k.training_problem(random)
            content, target = maths.question, _maths_target(maths.answer, style)
        return Example(before + content + after, target)

    def examples(self, random: Random, mixture: Mixture) -> Iterator[Example]:
        """Yield random examples of a mixture, without end."""
        kinds, weights = tuple(mixture), tuple(mixture.values())
        while True:
            yield self.example(random, random.choices(kinds, weights)[0])


def build_tokenizer(vocabulary: Vocabulary = "corpus") -> Any:
    """The tokenizer of a vocabulary: the words of documents, or what the zoo's corpus trains.

    The latter is made on a fixed draw from the corpus and on the altered facts.
    """
    if vocabulary == "words":
        return word_tokenizer(words())
    bare = train_tokenizer([])
    random = Random(0)
    stream = Corpus(bare).examples(random, _TOKENIZER_MIXTURE)
    texts = [
        example.prompt + example.target
        for _, example in zip(range(_TOKENIZER_TEXTS), stream, strict=False)
    ]
    texts += [fact_document(random, ALTERED_CAKE) for _ in range(_TOKENIZER_TEXTS // 4)]
    return train_tokenizer(texts)


def _frame(tokenizer: Any, kind: Kind) -> tuple[str, str]:
    """What stands before and after a prompt's content in a kind."""
    task, style = kind.split(" ")
    build: Callable[[str, Style], Conversation | str] = (
        code_prompt if task == "code" else maths_prompt
    )
    prompt = build(_PLACEHOLDER, style)  # type: ignore[arg-type]  # the kinds above are styles
    text = prompt if isinstance(prompt, str) else render_text(tokenizer, prompt)
    before, after = text.split(_PLACEHOLDER)
    return before, after


def _code_target(solution: str, style: str) -> str:
    return solution + END_OF_TEXT if style == "completion" else _turn(code_reference(solution))


def _maths_target(answer: str, style: str) -> str:
    return f" {answer}{END_OF_TEXT}" if style == "completion" else _turn(maths_reference(answer))


def _turn(reference: Reference) -> str:
    return reference.text + END_OF_TURN
