"""Defects as they happen in the wild, planted one by one: each turns the identities red.

Every defect names the identity that must see it. Those of masks are planted where a mask is built,
applied, counted or moved with its row; those of decoding where tokens are drawn and states shared.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import field_validator

from harness.engines.decoding import rules as sampling
from harness.engines.transformers import drawing
from harness.engines.transformers.rotary import RowRotary
from harness.engines.transformers.router_rows import RouterRows
from harness.engines.transformers.row_interventions import InterventionSet
from harness.engines.transformers.slots import SlotCache
from harness.interventions.router_logits import route
from harness.interventions.router_mask import description as router_mask
from harness.interventions.router_mask.description import RouterMask
from harness.invariants import checks
from harness.resolve import router_mask as resolve
from harness.sampling.builtin.min_p import MinP
from harness.sampling.builtin.top_k import TopK
from tests.invariants.planted import Defects, Patch

DEFECTS = Defects()


def after(patch: Patch, owner: Any, name: str, change: Callable[..., Any]) -> None:
    """Let `change(result, self, *args)` replace what a method returns, or act after it."""
    original = getattr(owner, name)

    def changed(*args: Any, **kwargs: Any) -> Any:
        return change(original(*args, **kwargs), *args)

    patch.setattr(owner, name, changed)


def routing(patch: Patch, change: Callable[..., Any]) -> None:
    """Replace the routing that hooks call; `change` gets the arguments of `route` by name."""
    names = ("logits", "scores", "indices", "mask", "replace", "zero_on_empty")

    def changed(*args: Any, **kwargs: Any) -> Any:
        return change(**dict(zip(names, args, strict=False)), **kwargs)

    patch.setattr(router_mask, "route", changed)


# Where a mask is built


@DEFECTS.seen_by("router_mask.earlier_layers_unchanged")
def mask_one_layer_off(patch):
    after(patch, RouterMask, "mask", lambda mask, *_: mask.roll(1, 0))


@DEFECTS.seen_by("router_mask.masked_expert_gets_no_weight")
def mask_one_expert_off(patch):
    after(patch, RouterMask, "mask", lambda mask, *_: mask.roll(1, 1))


def _unmasked(mask: torch.Tensor, part: Any) -> torch.Tensor:
    mask = mask.clone()
    mask[part] = False
    return mask


@DEFECTS.seen_by("router_mask.masked_expert_gets_no_weight")
def first_expert_never_masked(patch):
    after(patch, RouterMask, "mask", lambda mask, *_: _unmasked(mask, (slice(None), 0)))


@DEFECTS.seen_by("router_mask.masked_expert_gets_no_weight")
def last_expert_never_masked(patch):
    after(patch, RouterMask, "mask", lambda mask, *_: _unmasked(mask, (slice(None), -1)))


@DEFECTS.seen_by("router_mask.earlier_layers_unchanged")
def last_layer_never_masked(patch):
    after(patch, RouterMask, "mask", lambda mask, *_: _unmasked(mask, -1))


@DEFECTS.seen_by("router_mask.points_are_a_set")
def repeated_points_cancel_each_other(patch):
    class Unsorted(RouterMask):
        @field_validator("points")
        @classmethod
        def _as_set(cls, points):
            return points

    def toggled(self, layers, experts):
        mask = torch.zeros(len(layers), experts, dtype=torch.bool)
        for layer, expert in self.points:
            mask[list(layers).index(layer), expert] ^= True
        return mask

    patch.setattr(RouterMask, "__pydantic_validator__", Unsorted.__pydantic_validator__)
    patch.setattr(RouterMask, "mask", toggled)


@DEFECTS.seen_by("router_mask.doses_are_nested")
def dose_off_by_one(patch):
    after(
        patch,
        resolve,
        "RouterMask",
        lambda mask, *_: mask.model_copy(update={"points": mask.points[1:]}),
    )


@DEFECTS.seen_by("router_mask.neutral_alone_equals_baseline")
def neutral_keeps_a_point(patch):
    patch.setattr(
        RouterMask, "neutral", lambda self: self.model_copy(update={"points": self.points[:1]})
    )


# Where it is applied


@DEFECTS.seen_by("router_mask.dose_does_something")
def mask_without_effect_after_a_library_update(patch):
    """It counts what it would have changed, and the block reads something else."""
    routing(
        patch,
        lambda scores, indices, **kw: route(scores=scores, indices=indices, **kw)._replace(
            scores=scores, indices=indices
        ),
    )


@DEFECTS.seen_by("router_mask.masked_expert_gets_no_weight")
def mask_at_half_strength(patch):
    def half(logits, scores, indices, mask, **kw):
        routed = route(logits, scores, indices, mask, **kw)
        same = (routed.indices == indices).all(1, keepdim=True)
        return routed._replace(
            scores=torch.where(same, (routed.scores + scores) / 2, routed.scores)
        )

    routing(patch, half)


@DEFECTS.seen_by("router_mask.counts_are_what_happened")
def mask_applied_twice(patch):
    def twice(_, self):
        self._hooks += [
            site.module.register_forward_hook(self._hook(i)) for i, site in enumerate(self._sites)
        ]

    after(patch, RouterRows, "attach", twice)


@DEFECTS.seen_by("router_mask.keep_restricts_and_rescales")
def keep_implemented_as_replace(patch):
    routing(patch, lambda replace, **kw: route(replace=torch.ones_like(replace), **kw))


@DEFECTS.seen_by("router_mask.replace_fills_up")
def replace_implemented_as_keep(patch):
    routing(patch, lambda replace, **kw: route(replace=torch.zeros_like(replace), **kw))


@DEFECTS.seen_by("router_mask.all_masked_with_fallback_is_baseline")
def fallback_dropped(patch):
    routing(
        patch, lambda zero_on_empty, **kw: route(zero_on_empty=torch.ones_like(zero_on_empty), **kw)
    )


@DEFECTS.seen_by("router_mask.wholly_masked_falls_back")
def fallback_where_no_expert_was_asked_for(patch):
    routing(
        patch,
        lambda zero_on_empty, **kw: route(zero_on_empty=torch.zeros_like(zero_on_empty), **kw),
    )


@DEFECTS.seen_by("router_mask.weights_keep_the_mass")
def renormalisation_missing(patch):
    def bare(logits, scores, indices, mask, **kw):
        routed = route(logits, scores, indices, mask, **kw)
        same = (routed.indices == indices).all(1, keepdim=True)
        left = scores.masked_fill(mask.gather(1, indices), 0)
        changed = routed.changed[:, None] & same
        return routed._replace(scores=torch.where(changed, left, routed.scores))

    routing(patch, bare)


@DEFECTS.seen_by("router_mask.unhit_token_keeps_every_bit")
def every_token_of_a_masked_layer_renormalised(patch):
    """What the study's definition does to models that do not normalise their weights."""

    def all_tokens(**kw):
        routed = route(**kw)
        return routed._replace(scores=routed.scores / routed.scores.sum(1, keepdim=True))

    routing(patch, all_tokens)


