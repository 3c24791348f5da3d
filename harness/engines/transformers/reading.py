"""Teacher-forced reading: given tokens through the model, what was asked to be captured comes back.

Readings of similar length share a padded batch, bounded by tokens; nothing is kept of a batch once
its activations were handed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import torch

from harness.engines.contract import Activations, Capture, Reading
from harness.engines.declared import Place
from harness.engines.transformers.attention import (
    AttentionWatch,
    eager_attention,
    grouped_attention,
    watching,
)
from harness.engines.transformers.attention_masks import AttentionMasks
from harness.engines.transformers.predictions import (
    most_probable,
    said_of,
    tokens_with_logits,
)
from harness.engines.transformers.rotary import RowRotary
from harness.engines.transformers.row_interventions import InterventionSet
from harness.errors import ModelError, RequestError
from harness.interventions.steering_terms import Site
from harness.models.loading import LoadedModel
from harness.models.routers import router_sites
from harness.models.sites import decoder_blocks, site_module

# Tokens of one batch, which bound its activations.
_BATCH_TOKENS = 4096

_Batch = list[tuple[int, Reading]]
_K = TypeVar("_K", int, Place)


@torch.no_grad()  # not inference mode: what comes back may be trained on
def read(loaded: LoadedModel, readings: Sequence[Reading]) -> Iterator[tuple[int, Activations]]:
    """Yield `(position in readings, activations)`, batch by batch."""
    for position, reading in enumerate(readings):
        if not 0 < len(reading.tokens) <= loaded.context:
            raise RequestError(
                f"reading {position} has {len(reading.tokens)} tokens; the model takes 1 to "
                f"{loaded.context}"
            )
    tokens = _BATCH_TOKENS
    if any(_needs_logits(reading.capture) for reading in readings):
        tokens = min(tokens, tokens_with_logits(loaded))
    for batch in _batches(readings, tokens):
        yield from _read_batch(loaded, [(position, readings[position]) for position in batch])


def _batches(readings: Sequence[Reading], tokens: int) -> Iterator[list[int]]:
    """Positions of readings, grouped by similar length, in batches of at most so many tokens."""
    batch: list[int] = []
    for position in sorted(range(len(readings)), key=lambda index: len(readings[index].tokens)):
        if batch and len(readings[position].tokens) * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def _read_batch(loaded: LoadedModel, batch: _Batch) -> Iterator[tuple[int, Activations]]:
    width = max(len(reading.tokens) for _, reading in batch)
    tokens = torch.zeros(len(batch), width, dtype=torch.long)
    positions = torch.full((len(batch), width), -1, dtype=torch.long)
    for row, (_, reading) in enumerate(batch):
        tokens[row, : len(reading.tokens)] = torch.tensor(reading.tokens)
        positions[row, : len(reading.tokens)] = torch.arange(len(reading.tokens))
    tokens, positions = tokens.to(loaded.device), positions.to(loaded.device)
    captures = [reading.capture for _, reading in batch]
    # Logits are computed from the first position on whose prediction is asked for.
    predicting = (at for _, reading in batch for at in _predicting(reading))
    first = min(predicting, default=width - 1)
    with ExitStack() as hooks:
        interventions = InterventionSet(loaded.model, len(batch), width)
        hooks.enter_context(interventions.attached())
        # All before the first is assigned: a check may widen tables that are written already.
        for _, reading in batch:
            interventions.check(reading.intervention)
        for row, (_, reading) in enumerate(batch):
            interventions.assign(row, reading.intervention, prompt=reading.prompt)
        captured = _Captured(loaded.model, captures, hooks)
        hooks.enter_context(interventions.applied(slice(0, len(batch)), positions))
        rotary = RowRotary(loaded.model)
        lengths = [len(reading.tokens) for _, reading in batch]
        hooks.enter_context(rotary.turning(rotary.regimes(lengths, positions)))
        output: Any = loaded.model(
            input_ids=tokens,
            attention_mask=AttentionMasks(loaded.model.config).build(
                positions, positions, loaded.model.dtype
            ),
            position_ids=positions.clamp(min=0),
            use_cache=False,
            logits_to_keep=width - first,
        )
    logits = output.logits
    if any(_needs_logits(capture) for capture in captures):
        prompts = torch.tensor([reading.prompt for _, reading in batch])
        logits = interventions.changed_logits(
            logits, range(len(batch)), lambda: torch.arange(first + 1, width + 1) - prompts[:, None]
        )
    for row, (position, reading) in enumerate(batch):
        yield position, captured.activations(row, width, reading, logits, first)


class _Captured:
    """Collects what hooks see during one pass."""

    def __init__(self, model: Any, captures: Sequence[Capture], hooks: ExitStack) -> None:
        self._routers: list[torch.Tensor] = []
        self._hidden: dict[Place, torch.Tensor] = {}
        self._attentions: dict[int, torch.Tensor] = {}

        def hook(module: Any, keep: Callable[[Any], None]) -> None:
            handle = module.register_forward_hook(lambda _module, _inputs, output: keep(output))
            hooks.callback(handle.remove)

        for place in sorted({place for capture in captures for place in _places(capture)}):
            hook(_site(model, *place), self._keeper(self._hidden, place, element=0))
        attention_layers = _layers(capture.attention_layers for capture in captures)
        if attention_layers:
            # Only this kernel computes the weights; the others return None in their place.
            hooks.enter_context(eager_attention(model))
        self._watch: AttentionWatch | None = None
        if any(capture.attention_scores for capture in captures):
            hooks.enter_context(grouped_attention(model))
            last = _site(model, len(decoder_blocks(model)) - 1, "attention")
            self._watch = hooks.enter_context(watching(last, last_only=False))
        for layer in attention_layers:
            hook(_site(model, layer, "attention"), self._keeper(self._attentions, layer, element=1))
        if any(capture.router_logits for capture in captures):
            for site in router_sites(model):
                hook(site.module, lambda output: self._routers.append(output[0]))

    @staticmethod
    def _keeper(store: dict[_K, torch.Tensor], key: _K, element: int) -> Callable[[Any], None]:
        def keep(output: Any) -> None:
            store[key] = output[element] if isinstance(output, tuple) else output

        return keep

    def activations(
        self, row: int, width: int, reading: Reading, logits: torch.Tensor, first: int
    ) -> Activations:
        """One row's share, at the positions asked for, on the CPU in float32.

        `logits` are those behind position `first` and the ones after it.
        """
        capture, length = reading.capture, len(reading.tokens)
        at = list(range(length) if capture.positions is None else capture.positions)
        routers = scores = top = None
        if capture.router_logits:
            tokens = slice(row * width, (row + 1) * width)
            routers = torch.stack([_share(kept[tokens][at]) for kept in self._routers])
        if capture.token_log_probabilities:
            scores = torch.zeros(len(at))
            given = [index for index, position in enumerate(at) if position]
            before = [at[index] - 1 - first for index in given]
            following = [reading.tokens[at[index]] for index in given]
            indices = torch.tensor([before, following], dtype=torch.long, device=logits.device)
            scores[given] = said_of(logits[row], *indices)[0].cpu()
        behind = [position - first for position in at]
        if capture.top_log_probabilities:
            places = torch.tensor(behind, device=logits.device)
            top = most_probable(logits[row], places, capture.top_log_probabilities)
        return Activations(
            router_logits=routers,
            hidden={
                layer: _share(self._hidden[layer, site][row, at])
                for layer, site in _places(capture)
            },
            attentions={
                layer: _share(self._attentions[layer][row, :, at, :length])
                for layer in capture.attention_layers
            },
            attention_scores=self._scores(row, at, length) if capture.attention_scores else None,
            token_log_probabilities=scores,
            top_tokens=None if top is None else top.indices.cpu(),
            top_log_probabilities=None if top is None else top.values.cpu(),
            logits=_share(logits[row, behind]) if capture.logits else None,
        )

    def _scores(self, row: int, at: list[int], length: int) -> torch.Tensor | None:
        if self._watch is None or not self._watch.scores:
            return None
        return _share(self._watch.scores[-1][row, :, at, :length])


def _share(values: torch.Tensor) -> torch.Tensor:
    """A copy that does not keep the batch in memory."""
    return values.to("cpu", torch.float32, copy=True)


def _places(capture: Capture) -> list[Place]:
    return [(layer, capture.hidden_site) for layer in capture.hidden_layers]


def _site(model: Any, layer: int, site: Site) -> Any:
    try:
        return site_module(model, layer, site)
    except ModelError as error:
        raise RequestError(str(error)) from error


def _layers(asked: Iterator[tuple[int, ...]]) -> list[int]:
    return sorted({layer for layers in asked for layer in layers})


def _predicting(reading: Reading) -> Iterator[int]:
    """The positions behind which a reading needs logits."""
    capture = reading.capture
    at = range(len(reading.tokens)) if capture.positions is None else capture.positions
    if capture.token_log_probabilities:
        yield from (position - 1 for position in at if position)
    if capture.top_log_probabilities or capture.logits:
        yield from at


def _needs_logits(capture: Capture) -> bool:
    return capture.token_log_probabilities or capture.logits or capture.top_log_probabilities > 0
