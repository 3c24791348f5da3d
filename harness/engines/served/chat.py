"""The road of messages: the server's chat template and tokenizer are its own, and unknown here.

So that a request is made of ids all the same, a token is a byte of UTF-8: the prompt is the JSON of
the messages, by a tokenizer whose chat template writes just that, and the completion is the bytes
of its text. Lengths are the server's: `max_new_tokens` counts its tokens, and reports count bytes.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from harness.engines.contract import Completion, Request
from harness.engines.served.answers import ServerAnswer, Unusable, answer_of, ended
from harness.engines.served.bodies import drawing
from harness.engines.served.client import Call
from harness.errors import RequestError

_TEMPLATE = "{{ {'messages': messages, 'tools': tools} | tojson }}"


@cache
def byte_tokenizer() -> Any:
    """A tokenizer of 256 tokens, a byte each, whose chat template writes the messages as JSON."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({each: index for index, each in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        chat_template=_TEMPLATE,
        clean_up_tokenization_spaces=False,
        name_or_path="the server's chat",
    )


class ChatRoad:
    """As every road. `name` is what the server calls the model."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def tokenizer(self) -> Any:
        """Bytes."""
        return byte_tokenizer()

    def call(self, request: Request) -> Call:
        """As every road."""
        if request.continued or request.stop.tokens:
            raise RequestError("road chat neither continues an answer nor ends it at a token")
        try:
            said = json.loads(self.tokenizer.decode(list(request.prompt)))
            messages, tools = [_sent(each) for each in said["messages"]], said["tools"]
        except (ValueError, KeyError, TypeError):
            raise RequestError("road chat exchanges messages, and the prompt is none") from None
        body = {
            "model": self._name,
            "messages": messages,
            "max_completion_tokens": request.max_new_tokens,
            **drawing(request, "chat"),
        }
        if tools:
            body["tools"] = tools
        if request.stop.strings:
            body["stop"] = list(request.stop.strings)
        return Call("/chat/completions", body, len(request.prompt) + request.max_new_tokens)

    def completion(self, request: Request, document: Any) -> Completion:
        """As every road; a message without content, as a model's that only thought, is empty."""
        answer = answer_of(document, self._name)
        choice, usage = answer["choices"][0], answer.get("usage")
        made = usage.get("completion_tokens") if usage else None
        if made is not None and made > request.max_new_tokens:
            raise Unusable(
                f"the server generated {made} tokens, though max_completion_tokens was "
                f"{request.max_new_tokens}"
            )
        message = choice.get("message")
        if message is None:
            raise Unusable("the server's answer has no message")
        text = message.get("content") or ""
        tokens = self.tokenizer(text)["input_ids"]
        return Completion(tuple(tokens), text, ended(choice), answer=document)

    def probe(self) -> None:
        """None: models that think refuse to answer in a token, and the list names the model."""

    def check(self, document: Any) -> ServerAnswer:
        """As every road."""
        return answer_of(document, self._name)


def _sent(message: dict[str, Any]) -> dict[str, Any]:
    """A message as servers take it: the arguments of a call as the text of JSON."""
    calls = message.get("tool_calls")
    if not calls:
        return message
    return message | {
        "tool_calls": [call | {"function": _call(call["function"])} for call in calls]
    }


def _call(function: dict[str, Any]) -> dict[str, Any]:
    return function | {"arguments": json.dumps(function["arguments"])}