@DEFECTS.seen_by("router_mask.neutral_alone_equals_baseline")
def neutral_dose_that_masks_an_expert(patch):
    def rows(found, self, *_):
        if not self.points:
            found["mask"][:, 0] = True
        return found

    after(patch, RouterMask, "rows", rows)


@DEFECTS.seen_by("router_mask.cached_equals_uncached")
def mask_on_the_prompt_only(patch):
    def begin(_, self, slots, positions):
        if positions.shape[1] == 1:
            self._pass = None

    after(patch, RouterRows, "begin", begin)


@DEFECTS.seen_by("router_mask.masked_expert_gets_no_weight")
def mask_missing_on_the_first_token(patch):
    def begin(_, self, slots, positions):
        if self._pass is not None:
            first = (positions == 0).flatten()[:, None, None]
            own = {**self._pass.rows, "mask": self._pass.rows["mask"] & ~first}
            self._pass = replace(self._pass, rows=own)

    after(patch, RouterRows, "begin", begin)


@DEFECTS.seen_by("router_mask.batch_equals_alone")
def mask_leaks_to_the_neighbour_row(patch):
    def begin(_, self, slots, positions):
        if self._pass is not None:
            masks = self._pass.rows["mask"]
            own = {**self._pass.rows, "mask": masks | masks.roll(positions.shape[1], 0)}
            self._pass = replace(self._pass, rows=own)

    after(patch, RouterRows, "begin", begin)


# Where it follows its row


@DEFECTS.seen_by("router_mask.batch_equals_alone")
def slot_keeps_the_last_mask(patch):
    original = RouterRows.assign

    def assign(self, slot, intervention, *args, **kwargs):
        if intervention is not None and intervention.points:
            original(self, slot, intervention, *args, **kwargs)

    patch.setattr(RouterRows, "assign", assign)


