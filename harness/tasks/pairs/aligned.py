"""An aligned pair: one entry of `pair_tokens.json`, field for field, and what it is used for."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from harness.tasks.pairs.pair import Variant

Ids = tuple[int, ...]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Span(_Record):
    """Tokens `[start, end)`; -1 when not found."""

    start: int = -1
    end: int = -1


class SegmentPosition(Span):
    """Where a segment of the assisted text lies in the agentic one."""

    length: int
    found: bool


class CanonicalPositions(_Record):
    """Parts of the answer: assistant's tag, fence line, code, first token that is not blank."""

    assistant_start: int = -1
    fence_start: int = -1
    fence_end: int = -1
    code_start: int = -1
    first_non_ws: int = -1


class AlignedPair(_Record):
    """A pair in tokens; positions are indices into `agentic_ids`.

    `assisted_aligned_ids` is as long as `agentic_ids`, holds the assisted tokens where the mask
    is 1 and padding elsewhere.
    """

    agentic_ids: Ids
    assisted_ids: Ids
    assisted_aligned_ids: Ids
    assisted_aligned_attention_mask: Ids
    pad_token_id: int
    agentic_length: int
    assisted_length: int
    segment_positions: dict[str, SegmentPosition]
    tool_positions: dict[str, Span | int]
    message_positions: dict[str, int]
    canonical_positions: CanonicalPositions
    canonical_non_ws_positions: Ids
    canonical_non_ws_tokens: tuple[str, ...]
    aligned_ok: bool
    aligned_errors: tuple[str, ...]
    aligned_warnings: tuple[str, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        """The identities that every entry obeys, so that a file of something else is noticed."""
        length = len(self.agentic_ids)
        for name in ("assisted_aligned_ids", "assisted_aligned_attention_mask"):
            if len(getattr(self, name)) != length:
                raise ValueError(f"{name} has not the {length} entries of agentic_ids")
        aligned = zip(self.assisted_aligned_ids, self.assisted_aligned_attention_mask, strict=True)
        for at, (token, mask) in enumerate(aligned):
            if mask not in (0, 1) or (mask == 0 and token != self.pad_token_id):
                raise ValueError(f"position {at} has mask {mask} and token {token}")
        positions = self.canonical_non_ws_positions
        if any(a >= b for a, b in pairwise((-1, *positions, length))):
            raise ValueError("canonical_non_ws_positions do not rise inside the sequence")
        if not -1 <= self.canonical_positions.fence_start < length:
            raise ValueError("fence_start is outside the sequence")
        return self

    def sequence(self, variant: Variant) -> Ids:
        """The whole text of a variant in tokens, without padding: what the model reads."""
        return self.agentic_ids if variant == "agentic" else self._under_mask(self.agentic_length)

    def prompt(self, variant: Variant) -> Ids:
        """What is decoded from: everything before the answer's fence, without padding.

        `generate` on aligned ids with their mask squeezes the padding out, so this is the same
        prompt. Without a fence the whole sequence, as the study does; such a pair is not ok.
        """
        fence = self.canonical_positions.fence_start
        cut = self.agentic_length if fence < 0 else fence
        return self.agentic_ids[:cut] if variant == "agentic" else self._under_mask(cut)

    def shared_positions(self) -> tuple[Ids, Ids]:
        """The answer's non-blank tokens that both variants have, as positions in each `sequence`.

        A token counts when the assisted variant holds the same one at the same aligned position.
        """
        agentic, assisted = [], []
        before = [0]
        for mask in self.assisted_aligned_attention_mask:
            before.append(before[-1] + mask)
        for at in self.canonical_non_ws_positions:
            same = self.assisted_aligned_ids[at] == self.agentic_ids[at]
            if self.assisted_aligned_attention_mask[at] and same:
                agentic.append(at)
                assisted.append(before[at])
        return tuple(agentic), tuple(assisted)

    def _under_mask(self, cut: int) -> Ids:
        aligned = zip(
            self.assisted_aligned_ids[:cut], self.assisted_aligned_attention_mask, strict=False
        )
        return tuple(token for token, mask in aligned if mask)
