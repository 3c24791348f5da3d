"""Everything that one worker does to its model: places, routers, conditions, counts, readings.

Made when the model is loaded, before it is compiled; `install` adds places later where the forward
pass is eager. What tokens counted lies in `history`, by the slots of the cache of keys and values:
a prefix that is reused brings along what was counted when it was computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.engines.declared import Declared, Place
from harness.engines.vllm.worker.logits import ChangedLogits
from harness.engines.vllm.worker.places import SteeredPlace
from harness.engines.vllm.worker.routing import MaskedRouter
from harness.engines.vllm.worker.row_tables import Tables
from harness.engines.vllm.worker.rows import RowMap
from harness.engines.vllm.worker.scheduled import Scheduled, ScheduledRequests
from harness.engines.vllm.worker.structure import decoder_layers, router_of, site_module
from harness.errors import ModelError
from harness.interventions.hidden_states import HiddenStates
from harness.registry import load_object

Column = tuple[int, str, int]
"""(layer, site, n): the n-th term at a place."""


class ModelInterventions:
    """The interventions of one worker's model; see the module's docstring.

    Args:
        model: The model as vLLM built it, its weights loaded.
        config: vLLM's configuration of the engine.
        settings: Our own: rows of conditions, what is declared, and the columns of its terms.
    """

    def __init__(self, model: nn.Module, config: Any, settings: Mapping[str, Any]) -> None:
        self._model = model
        self._dtype = config.model_config.dtype
        self._width = int(config.model_config.get_hidden_size())
        self._block = int(config.cache_config.block_size)
        static = not config.model_config.enforce_eager
        self.tables = Tables(
            tokens=int(config.scheduler_config.max_num_batched_tokens),
            rows=int(settings["rows"]),
            device=torch.device(config.device_config.device),
            static=static,
        )
        self.registry = ScheduledRequests()
        self._rows = RowMap(self.tables, self.registry)
        self._layers = decoder_layers(model)
        self._places: dict[Place, SteeredPlace] = {}
        self._routers: dict[int, MaskedRouter] = {}
        self._logits: ChangedLogits | None = None
        self._vocabulary = int(config.model_config.get_vocab_size())
        self._declared = Declared()
        self._columns = 0
        self._history = torch.zeros(3, 0, dtype=torch.int16, device=self.tables.device)
        self._ended: dict[str, np.ndarray] = {}
        self._captured: dict[str, list[dict[str, torch.Tensor]]] = {}
        self._order: list[str] = []
        self._counts = np.zeros(0, np.int64)
        self.mapped = False
        self.install(Declared.from_json(settings["declared"]), settings["columns"])

    # What can be done ----------------------------------------------------------------------------

    def install(self, declared: Declared, columns: Sequence[Column]) -> None:
        """Put what is declared into the model; what is there already stays. Raises `ModelError`."""
        self._declared |= declared
        if len(columns) > self._columns:
            self.tables.widen(len(columns))
        for index, (layer, site, _) in list(enumerate(columns))[self._columns :]:
            # Counted first: a place that is not there must not stop those that come after it.
            self._columns = index + 1
            place = self._place((layer, site))  # type: ignore[arg-type]
            if place is not None:
                place.columns.append(index)
        for where, needed in declared.steered.items():
            place = self._place(where)
            if place is not None and needed.conditional:
                place.allow_conditions()
        for where in declared.changed:
            self._place(where)
        for where in declared.read:
            place = self._place(where)
            if place is not None:
                place.allow_reading(self._dtype)
        if declared.masks or declared.router_logits:
            self._install_routers(masks=declared.masks, reads=declared.router_logits)
        if declared.logits and self._logits is None:
            self._logits = ChangedLogits(self._model, self._vocabulary, self.tables.device)

    def _place(self, where: Place) -> SteeredPlace | None:
        """The place, put into its module when it is new; None where another worker has it."""
        if where not in self._places:
            layer, site = where
            if layer not in self._layers:
                return None
            place = SteeredPlace(self.tables, site, self._width)
            _put(place, site_module(self._layers[layer], layer, site))
            self._places[where] = place
        return self._places[where]

    def _install_routers(self, *, masks: bool, reads: bool) -> None:
        if not self._routers:
            found = {index: router_of(layer) for index, layer in sorted(self._layers.items())}
            routers = {index: router for index, router in found.items() if router is not None}
            for position, (layer, router) in enumerate(routers.items()):
                self._routers[layer] = MaskedRouter(router, self.tables, position)
            self._experts = next((r.global_num_experts for r in routers.values()), 0)
        if masks and not self.tables.masks.numel():
            self.tables.hold_masks(len(self._routers), self._experts)
        for masked in self._routers.values():
            masked.masks = masked.masks or masks
            if reads:
                masked.allow_reading(self._experts)

    @property
    def layers(self) -> list[int]:
        """The indices of the layers that this worker holds."""
        return sorted(self._layers)

    @property
    def routers(self) -> list[int]:
        """The layers of this worker that have a router; empty before they are needed."""
        return sorted(self._routers)

    # Conditions ----------------------------------------------------------------------------------

    def write_mask(
        self, row: int, points: Sequence[Sequence[int]], *, replace: bool, zero: bool
    ) -> None:
        """Write a mask's row; points of layers that another worker holds are passed by."""
        mask = torch.zeros(self.tables.masks.shape[1:], dtype=torch.bool)
        position = {layer: index for index, layer in enumerate(self._routers)}
        own = [(position[layer], expert) for layer, expert in points if layer in position]
        if own:
            mask[tuple(torch.tensor(own).unbind(dim=1))] = True
        self.tables.masks[row] = mask.to(self.tables.device)
        self.tables.replace[row] = replace
        self.tables.replacing[row] = replace
        self.tables.zero[row] = zero

    def write_vectors(self, where: Place, row: int, values: bytes) -> None:
        """Write vectors [S, H] to neighbouring rows of a place."""
        if where in self._places:
            vectors = self._array(values)
            self._places[where].vectors[row : row + len(vectors)] = vectors

    def write_gate(self, where: Place, row: int, gate: Sequence[float], direction: bytes) -> None:
        """Write a condition (threshold, bias, whether by cosine) and its direction [H]."""
        if where in self._places:
            place = self._places[where]
            place.directions[row] = self._array(direction)[0]
            place.gates[row] = torch.tensor(gate)

    def write_states(self, row: int, reference: str, description: Mapping[str, Any]) -> None:
        """Write a row of what changes hidden states: a class, and what describes one of it."""
        kind: type[HiddenStates] = load_object(reference)
        rows = kind.model_validate(description).rows(self._width)
        for where, place in self._places.items():
            place.changes.write(row, kind, rows.get(where))

    def write_logits(self, row: int, reference: str, description: Mapping[str, Any]) -> None:
        """Write a row of what changes next-token logits; see `ChangedLogits.write`."""
        assert self._logits is not None, "it was installed"
        self._logits.write(row, reference, description)

    def _array(self, values: bytes) -> torch.Tensor:
        array = np.frombuffer(values, np.float32).reshape(-1, self._width)
        return torch.from_numpy(array.copy()).to(self.tables.device)

    # A pass --------------------------------------------------------------------------------------

    def scheduled(self, output: Any) -> None:
        """Take in what the scheduler says of the coming step, before the runner lays it out."""
        for request in self.registry.finished(output):
            self._end(request)
        self.registry.update(output)
        # Tokens of the step before are none of this one's, whose layout may not be told.
        self.tables.change(np.zeros(0, np.int64), np.zeros(0, np.int64))
        self.mapped = False

    def begin(self, order: Sequence[str], counts: np.ndarray) -> None:
        """The coming pass is over these requests in this order, with so many tokens of each."""
        self.mapped = True
        self._order, self._counts = list(order), np.asarray(counts, np.int64)
        if self._logits is not None:
            requests = [self.registry.requests.get(id_) for id_ in self._order]
            self._logits.begin(requests, self._counts)
        if not self.registry.requests and not self.tables.masked and not self.tables.dosed:
            return
        self._rows.begin(self._order, self._counts)

    def reads_prompts(self, states: torch.Tensor) -> None:
        """What follows are logits of slices of the pass's states [n, H], in its own order."""
        if self._logits is not None:
            self._logits.read(states)

    def ended(self) -> None:
        """The pass is over: keep what it counted, and what it was asked to read."""
        if not self.registry.requests:
            return
        if not self.mapped:
            raise RuntimeError(
                "the model runner did not say which tokens belong to which request, so that no "
                "intervention could have been applied; this version of vLLM is not supported"
            )
        offsets = np.cumsum(self._counts) - self._counts
        slots: list[int] = []
        tokens: list[int] = []
        for id_, offset, count in zip(self._order, offsets, self._counts, strict=True):
            request = self.registry.requests.get(id_)
            if request is None:
                continue
            rows = slice(int(offset), int(offset + count))
            if request.counted:
                slots += self._slots(request, request.start, request.start + int(count))
                tokens += range(rows.start, rows.stop)
            if request.captured:
                if not request.start:  # perhaps once more, after it had to give its blocks away
                    self._captured[id_] = []
                self._captured.setdefault(id_, []).append(self._reading(rows))
        if slots:
            self._remember(slots, tokens)

    def _remember(self, slots: list[int], tokens: list[int]) -> None:
        if max(slots) >= self._history.shape[1]:
            size = max(max(slots) + 1, 2 * self._history.shape[1])
            wider = self._history.new_zeros(3, size)
            wider[:, : self._history.shape[1]] = self._history
            self._history = wider
        device = self.tables.device
        at, of = torch.tensor(slots, device=device), torch.tensor(tokens, device=device)
        self._history[:, at] = self.tables.counts[:, of].to(torch.int16)
        self.tables.counts.zero_()

    def _slots(self, request: Scheduled, first: int, last: int) -> list[int]:
        """Where the positions from `first` to before `last` lie in the cache of keys and values."""
        size, blocks = self._block, request.blocks
        return [blocks[at // size] * size + at % size for at in range(first, last)]

    # What came of it -----------------------------------------------------------------------------

    def counted(self, request: str, length: int) -> list[int]:
        """Routings changed and emptied, and conditional additions, in a request's first tokens.

        This worker's layers only. Asked for once, when the request has ended.
        """
        known = self.registry.requests.get(request)
        if known is not None:
            self._end(request)
        found = self._ended.pop(request, None)
        return [0, 0, 0] if found is None else found[:, :length].sum(axis=1).tolist()

    def captured(self, request: str) -> Mapping[str, torch.Tensor]:
        """What was read of an ended request, over all its tokens: {name: [n, width]}."""
        parts = self._captured.pop(request, [])
        self.registry.forget(request)
        names = parts[0] if parts else {}
        return {name: torch.cat([part[name] for part in parts]) for name in names}

    def forget(self, request: str) -> None:
        """A request was cancelled: its results will not be asked for."""
        self.registry.forget(request)
        self._ended.pop(request, None)
        self._captured.pop(request, None)

    @property
    def kept(self) -> int:
        """Requests of which something is kept: those that run, and those not asked for yet."""
        return len({*self.registry.requests, *self._ended, *self._captured})

    def readout(self, hidden: torch.Tensor) -> torch.Tensor | None:
        """Log-probabilities [n, V] that the model's norm and head make of states [n, H].

        None where another worker has the head. Raises ModelError without a norm of a known name.
        """
        model: Any = self._model
        norm: Any = getattr(getattr(model, "model", None), "norm", None)
        if norm is None or not hasattr(model, "compute_logits"):
            raise ModelError(f"{type(model).__name__} has no final norm under a known name")
        states: torch.Tensor = norm(hidden.to(self.tables.device, self._dtype))
        head = model.compute_logits if self._logits is None else self._logits.original
        logits: torch.Tensor | None = head(states)
        return None if logits is None else logits.float().log_softmax(dim=-1)

    def _end(self, request: str) -> None:
        """Keep what a request counted, before its blocks of the cache are given to another."""
        known = self.registry.requests[request]
        if known.counted:
            slots = np.array(self._slots(known, 0, len(known.blocks) * self._block), np.int64)
            inside = slots < self._history.shape[1]
            found = np.zeros((3, len(slots)), np.int64)
            at = torch.from_numpy(slots[inside]).to(self.tables.device)
            found[:, inside] = self._history[:, at].cpu().numpy()
            self._ended[request] = found
        self.registry.forget(request)

    def _reading(self, rows: slice) -> dict[str, torch.Tensor]:
        read = {f"router {layer}": router.seen(rows) for layer, router in self._routers.items()}
        if not self._declared.router_logits:
            read = {}
        for layer, site in sorted(self._declared.read):
            if (layer, site) in self._places:
                read[f"hidden {layer} {site}"] = self._places[layer, site].seen(rows)
        return {name: values.to("cpu", torch.float32, copy=True) for name, values in read.items()}


def _put(place: SteeredPlace, module: nn.Module) -> None:
    """Let a module's output pass through a place.

    By a class of its own, not by a hook: compilers follow a method, and hooks not everywhere.
    """
    original: Any = type(module)

    def forward(self: Any, *arguments: Any, **named: Any) -> Any:
        return place(original.forward(self, *arguments, **named))

    module.__class__ = type(original.__name__, (original,), {"forward": forward})
