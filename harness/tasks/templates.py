"""What a chat template does to a conversation: its text, what it leaves out, what it makes up.

A template is a program that came with the model. Some know no tools and pass by what a tool
returned; some print the date, so that every prompt is another one tomorrow. Neither is seen in the
answers, which only get worse, so that both are looked for here.

- The date is that of the conversation; without one it is today's, as this process found it first,
  so that a run has one date even if it goes on past midnight.
- Nothing is left out when unlikely words in the place of every content, tool name and argument are
  all found in the text, and the words of the real contents too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from functools import cache
from typing import Any, Literal, TypeAlias

from harness.tasks.base import Conversation

Clock = Literal["the date", "the time of day"]

#: Moments that differ in all that a date is written with, and two that do not differ in their date.
_DAYS = tuple(map(datetime.fromisoformat, ("2026-01-31", "2011-11-20", "1998-07-07")))
_HOURS = tuple(map(datetime.fromisoformat, ("2026-01-31T03:04:05", "2026-01-31T16:27:38")))
_WORD = re.compile(r"\w{2,}")
#: Reasoning that a model wrote in an earlier turn; its own template takes it out again.
_REASONING = re.compile(r"^.*</think>", re.DOTALL)
_CONTENT = "the content of message"
_RANDOM = re.compile(r"\|\s*random\b|\blipsum\b")


@cache
def started() -> datetime:
    """Now, for as long as this process lives."""
    return datetime.now()  # noqa: DTZ005 - the user's own date, as transformers takes it


def applied(tokenizer: Any, conversation: Conversation, now: datetime | None = None) -> str:
    """The text of a conversation, up to where the answer begins; raises what the template raises.

    `now` is the moment that a template sees, whatever the conversation's date.
    """
    options: dict[str, Any] = {}
    source = source_of(tokenizer)
    pinned = conversation.date
    moment = now or (started() if pinned is None else datetime.combine(pinned, time()))
    if "strftime_now" in source:
        options["strftime_now"] = moment.strftime
    if "date_string" in source and pinned is not None and now is None:
        options["date_string"] = moment.strftime("%d %b %Y")  # as Llama's templates write it
    return str(
        tokenizer.apply_chat_template(
            list(conversation.messages),
            tools=list(conversation.tools) or None,
            add_generation_prompt=True,
            tokenize=False,
            **options,
        )
    )


def source_of(tokenizer: Any) -> str:
    """The template's program; of several that a tokenizer has, all of them."""
    template = tokenizer.chat_template or ""
    return template if isinstance(template, str) else "\n".join(map(str, template.values()))


def draws_at_random(tokenizer: Any) -> bool:
    """Whether the template would make another prompt each time that it is asked."""
    return _RANDOM.search(source_of(tokenizer)) is not None


def clock(tokenizer: Any, conversation: Conversation) -> Clock | None:
    """What the text says of the moment it is made at, found by making it at several."""
    if conversation.date is not None or "strftime_now" not in source_of(tokenizer):
        return None
    key = _form(tokenizer, _Marked().twin(conversation))
    if key not in _clocks:
        with suppress(Exception):  # one that cannot be rendered says nothing of any moment
            hours = {applied(tokenizer, conversation, moment) for moment in _HOURS}
            days = {applied(tokenizer, conversation, moment) for moment in _DAYS}
            said: Clock | None = "the date" if len(days) > 1 else None
            _clocks[key] = "the time of day" if len(hours) > 1 else said
    return _clocks.get(key)


def left_out(tokenizer: Any, conversation: Conversation, text: str) -> tuple[str, ...]:
    """What is in a conversation and not in the text made of it, in words, contents first."""
    return _unmarked(tokenizer, conversation) or tuple(_unsaid(conversation, text))


def _unmarked(tokenizer: Any, conversation: Conversation) -> tuple[str, ...]:
    """The parts whose places in the text are nowhere; none where that cannot be told."""
    marked = _Marked()
    twin = marked.twin(conversation)
    key = _form(tokenizer, twin)
    if key not in _found:
        try:
            text = applied(tokenizer, twin)
        except Exception:  # a template may insist on what the real conversation has
            _found[key] = ()
        else:
            lost = [what for what, mark in marked.parts if mark not in text]
            _found[key] = tuple(sorted(lost, key=lambda what: not what.startswith(_CONTENT)))
    return _found[key]


_Form: TypeAlias = tuple[str, str]
#: What a template leaves out of conversations of a form, whatever they say, and what it prints.
_found: dict[_Form, tuple[str, ...]] = {}
_clocks: dict[_Form, Clock | None] = {}


def _form(tokenizer: Any, twin: Conversation) -> _Form:
    return source_of(tokenizer), json.dumps([twin.messages, twin.tools], default=str)


@dataclass
class _Marked:
    """Puts a word of its own in the place of everything that has to be in the text."""

    parts: list[tuple[str, str]] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)

    def twin(self, conversation: Conversation) -> Conversation:
        """The same conversation, saying nothing but marks."""
        tools = tuple(self._tool(tool) for tool in conversation.tools)
        messages = tuple(
            self._message(number, message)
            for number, message in enumerate(conversation.messages, start=1)
        )
        return replace(conversation, messages=messages, tools=tools)

    def _mark(self, what: str) -> str:
        mark = f"zq{len(self.parts)}titrate{len(self.parts)}qz"
        self.parts.append((what, mark))
        return mark

    def _name(self, name: str) -> str:
        """A tool's mark is the same in its description, in calls of it and in what it returned."""
        if name not in self._names:
            self._names[name] = self._mark(f"the tool's name {name}")
        return self._names[name]

    def _tool(self, tool: Mapping[str, Any]) -> Mapping[str, Any]:
        return _with(tool, "function", lambda function: _with(function, "name", self._name))

    def _message(self, number: int, message: Mapping[str, Any]) -> Mapping[str, Any]:
        content = message.get("content")
        if isinstance(content, str) and content.strip():
            what = f"{_CONTENT} {number} ({message['role']})"
            message = {**message, "content": self._mark(what)}
        if message["role"] == "tool":
            message = _with(message, "name", self._name)
        return _with(message, "tool_calls", lambda calls: [self._call(call) for call in calls])

    def _call(self, call: Mapping[str, Any]) -> Mapping[str, Any]:
        name = call["function"]["name"]
        function = {
            **call["function"],
            "name": self._name(name),
            "arguments": {
                key: self._argument(f"the argument {key} of the call of {name}", value)
                for key, value in call["function"]["arguments"].items()
            },
        }
        return {**call, "function": function}

    def _argument(self, what: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._argument(what, each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._argument(what, each) for each in value]
        return self._mark(what) if isinstance(value, str) and value else value


def _with(values: Mapping[str, Any], key: str, change: Callable[[Any], Any]) -> Mapping[str, Any]:
    return {**values, key: change(values[key])} if key in values else values


def _unsaid(conversation: Conversation, text: str) -> Iterator[str]:
    """The contents of which a word is not in the text, however it is quoted there."""
    for number, message in enumerate(conversation.messages, start=1):
        content = message.get("content")
        if not isinstance(content, str):
            continue
        if message["role"] == "assistant":
            content = _REASONING.sub("", content)
        lost = next((word for word in _words(content) if not _is_in(word, text)), None)
        if lost is not None:
            yield f"{lost[:40]!r} in {_CONTENT} {number} ({message['role']})"


def _words(content: str) -> Iterator[str]:
    return (found.group() for found in _WORD.finditer(content))


def _is_in(word: str, text: str) -> bool:
    return word in text or (not word.isascii() and json.dumps(word)[1:-1] in text)
