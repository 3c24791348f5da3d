"""Texts behind a prompt in tokens, encoded together with it, as the model would have read them.

A tokenizer may join the end of a prompt and the beginning of what follows. So prompt and text are
encoded as one, and what the prompt alone does not have is the text's; blanks at the prompt's end
belong to the text, where most tokenizers put them. Behind nothing stands the model's first token.

Source: lm-evaluation-harness 0.4.13, whose `loglikelihood` divides pairs so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import TaskError
from harness.tasks.base import Conversation
from harness.tasks.conversations import render_text


@dataclass(frozen=True, slots=True)
class Behind:
    """A context in tokens, and the continuations that stand behind it."""

    context: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]


def behind(tokenizer: Any, prompt: Conversation | str, texts: Sequence[str]) -> Behind:
    """A prompt, and each of the texts behind it, in tokens.

    Raises:
        TaskError: the prompt cannot be rendered, or no token is left of one of the texts.
    """
    whole = prompt if isinstance(prompt, str) else render_text(tokenizer, prompt)
    kept = whole.rstrip()
    blank = whole[len(kept) :]
    if not kept:
        return _checked(_alone(tokenizer, [blank + text for text in texts]), texts)
    # A rendered conversation holds its own special tokens, and so may bare text that begins so.
    special = isinstance(prompt, str) and not whole.startswith(tokenizer.bos_token or "\0")
    context = _encoded(tokenizer, kept, special=special)
    together = (_encoded(tokenizer, kept + blank + text, special=special) for text in texts)
    return _checked(Behind(context, tuple(each[len(context) :] for each in together)), texts)


def opening_token(tokenizer: Any) -> int:
    """The token behind which a text begins: the tokenizer's first one, or else its last one.

    Raises:
        TaskError: it has neither.
    """
    token = tokenizer.bos_token_id
    if token is None:
        token = tokenizer.eos_token_id
    if token is None:
        raise TaskError(
            f"the tokenizer of {tokenizer.name_or_path or 'this model'} has neither a first nor a "
            "last token, behind which a text could begin; give samples a prompt"
        )
    return int(token)


def _alone(tokenizer: Any, texts: Sequence[str]) -> Behind:
    """Texts behind the first token, which one that begins with it already has."""
    opening = opening_token(tokenizer)
    encoded = [_encoded(tokenizer, text, special=False) for text in texts]
    return Behind((opening,), tuple(each[each[:1] == (opening,) :] for each in encoded))


def _encoded(tokenizer: Any, text: str, *, special: bool) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=special)["input_ids"])


def _checked(found: Behind, texts: Sequence[str]) -> Behind:
    for text, tokens in zip(texts, found.continuations, strict=True):
        if not tokens:
            raise TaskError(f"no token is left of {text[:40]!r} behind its prompt")
    return found
