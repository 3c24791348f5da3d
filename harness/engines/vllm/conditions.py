"""From interventions to rows of the workers' tables: what a request carries, and what is uploaded.

A condition (a mask, a vector, a gate, a change of states or logits) is uploaded once and shared by
every request with the same content. A request itself carries numbers only: rows, doses, and when
they act.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from harness.engines.declared import Declared, Place
from harness.engines.vllm.row_pool import RowPool
from harness.errors import RequestError
from harness.interventions.adapted_weights import AdaptedWeights
from harness.interventions.base import Intervention
from harness.interventions.hidden_states import HiddenStates
from harness.interventions.next_token_logits import NextTokenLogits
from harness.interventions.residual import (
    Condition,
    Doses,
    Residual,
    Term,
    doses_at,
    spanned,
    timing,
)
from harness.interventions.router_logits import RouterLogits

Column = tuple[int, str, int]
"""(layer, site, n): the n-th term at a place."""


@dataclass
class Lease:
    """What a request holds while it runs: its payload, what to upload first, what to give back.

    `name` is ours, and `id` the one that vLLM's workers know it by.
    """

    name: str = ""
    id: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    writes: list[list[Any]] = field(default_factory=list)
    taken: list[tuple[RowPool, str, bool]] = field(default_factory=list)
    adapter: Any = None
    """vLLM's own `LoRARequest`."""

    def release(self, *, written: bool = True) -> None:
        """Give the rows back; those that were new and not `written` hold nothing."""
        for pool, key, fresh in self.taken:
            pool.release(key)
            if fresh and not written:
                pool.forget(key)
        self.taken.clear()


