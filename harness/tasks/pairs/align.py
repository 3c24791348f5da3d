"""Lays the assisted text of a pair onto the token positions of the agentic one.

The assisted text is cut into segments. Each is looked up in the agentic text, and its own tokens
are written at the agentic positions of what was found, so that the same text has the same
position in both:

    user_prompt         before the marker
    function_docstring  from the marker to the end of the turn; searched in the tool's response only
    turn_end            what closes that turn, directly before the assistant's last one
    canonical_solution  from the assistant's tag to the end; the last occurrence counts

All positions are token indices into `agentic_ids`, ends exclusive, -1 for what was not found. A
token belongs to a span of characters when it holds at least one of them.

`turn_end` is not in the study, whose assisted sequences therefore run from the docstring straight
into the answer. With it, the tokens under the mask are the assisted text itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import ModelError
from harness.tasks.conversations import CODE_MARKER
from harness.tasks.pairs.aligned import AlignedPair, CanonicalPositions, SegmentPosition
from harness.tasks.pairs.landmarks import message_positions, tool_positions
from harness.tasks.pairs.pair import TextPair
from harness.tasks.pairs.spans import NOT_FOUND, TokenisedText, tokenise

_PLAIN_MARKER = CODE_MARKER.removeprefix("#")
_TURN_END = "<|im_end|>"
_USER = "<|im_start|>user"
_ASSISTANT = "<|im_start|>assistant"
_RESPONSE = ("<tool_response>", "</tool_response>")
_FENCE = "```"


class Aligner:
    """Aligns pairs with one tokenizer, which must be fast: only these say where tokens lie.

    Args:
        tokenizer: The model's own tokenizer.
        context: The longest sequence the model takes, in tokens; a longer pair is not aligned.
    """

    def __init__(self, tokenizer: Any, context: int | None = None) -> None:
        name = tokenizer.name_or_path or "this model"
        if not tokenizer.is_fast:
            raise ModelError(
                f"the tokenizer of {name} is a slow one, which does not say where its tokens lie "
                "in a text; use a checkpoint with a tokenizer.json"
            )
        pad = tokenizer.pad_token_id
        pad = tokenizer.eos_token_id if pad is None else pad
        if pad is None:
            raise ModelError(f"the tokenizer of {name} has neither a pad nor an end token")
        self._tokenizer = tokenizer
        self._context = context
        self._pad = int(pad)

    def align(self, pair: TextPair) -> AlignedPair:
        """Align a pair; what is wrong with it is in its `aligned_errors`, nothing is raised."""
        agentic = tokenise(self._tokenizer, _encodable(pair.agentic))
        assisted = _encodable(pair.assisted)
        assisted_ids = self._ids(assisted)
        layout = _Layout([self._pad] * len(agentic.ids), [0] * len(agentic.ids))
        if (agentic.text, assisted) != (pair.agentic, pair.assisted):
            layout.errors.append("the texts hold half a surrogate pair, which no tokenizer takes")
        for side, length in (("agentic", len(agentic.ids)), ("assisted", len(assisted_ids))):
            if self._context is not None and length > self._context:
                layout.errors.append(
                    f"{side}: {length} tokens, but the model takes {self._context}"
                )
        segments = _split(assisted)
        if isinstance(segments, str):
            layout.errors.append(segments)
            segments = {}
        places = _places(pair, agentic.text, segments)
        positions = {}
        for name, text in segments.items():
            ids = self._ids(text)
            start, end = agentic.tokens_of(*places[name])
            if start >= 0 and name == "user_prompt" and not pair.shared_request:
                end = min(start + len(ids), len(agentic.ids))  # its own words need its own length
            positions[name] = SegmentPosition(
                start=start, end=end, length=end - start, found=start >= 0
            )
            layout.write(name, ids, start, end)
        canonical, non_blank = self._canonical(agentic, places.get("canonical_solution", NOT_FOUND))
        if segments and canonical.fence_start < 0:
            layout.errors.append("canonical_solution: no fenced answer")
        elif not layout.errors and layout.compacted() != assisted_ids:
            layout.warnings.append("the aligned tokens are not those of the assisted text")
        return AlignedPair(
            agentic_ids=agentic.ids,
            assisted_ids=assisted_ids,
            assisted_aligned_ids=tuple(layout.ids),
            assisted_aligned_attention_mask=tuple(layout.mask),
            pad_token_id=self._pad,
            agentic_length=len(agentic.ids),
            assisted_length=len(assisted_ids),
            segment_positions=positions,
            tool_positions=tool_positions(agentic),
            message_positions=message_positions(agentic),
            canonical_positions=canonical,
            canonical_non_ws_positions=non_blank,
            canonical_non_ws_tokens=tuple(
                self._tokenizer.decode([agentic.ids[at]]) for at in non_blank
            ),
            aligned_ok=not layout.errors,
            aligned_errors=tuple(layout.errors),
            aligned_warnings=tuple(layout.warnings),
        )

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _canonical(
        self, agentic: TokenisedText, place: tuple[int, int]
    ) -> tuple[CanonicalPositions, tuple[int, ...]]:
        """Where the answer's parts are, and the positions of its tokens that are not blank."""
        first, _ = agentic.tokens_of(*place)
        fence = agentic.text.find(_FENCE, place[0]) if first >= 0 else -1
        code = agentic.text.find("\n", fence) + 1 if fence >= 0 else 0
        if code == 0:
            return CanonicalPositions(assistant_start=first), ()
        closing = agentic.text.find(_FENCE, code)
        code_end = len(agentic.text) if closing < 0 else closing
        fence_start, fence_end = agentic.tokens_of(fence, code)
        code_start, code_stop = agentic.tokens_of(code, code_end)
        non_blank = tuple(
            at
            for at in range(max(code_start, 0), max(code_stop, 0))
            if self._tokenizer.decode([agentic.ids[at]]).strip()
        )
        return (
            CanonicalPositions(
                assistant_start=first,
                fence_start=fence_start,
                fence_end=fence_end,
                code_start=code_start,
                first_non_ws=non_blank[0] if non_blank else -1,
            ),
            non_blank,
        )


