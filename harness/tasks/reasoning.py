"""What a model thinks aloud before it answers, told from the answer by the markers of its template.

Drafts and numbers inside reasoning do not count as answers. Reasoning ends at its closing marker;
one that never ends reaches to the end of the text, and a closing marker whose opening stands in the
prompt ends what was there from the start. A marker inside a fence of code, in quotes or in
backticks is text about a marker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: Opening and closing marker by family of models; the closing one is never part of the answer.
_PAIRS = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen3, GLM, SmolLM3, Granite, Nemotron
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reason>", "</reason>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("[THINK]", "[/THINK]"),  # Magistral
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1, OpenThinker
    ("<|thinking|>", "<|/thinking|>"),
    ("<unused94>", "<unused95>"),  # MedGemma
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    # gpt-oss: every channel but `final`, which may be reached from the prompt's header.
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<|channel|>commentary<|message|>", "<|channel|>final<|message|>"),
)
_CLOSING = dict(_PAIRS)
_CLOSINGS = frozenset(_CLOSING.values())
_MARKER = "|".join(re.escape(marker) for pair in _PAIRS for marker in pair)
_FENCE = rf"(?P<fence>^[ \t]*(?P<rail>`{{3,}}|~{{3,}})(?:(?!{_MARKER})[^\n])*)"
_TOKEN = re.compile(rf"{_FENCE}|(?P<marker>{_MARKER})", re.MULTILINE)
_QUOTES = ('"', "'", "`")


def without_reasoning(text: str) -> str:
    """The answer in a text: all of it that does not stand inside reasoning."""
    reader = _Reader(text)
    for token in _TOKEN.finditer(text):
        reader.read(token)
    return reader.answer()


def opened_by(prompt: str) -> str:
    """The opening marker that a prompt ends with, so that its answer begins inside reasoning."""
    end = prompt.rstrip()
    return next((opening for opening, _ in _PAIRS if end.endswith(opening)), "")


@dataclass(slots=True)
class _Reader:
    """A text while it is read from marker to marker."""

    text: str
    _kept: list[str] = field(default_factory=list)
    _start: int = 0  # of what is not kept yet
    _awaited: str | None = None  # the closing marker, inside reasoning
    _rail: str | None = None  # of the fence that is open, outside of it

    def read(self, token: re.Match[str]) -> None:
        """Take the next fence or marker into account."""
        if token["fence"] is not None:
            self._pass_fence(token["fence"].strip(), token["rail"])
        elif self._awaited is not None:
            if token["marker"] == self._awaited:
                self._awaited, self._start = None, token.end()
        elif not self._is_mention(token):
            if token["marker"] in _CLOSINGS:  # opened by the prompt
                self._kept, self._start, self._rail = [], token.end(), None
            elif self._opens(token):
                self._kept.append(self.text[self._start : token.start()])
                self._awaited, self._rail = _CLOSING[token["marker"]], None

    def answer(self) -> str:
        """What is left of the text once it was read to its end."""
        rest = "" if self._awaited is not None else self.text[self._start :]
        return "".join([*self._kept, rest])

    def _pass_fence(self, line: str, rail: str) -> None:
        if self._awaited is not None:
            return
        if self._rail is None:
            self._rail = rail
        elif line.startswith(self._rail) and not line.strip(self._rail[0]):
            self._rail = None

    def _is_mention(self, token: re.Match[str]) -> bool:
        """Whether a marker is spoken of: alone on its line it is one even in an open fence."""
        if self._rail is None:
            before, after = self.text[: token.start()][-1:], self.text[token.end() :][:1]
            return before == after and before in _QUOTES
        end = self.text.find("\n", token.end())
        after = self.text[token.end() : len(self.text) if end < 0 else end]
        closes = token["marker"] in _CLOSINGS and self._begins_line(token) and not after.strip()
        return not closes

    def _opens(self, token: re.Match[str]) -> bool:
        return self._begins_line(token) or _CLOSING[token["marker"]] in self.text[token.end() :]

    def _begins_line(self, token: re.Match[str]) -> bool:
        line = self.text.rfind("\n", 0, token.start()) + 1
        return not self.text[line : token.start()].strip()
