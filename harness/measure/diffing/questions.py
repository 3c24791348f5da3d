"""Questions to models: Markdown files with a version in front, whose content is hashed.

    ---
    version: 1
    system: You judge tokens.
    ---
    Is {{ token | tojson }} relevant?

The hash stands in what is reported, so that answers to two wordings are never taken for one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from harness.errors import MetricError, TaskError
from harness.spec.document import read_value
from harness.tasks.base import Conversation, Message
from harness.tasks.conversations import render


@dataclass(frozen=True)
class Prompt:
    """A question.

    Args:
        name: The file's, without its ending.
        version: As it says itself.
        digest: SHA-256 (hex) of the file.
        system: The system message.
        template: What is asked.
    """

    name: str
    version: int
    digest: str
    system: str
    template: Any

    def messages(self, **values: Any) -> tuple[Message, ...]:
        """The conversation that asks it."""
        text = self.template.render(**values).strip()
        return (
            {"role": "system", "content": self.system},
            {"role": "user", "content": text},
        )


@cache
def prompt_named(name: str) -> Prompt:
    """One of the package's questions."""
    content = (files("harness.measure.diffing") / "prompts" / f"{name}.md").read_text("utf-8")
    _, head, body = content.split("---\n", 2)
    heading = read_value(head, name)
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return Prompt(
        name,
        heading["version"],
        hashlib.sha256(content.encode()).hexdigest(),
        heading["system"],
        environment.from_string(body),
    )


def tokens_of(tokenizer: Any, messages: Sequence[Message]) -> tuple[int, ...]:
    """A conversation as a model reads it; the bare text of it for one without a chat template.

    Raises:
        MetricError: the chat template refuses it.
    """
    bare = "\n\n".join(str(message["content"]) for message in messages)
    try:
        conversation = Conversation(tuple(messages)) if tokenizer.chat_template else bare
        return tuple(render(tokenizer, conversation))
    except TaskError as error:
        raise MetricError(f"the judge cannot be asked: {error}") from error
