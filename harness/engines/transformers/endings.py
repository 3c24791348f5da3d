"""When a sequence ends, and the text that it leaves: stop tokens, stop strings, length, context."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf

from harness.engines.base import FinishReason
from harness.engines.transformers.residents import Sequence
from harness.models.loading import LoadedModel


class Endings:
    """The rules of one model: its end tokens, its context and its tokenizer."""

    def __init__(self, loaded: LoadedModel) -> None:
        # Read once: transformers' configurations take microseconds for every attribute.
        self._end_tokens = loaded.end_tokens
        self._context = loaded.context
        self._tokenizer = loaded.tokenizer

    def room(self, sequence: Sequence) -> int:
        """Tokens that a sequence may still generate."""
        request = sequence.request
        context = self._context - len(request.prompt)
        return min(request.max_new_tokens, context) - len(sequence.tokens)

    def reason(self, sequence: Sequence) -> FinishReason | None:
        """Why a sequence is over after its last token, or None."""
        stop = sequence.request.stop
        if sequence.tokens[-1] in self._end_tokens or sequence.tokens[-1] in stop.tokens:
            return "stop"
        if stop.strings and _first_stop(self._tail(sequence), stop.strings) is not None:
            return "stop"
        return "length" if self.room(sequence) < 1 else None

    def text(self, sequence: Sequence) -> str:
        """The text of all generated tokens, cut in front of its stop token or stop string."""
        stop = sequence.request.stop
        tokens = sequence.generated
        if tokens and (tokens[-1] in self._end_tokens or tokens[-1] in stop.tokens):
            tokens = tokens[:-1]
        text = str(self._tokenizer.decode(tokens))
        cut = _first_stop(text, stop.strings)
        return text if cut is None else text[:cut]

    def _tail(self, sequence: Sequence) -> str:
        """The end of the text, long enough for a stop string that the last token completes."""
        # A token is at least one byte and a character at most four, hence the factor.
        needed = 4 * max(len(string) for string in sequence.request.stop.strings)
        return str(self._tokenizer.decode(sequence.generated[-needed:]))


def _first_stop(text: str, strings: SequenceOf[str]) -> int | None:
    """Where the first stop string starts, or None."""
    found = [index for index in (text.find(string) for string in strings) if index >= 0]
    return min(found, default=None)
