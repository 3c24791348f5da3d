"""Rotary embeddings whose frequencies depend on a sequence's length, each row by its own.

LongRoPE (Phi-3.5, Phi-4-mini) and dynamic NTK choose their frequencies by the longest position of
a pass, so that in transformers a short row turns with those of the longest one beside it. Here
every token is turned as its row alone would turn it, by the model's own code:

- a prompt is turned by its own length, whatever pieces it is read in;
- a generated token by the length that the sequence has with it, as a cache keeps what it holds;
- where a model's own `generate` reads everything anew once a sequence outgrows its original
  length (Phi-3, Phi-MoE), by the length that the sequence has now.

A token's *regime* is 0 up to the original length. Beyond, it is 1 for LongRoPE, which has one more
set of frequencies, and the length itself for dynamic NTK. Columns may be shared within a regime.

Sources: Ding et al. 2024, "LongRoPE"; transformers' `modeling_rope_utils.dynamic_rope_update`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any, Protocol

import torch

from harness.errors import ModelError

_ENDLESS = 2**31
_READS_ANEW = {"phi3", "phimoe", "phi4_multimodal"}


class FedSequence(Protocol):
    """A sequence whose tokens are fed to a model."""

    @property
    def prompt_length(self) -> int:
        """Tokens of the prompt proper."""

    @property
    def length(self) -> int:
        """Columns that it has in the cache."""

    @property
    def regime(self) -> int:
        """The regime of its first columns."""

    @property
    def total(self) -> int:
        """Prompt and generated tokens."""


class RowRotary:
    """What a model's rotary embeddings do for rows of unequal lengths; nothing for most models.

    Raises:
        ModelError: a model's embeddings depend on the longest position in a way unknown here.
    """

    def __init__(self, model: Any) -> None:
        scales = {module: scale for module in model.modules() if (scale := _scales(module))}
        if len(set().union(*scales.values())) > 1:
            raise ModelError(
                f"{type(model).__name__} changes its rotary frequencies at several lengths, layer "
                "by layer; rows of unequal lengths cannot be told apart: use another model"
            )
        self._modules = list(scales)
        #: Up to this length all sequences have the same frequencies.
        self.limit, self._by_length = min(set().union(*scales.values()), default=(0, False))
        #: Whether a sequence that outgrows the limit is read anew.
        self.reads_anew = bool(scales) and model.config.model_type in _READS_ANEW
        self._regimes, self._longest = torch.zeros(0), 0
        for module in model.modules():
            if module not in scales and _feels_the_longest(module):
                raise ModelError(
                    f"{type(model).__name__}: {type(module).__name__} turns every row by the "
                    "longest position beside it, in a way unknown here; use another model"
                )

    def regime(self, length: int) -> int:
        """Which frequencies a sequence of so many tokens has."""
        if not self._modules or length <= self.limit:
            return 0
        return length if self._by_length else 1

    def regime_of(self, sequence: FedSequence) -> int:
        """The regime of a sequence's first columns, when it is read now."""
        return self.regime(self.read_at(sequence))

    def read_at(self, sequence: FedSequence) -> int:
        """The length by which a sequence's first columns are turned, when it is read now."""
        return sequence.total if self.reads_anew else sequence.prompt_length

    def room(self, sequence: FedSequence) -> int:
        """Tokens that may be fed to a sequence before its columns have to be read anew."""
        short = self.reads_anew and not sequence.regime
        return self.limit - sequence.length if short else _ENDLESS

    def regimes(self, lengths: Sequence[int], positions: torch.Tensor) -> torch.Tensor | None:
        """The regimes of tokens at positions [R, T] (-1: padding) of rows read at `lengths` [R].

        On the CPU. None for a model that needs nothing.
        """
        if not self._modules:
            return None
        self._longest = int(positions.max())
        grown = torch.maximum(torch.tensor(lengths)[:, None], positions.cpu() + 1)
        beyond = grown > self.limit
        return torch.where(beyond, grown if self._by_length else 1, 0)

    @contextmanager
    def turning(self, regimes: torch.Tensor | None) -> Iterator[None]:
        """Inside, tokens [R, T] are turned by their regimes."""
        if regimes is None:
            yield
            return
        self._regimes = regimes
        hooks = [
            module.register_forward_hook(self._turn, with_kwargs=True) for module in self._modules
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _longest_of(self, regime: int) -> int:
        """The longest position by which a module turns tokens of a regime."""
        if not regime:
            return self.limit - 1
        return regime - 1 if self._by_length else max(self.limit, self._longest)

    def _turn(self, module: Any, args: Any, kwargs: Any, output: Any) -> Any:
        """A forward hook: each token's cosine and sine from a call for its own regime."""
        positions = kwargs.get("position_ids", args[1] if len(args) > 1 else None)

        def own(asked: torch.Tensor) -> Any:
            if "position_ids" in kwargs:
                return module.forward(*args, **{**kwargs, "position_ids": asked})
            return module.forward(args[0], asked, *args[2:], **kwargs)

        start = torch.zeros_like(positions[..., :1])
        for regime in sorted(set(self._regimes.flatten().tolist())):
            # From position 0 on, a module forgets the longest sequence that it has seen.
            own(start)
            longest = self._longest_of(regime)
            last = torch.full_like(positions[..., :1], longest)
            turned = own(torch.cat([positions.clamp(max=longest), last], dim=-1))
            here = (self._regimes == regime).to(positions.device)[..., None]
            output = _chosen(here, turned, output)
        own(start)
        return output


def _chosen(here: torch.Tensor, turned: Any, otherwise: Any) -> Any:
    """Tensors of `turned` [..., T + 1, D] where `here` [..., T, 1], the others elsewhere."""
    if isinstance(turned, torch.Tensor):
        return torch.where(here, turned[..., :-1, :], otherwise)
    return tuple(_chosen(here, *pair) for pair in zip(turned, otherwise, strict=True))


def _scales(module: Any) -> set[tuple[int, bool]]:
    """Of rotary embeddings: up to which length they are what they are, and whether by length."""
    kinds = getattr(module, "rope_type", None)
    if kinds is None:
        return set()
    parameters = module.config.rope_parameters
    if not isinstance(kinds, dict):
        kinds, parameters = {None: kinds}, {None: parameters}
    found = set()
    for layer, kind in kinds.items():
        if "dynamic" in kind:
            found.add((int(module.original_max_seq_len), True))
        elif kind == "longrope":
            found.add((int(parameters[layer]["original_max_position_embeddings"]), False))
    return found


def _feels_the_longest(module: Any) -> bool:
    """Whether a rotary embedding turns position 1 otherwise beside the context's last one."""
    named = "Rotary" in type(module).__name__
    if not named or list(signature(module.forward).parameters)[1:2] != ["position_ids"]:
        return False
    buffer = next(module.buffers(), None)
    hidden = torch.zeros(1, 2, 1, device=None if buffer is None else buffer.device)
    last = int(getattr(module.config, "max_position_embeddings", 2)) - 1
    layers = getattr(module, "layer_types", None) or [None]

    def turned(other: int, layer: Any) -> torch.Tensor:
        positions = torch.tensor([[1, other]], device=hidden.device)
        given = module.forward(hidden, positions, **({"layer_type": layer} if layer else {}))
        first = given[0] if isinstance(given, tuple) else given
        return torch.as_tensor(first)[..., 0, :]

    return any(not torch.equal(turned(1, layer), turned(last, layer)) for layer in set(layers))