@dataclass
class _Layout:
    """The aligned sequence while segments are written onto it."""

    ids: list[int]
    mask: list[int]
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def write(self, name: str, tokens: Sequence[int], start: int, end: int) -> None:
        """Write a segment from `start` on; what does not fit before `end` is cut off."""
        if start < 0 or end <= start or not tokens:
            self.errors.append(f"{name}: not in the agentic text")
            return
        kept = tokens[: end - start]
        stop = start + len(kept)
        if any(self.mask[start:stop]):
            self.errors.append(f"{name}: overlaps another segment")
            return
        self.ids[start:stop] = kept
        self.mask[start:stop] = [1] * len(kept)
        if len(kept) < len(tokens):
            self.warnings.append(f"{name}: cut from {len(tokens)} to {len(kept)} tokens")

    def compacted(self) -> tuple[int, ...]:
        """The tokens under the mask."""
        return tuple(id_ for id_, set_ in zip(self.ids, self.mask, strict=True) if set_)


def _encodable(text: str) -> str:
    """The text, with what UTF-8 cannot hold replaced."""
    return text.encode("utf-8", "replace").decode()


def _split(assisted: str) -> dict[str, str] | str:
    """The segments of an assisted text, or what it lacks."""
    start = assisted.find(CODE_MARKER)
    if start < 0:
        start = assisted.find(_PLAIN_MARKER)
    if start < 0:
        return f"assisted: the marker {_PLAIN_MARKER.strip()!r} is missing"
    end = assisted.find(_TURN_END, start)
    if end < 0:
        return f"assisted: the turn with the marker has no {_TURN_END}"
    answer = assisted.find(_ASSISTANT, end)
    if answer < 0:
        return f"assisted: no {_ASSISTANT} after the marker's turn"
    return {
        "user_prompt": assisted[:start],
        "function_docstring": assisted[start:end],
        "turn_end": assisted[end:answer],
        "canonical_solution": assisted[answer:],
    }


def _places(pair: TextPair, agentic: str, segments: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Characters of the agentic text that each segment lies on."""
    if not segments:
        return {}
    opening, closing = _RESPONSE
    opened = agentic.find(opening)
    closed = agentic.find(closing, opened) if opened >= 0 else -1
    inside = (opened + len(opening), closed if closed >= 0 else len(agentic))
    answer = agentic.rfind(segments["canonical_solution"])
    turn_end = segments["turn_end"]
    closes = answer >= 0 and agentic.endswith(turn_end, 0, answer)
    request = agentic.find(segments["user_prompt"] if pair.shared_request else _USER)
    docstring = agentic.find(segments["function_docstring"], *inside) if opened >= 0 else -1
    starts = {
        "user_prompt": request,
        "function_docstring": docstring,
        "turn_end": answer - len(turn_end) if closes else -1,
        "canonical_solution": answer,
    }
    return {
        name: (start, start + len(segments[name])) if start >= 0 else NOT_FOUND
        for name, start in starts.items()
    }
