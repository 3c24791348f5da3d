"""Finds the longest resident prefix of a request: equal tokens under an equal intervention.

Two sequences may share the model's state for their first n tokens when these tokens are equal and
so are `Intervention.prefix_key(n, prompt)` and the regime of their rotary embeddings. Whole blocks
of tokens are looked up by hash, each key covering everything before it (the scheme of vLLM's prefix
caching); the tokens of the block in which two sequences part are compared one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from harness.interventions.base import Intervention

# Prefixes shorter than a block are not worth a lookup: their passes are as cheap as a copy.
BLOCK = 16
_Key = tuple[str, int]


class CachedSequence(Protocol):
    """A sequence whose columns are in the cache."""

    @property
    def cached(self) -> Sequence[int]:
        """The tokens of its columns."""

    @property
    def intervention(self) -> Intervention | None:
        """What was done to the model while they were computed."""

    @property
    def prompt_length(self) -> int:
        """How many of the tokens are its prompt, which interventions may treat differently."""

    @property
    def regime(self) -> int:
        """Which rotary embeddings turned its columns, see `rotary.py`."""


class PrefixIndex:
    """Which residents hold which prefixes. A resident's tokens must not change while it is in."""

    def __init__(self) -> None:
        self._holders: dict[_Key, dict[int, CachedSequence]] = {}
        self._keys: dict[int, list[_Key]] = {}
        # By all of their tokens: a sequence that goes on where another one ended finds that one.
        self._whole: dict[_Key, CachedSequence] = {}
        self._whole_keys: dict[int, _Key] = {}

    def add(self, resident: CachedSequence) -> None:
        """Make a sequence's prefixes known; adding it again renews them."""
        self.remove(resident)
        what = (resident.intervention, resident.prompt_length, resident.regime)
        keys = list(_keys(resident.cached, *what))
        self._keys[id(resident)] = keys
        for key in keys:
            self._holders.setdefault(key, {})[id(resident)] = resident
        whole = _whole(resident.cached, *what)
        self._whole[whole] = resident
        self._whole_keys[id(resident)] = whole

    def remove(self, resident: CachedSequence) -> None:
        """Forget a sequence; one that is not known is ignored."""
        for key in self._keys.pop(id(resident), ()):
            holders = self._holders[key]
            del holders[id(resident)]
            if not holders:
                del self._holders[key]
        whole = self._whole_keys.pop(id(resident), None)
        if whole is not None and self._whole.get(whole) is resident:
            del self._whole[whole]

    def longest(
        self, tokens: Sequence[int], intervention: Intervention | None, prompt: int, regime: int = 0
    ) -> tuple[CachedSequence | None, int]:
        """A resident that shares the most leading blocks, and how many tokens; or (None, 0).

        Of several such residents the latest is taken: another may share a few tokens more, less
        than a block, which is not worth comparing all of them. But one that has all tokens but the
        last is found at once.
        """
        extended = self._whole.get(_whole(tokens[:-1], intervention, prompt, regime))
        if extended is not None and len(tokens) > BLOCK:
            length = _common(tokens, extended, len(tokens) - 1, intervention, prompt, regime)
            if length:
                return extended, length
        holders: dict[int, CachedSequence] = {}
        shared = 0
        for key in _keys(tokens, intervention, prompt, regime):
            found = self._holders.get(key)
            if found is None:
                break
            holders, shared = found, shared + BLOCK
        if not holders:
            return None, 0
        latest = next(reversed(holders.values()))
        length = _common(tokens, latest, shared, intervention, prompt, regime)
        return (latest, length) if length else (None, 0)


def prefix_key(intervention: Intervention | None, length: int, prompt: int) -> str:
    """What is done to the first `length` tokens; nothing at all has the empty key."""
    if intervention is None or not length:
        return ""
    return intervention.prefix_key(length, prompt)


def _keys(
    tokens: Sequence[int], intervention: Intervention | None, prompt: int, regime: int
) -> Iterator[_Key]:
    """The keys of a sequence's whole blocks, each hash covering all tokens before it."""
    chained = regime
    for end in range(BLOCK, len(tokens) + 1, BLOCK):
        chained = hash((chained, *tokens[end - BLOCK : end]))
        yield prefix_key(intervention, end, prompt), chained


def _whole(
    tokens: Sequence[int], intervention: Intervention | None, prompt: int, regime: int
) -> _Key:
    """The key of all tokens together."""
    return prefix_key(intervention, len(tokens), prompt), hash((regime, *tokens))


def _common(
    tokens: Sequence[int],
    holder: CachedSequence,
    shared: int,
    intervention: Intervention | None,
    prompt: int,
    regime: int,
) -> int:
    """How many leading tokens are shared, `shared` of them by their hashes."""
    held = holder.cached
    if regime != holder.regime or list(tokens[:shared]) != list(held[:shared]):
        return 0
    limit = min(len(tokens), len(held))
    while shared < limit and tokens[shared] == held[shared]:
        shared += 1
    # The keys of whole blocks are equal; inside the last one the interventions may part earlier.
    while shared and prefix_key(intervention, shared, prompt) != prefix_key(
        holder.intervention, shared, holder.prompt_length
    ):
        shared -= 1
    return shared