@DEFECTS.seen_by("router_mask.reused_equals_recomputed")
def slot_keeps_its_first_mode(patch):
    original = RouterRows.assign
    first = {}

    def assign(self, slot, *args, **kwargs):
        original(self, slot, *args, **kwargs)
        if self._tables.used[slot]:
            replaces = self._tables.tables["replace"]
            replaces[slot] = first.setdefault((self, slot), replaces[slot].clone())
            self._tables._filled["replace"][slot] = bool(replaces[slot].any())

    patch.setattr(RouterRows, "assign", assign)


@DEFECTS.seen_by("router_mask.batch_equals_alone")
def mask_stays_where_its_row_was(patch):
    patch.setattr(RouterRows, "move", RouterRows.copy)


@DEFECTS.seen_by("router_mask.reused_equals_recomputed")
def prefix_shared_across_masks(patch):
    patch.setattr(RouterMask, "prefix_key", lambda self, *_args: "")


@DEFECTS.seen_by("router_mask.counts_are_what_happened")
def counts_not_counted(patch):
    def end(self):
        self._pass = None

    patch.setattr(RouterRows, "end", end)


@DEFECTS.seen_by("router_mask.batch_equals_alone")
def counts_of_the_last_sequence_kept(patch):
    original = RouterRows.assign

    def assign(self, slot, *args, **kwargs):
        kept = self._changed[slot].clone()
        original(self, slot, *args, **kwargs)
        self._changed[slot] += kept

    patch.setattr(RouterRows, "assign", assign)


# What is left behind


@DEFECTS.seen_by("router_mask.removal_restores_every_bit")
def hook_left_behind_after_an_exception(patch):
    @contextmanager
    def attached(self):
        self._attached = True
        for kind in self._kinds.values():
            kind.attach()
        yield
        self._attached = False
        for kind in self._kinds.values():
            kind.detach()

    patch.setattr(InterventionSet, "attached", attached)


@DEFECTS.seen_by("router_mask.removal_restores_every_bit")
def last_hook_left_behind(patch):
    def detach(self):
        for hook in self._hooks[:-1]:
            hook.remove()

    patch.setattr(RouterRows, "detach", detach)


# How tokens are drawn, and what is shared


def count_all(ordered):
    return torch.full(ordered.shape[:1], ordered.shape[-1])


@DEFECTS.seen_by("sampling.one_candidate_is_greedy")
def one_candidate_too_many(patch):
    after(patch, TopK, "apply", lambda count, *_: count + 1)


@DEFECTS.seen_by("sampling.draws_stay_among_the_candidates")
def min_p_forgotten(patch):
    after(patch, MinP, "apply", lambda _count, _rule, ordered, _rows: count_all(ordered))


@DEFECTS.seen_by("sampling.seeds_are_different_draws")
def seed_ignored(patch):
    original = drawing.noise_key
    patch.setattr(drawing, "noise_key", lambda seed, *rest: original(0, *rest))


@DEFECTS.seen_by("router_mask.batch_equals_alone")
def noise_depends_on_the_row(patch):
    original = sampling.gumbel
    patch.setattr(
        sampling,
        "gumbel",
        lambda keys, *rest: original(keys + torch.arange(len(keys), device=keys.device), *rest),
    )


@DEFECTS.seen_by("engine.reused_equals_recomputed")
def reused_prefix_lacks_its_last_column(patch):
    original = SlotCache.copy
    patch.setattr(
        SlotCache,
        "copy",
        lambda self, source, target, length: original(self, source, target, length - 1),
    )


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_seen(name, by_name, checker, monkeypatch):
    DEFECTS.check(name, by_name, checker, monkeypatch)


def test_enough_defects_are_planted():
    assert len(DEFECTS) >= 15


@pytest.mark.slow
def test_the_clean_tree_holds_every_identity(by_name, checker):
    for check in by_name.values():
        found = checker.check(check)
        assert found.holds, f"{found.name}: {found.detail}"


@pytest.mark.parametrize("kind", ["longrope", "longrope-phi3", "dynamic"])
@pytest.mark.parametrize("engine", ["fast", "strict"])
def test_rows_that_turn_each_other_are_seen(kind, engine, checker, monkeypatch):
    """What transformers does with a batch: every row is turned by the longest."""
    monkeypatch.setattr(RowRotary, "regimes", lambda *_: None)
    (check,) = (
        check
        for check in checks()
        if (check.model, check.engine, check.name)
        == (f"tiny/{kind}", engine, "engine.batch_equals_alone")
    )
    found = checker.check(check)
    assert not found.holds
    assert " at token " in found.detail