class Conditions:
    """The rows of all tables of one engine, of `rows` rows each."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.declared = Declared()
        self.columns: list[Column] = []
        self._masks = RowPool(rows)
        self._states = RowPool(rows)
        self._logits = RowPool(rows)
        self._vectors: dict[Place, RowPool] = {}
        self._gates: dict[Place, RowPool] = {}
        self._adapters: dict[str, int] = {}

    def declare(self, declared: Declared) -> None:
        """Add what the workers can do from now on."""
        self.declared |= declared
        for (layer, site), needed in sorted(self.declared.steered.items()):
            for number in range(needed.terms):
                if (layer, site, number) not in self.columns:
                    self.columns.append((layer, site, number))

    def lease(self, intervention: Intervention | None, prompt: int) -> Lease | None:
        """What a request with a prompt of so many tokens carries; None while there is no room.

        Raises RequestError for what does not fit into the tables at all.
        """
        lease = self._leased(intervention, prompt)
        if lease is None and not self.users:
            # No running request will free rows: only rows kept for later can be in the way.
            for pool in self._pools:
                pool.clear()
            lease = self._leased(intervention, prompt)
            if lease is None:
                raise RequestError(
                    "steering with more vectors or conditions at one place than the "
                    f"{self.rows - 1} that the engine holds; raise engine.slots"
                )
        return lease

    def _leased(self, intervention: Intervention | None, prompt: int) -> Lease | None:
        lease, fits = Lease(), False
        try:
            if intervention is None or intervention.is_neutral:
                fits = True
            elif isinstance(intervention, RouterLogits):
                fits = self._lease_mask(lease, intervention)
            elif isinstance(intervention, Residual):
                fits = self._lease_terms(lease, intervention.additions(), prompt)
            elif isinstance(intervention, HiddenStates):
                fits = self._lease_states(lease, intervention, prompt)
            elif isinstance(intervention, NextTokenLogits):
                fits = self._lease_logits(lease, intervention, prompt)
            elif isinstance(intervention, AdaptedWeights):
                fits = self._lease_adapter(lease, intervention)
        finally:
            if not fits:
                lease.release(written=False)
        return lease if fits else None

    @property
    def users(self) -> int:
        """How often rows are held at the moment."""
        return sum(pool.users for pool in self._pools)

    @property
    def _pools(self) -> list[RowPool]:
        shared = self._masks, self._states, self._logits
        return [*shared, *self._vectors.values(), *self._gates.values()]

    def _lease_mask(self, lease: Lease, intervention: RouterLogits) -> bool:
        taken = self._take(lease, self._masks, intervention.fingerprint())
        if taken is None:
            return False
        row, fresh = taken
        if fresh:
            mask = intervention.masked()
            assert mask is not None, "what is none was refused"
            points = [list(point) for point in mask.points]
            lease.writes.append(["mask", row, points, mask.replace, mask.zero])
        lease.payload |= {"mask": row, "counted": True}
        return True

    def _lease_states(self, lease: Lease, intervention: HiddenStates, prompt: int) -> bool:
        row = self._take_function(lease, self._states, "states", intervention)
        if row is not None:
            lease.payload |= {"states": [row, *spanned(intervention.positions, prompt)]}
        return row is not None

    def _lease_logits(self, lease: Lease, intervention: NextTokenLogits, prompt: int) -> bool:
        row = self._take_function(lease, self._logits, "logits", intervention)
        if row is not None:
            lease.payload |= {"logits": row, "prompt": prompt}
        return row is not None

    def _lease_adapter(self, lease: Lease, intervention: AdaptedWeights) -> bool:
        """Rows are none of ours: vLLM lets a request wait where all of its own are taken."""
        from vllm.lora.request import LoRARequest

        name = intervention.digest
        number = self._adapters.setdefault(name, len(self._adapters) + 1)
        lease.adapter = LoRARequest(name, number, intervention.files())
        return True

    def _take_function(
        self, lease: Lease, pool: RowPool, what: str, intervention: Intervention
    ) -> int | None:
        """A row of what acts by a kind's own function, which workers find by the class's name."""
        taken = self._take(lease, pool, intervention.fingerprint())
        if taken is None:
            return None
        row, fresh = taken
        if fresh:
            kind = type(intervention)
            reference = f"{kind.__module__}:{kind.__qualname__}"
            lease.writes.append([what, row, reference, intervention.model_dump(mode="json")])
        return row

    def _lease_terms(self, lease: Lease, additions: Sequence[Term], prompt: int) -> bool:
        terms = lease.payload["terms"] = []
        numbers: dict[Place, int] = {}
        for term in additions:
            place = term.layer, term.site
            number = numbers[place] = numbers.get(place, -1) + 1
            vectors = term.vector.shape[0] if len(term.vector.shape) == 2 else 1
            pool = self._vectors.setdefault(place, RowPool(self.rows))
            if vectors > pool.size:
                raise RequestError(
                    f"steering with {vectors} vectors, one for each step, at layer {term.layer}, "
                    f"but the engine holds {pool.size}; raise engine.slots"
                )
            taken = self._take(lease, pool, term.vector.digest, vectors)
            gate = self._lease_gate(lease, place, term.condition)
            if taken is None or gate is None:
                return False
            row, fresh = taken
            if fresh:
                lease.writes.append(["vectors", *place, row, _bytes(term.vector.tensor())])
            column = self.columns.index((*place, number))
            given = list(term.given) if term.schedule == "given" else None
            terms.append([column, *timing(term, prompt), row, gate, given, vectors])
        lease.payload["counted"] = any(term.condition for term in additions)
        return True

    def _lease_gate(self, lease: Lease, place: Place, condition: Condition | None) -> int | None:
        if condition is None:
            return 0
        pool = self._gates.setdefault(place, RowPool(self.rows))
        by_cosine = float(condition.kind == "cosine")
        gate = [condition.threshold, condition.bias, by_cosine]
        taken = self._take(lease, pool, f"{gate} {condition.direction.digest}")
        if taken is None:
            return None
        row, fresh = taken
        if fresh:
            direction = _bytes(condition.direction.tensor())
            lease.writes.append(["gate", *place, row, gate, direction])
        return row

    @staticmethod
    def _take(lease: Lease, pool: RowPool, key: str, length: int = 1) -> tuple[int, bool] | None:
        taken = pool.take(key, length)
        if taken is not None:
            lease.taken.append((pool, key, taken[1]))
        return taken


def additions(terms: Sequence[Term], prompt: int, length: int) -> int:
    """Additions without a condition that these terms make in a sequence's first `length` tokens."""
    positions = torch.arange(length)[None]
    made = 0
    for term in terms:
        if term.condition is not None:
            continue
        row = timing(term, prompt)
        doses = doses_at(Doses(*torch.tensor(row)[:, None].unbind(0)), positions)[0]
        if term.schedule == "given":
            steps = positions[0] - int(row[3])
            inside = (steps >= 0) & (steps < len(term.given))
            given = torch.tensor([*term.given, 0.0])
            doses = doses * given[torch.where(inside, steps, len(term.given))]
        made += int((doses != 0).sum())
    return made


def _bytes(values: torch.Tensor) -> bytes:
    return values.to("cpu", torch.float32).contiguous().numpy().tobytes()
