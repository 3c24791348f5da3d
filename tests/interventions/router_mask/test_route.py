"""The identities of router masking on random tensors.

Float32 throughout, with logits that do not tie unless a test is about ties.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.interventions.router_logits import Routing
from harness.interventions.router_mask.description import RouterMask
from tests.interventions.router_mask.routed_tokens import (
    Tokens,
    support,
    tokens,
    weights,
    without_ties,
)


class TestIdentities:
    @without_ties
    @given(tokens())
    def test_1_empty_mask_changes_no_bit(self, own):
        routing = own.but(mask=torch.zeros_like(own.mask)).route()
        assert torch.equal(routing.scores, own.scores)
        assert torch.equal(routing.indices, own.indices)
        assert not routing.changed.any()
        assert not routing.emptied.any()

    @without_ties
    @given(tokens())
    def test_2_token_without_a_masked_pick_keeps_every_bit(self, own):
        hit = own.mask.gather(1, own.indices).any(1)
        routing = own.route()
        assert torch.equal(routing.scores[~hit], own.scores[~hit])
        assert torch.equal(routing.indices[~hit], own.indices[~hit])
        assert not routing.changed[~hit].any()

    @without_ties
    @given(tokens())
    def test_3_keep_restricts_and_rescales_the_own_weights(self, own):
        own = own.but(replace=False)
        routing = own.route()
        for i in range(len(own)):
            survivors = own.own(i) - own.masked(i)
            if not survivors:
                continue
            before = dict(zip(own.indices[i].tolist(), own.scores[i].tolist(), strict=True))
            scale = sum(before.values()) / sum(before[e] for e in survivors)
            expected = {e: w * scale if e in survivors else 0.0 for e, w in before.items()}
            assert weights(routing, i) == pytest.approx(expected, rel=1e-5)

    @without_ties
    @given(tokens(room=True))
    def test_4_replace_keeps_survivors_and_fills_up_to_k(self, own):
        own = own.but(replace=True)
        routing = own.route()
        for i in range(len(own)):
            chosen = set(routing.indices[i].tolist())
            assert own.own(i) - own.masked(i) <= chosen
            assert not chosen & own.masked(i)
            assert len(chosen) == own.indices.shape[1]
            best = own.logits[i].masked_fill(own.mask[i], -torch.inf).topk(len(chosen)).indices
            assert chosen == set(best.tolist())
            first, *others = routing.indices[i].tolist()
            for other in others:
                ratio = (own.logits[i, other] - own.logits[i, first]).exp().item()
                pair = weights(routing, i)
                assert pair[other] == pytest.approx(ratio * pair[first], rel=1e-4, abs=1e-30)

    @without_ties
    @given(tokens(room=True))
    def test_5_keep_chooses_among_what_replace_chooses(self, own):
        keep, fill = own.but(replace=False).route(), own.but(replace=True).route()
        for i in range(len(own)):
            if own.own(i) <= own.masked(i):
                continue
            assert support(keep, i) <= set(fill.indices[i].tolist())
            assert not (support(keep, i) | support(fill, i)) & own.masked(i)

    @without_ties
    @given(tokens())
    def test_6_wholly_masked_token_falls_back_bit_for_bit(self, own):
        mask = own.mask.scatter(1, own.indices, value=True)
        routing = own.but(mask=mask, replace=False, zero=False).route()
        assert torch.equal(routing.scores, own.scores)
        assert torch.equal(routing.indices, own.indices)
        assert routing.emptied.all()
        assert not routing.changed.any()

    @without_ties
    @given(tokens())
    def test_6_or_gets_no_expert_at_all(self, own):
        mask = own.mask.scatter(1, own.indices, value=True)
        routing = own.but(mask=mask, replace=False, zero=True).route()
        assert not routing.scores.any()
        assert routing.emptied.all()
        assert routing.changed.all()

    @without_ties
    @given(tokens(), st.randoms(use_true_random=False))
    def test_7_replace_takes_all_that_remain_when_k_remain(self, own, random):
        experts, k = own.mask.shape[1], own.indices.shape[1]
        left = sorted(random.sample(range(experts), k))
        mask = torch.ones_like(own.mask)
        mask[:, left] = False
        routing = own.but(mask=mask, replace=True).route()
        assert all(sorted(row) == left for row in routing.indices.tolist())

    @without_ties
    @given(tokens(room=True), st.integers(0, 2**32 - 1))
    def test_8_replace_twice_is_replace_by_the_union(self, own, seed):
        own = own.but(replace=True)
        part = torch.from_numpy(np.random.default_rng(seed).random(own.mask.shape) < 0.5)
        first = own.but(mask=own.mask & part).route()
        second = replace(own, scores=first.scores, indices=first.indices).route()
        once = own.route()
        for i in range(len(own)):
            assert weights(second, i) == pytest.approx(weights(once, i), rel=1e-5)

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5))), st.randoms())
    def test_8_mask_is_a_set(self, points, random):
        shuffled = points + points[:2]
        random.shuffle(shuffled)
        one, other = RouterMask(points=points), RouterMask(points=shuffled)
        assert one == other
        assert one.fingerprint() == other.fingerprint()
        assert hash(one) == hash(other)

    @without_ties
    @given(tokens(room=True))
    def test_9_rows_do_not_feel_each_other(self, own):
        """Together bit for bit as alone; 9 on whole models is in tests/models/test_routers.py."""
        together = own.route()
        alone = [own.row(i).route() for i in range(len(own))]
        for column in Routing._fields:
            parts = torch.cat([getattr(routing, column) for routing in alone])
            assert torch.equal(getattr(together, column), parts)

    @without_ties
    @given(tokens())
    def test_10_experts_that_nobody_selects_are_masked_for_free(self, own):
        unused = torch.ones_like(own.mask).scatter(1, own.indices, value=False).all(0)
        routing = own.but(mask=unused.expand_as(own.mask)).route()
        assert torch.equal(routing.scores, own.scores)
        assert not routing.changed.any()

    @given(st.permutations([(layer, e) for layer in range(3) for e in range(4)]), st.data())
    def test_11_doses_are_nested(self, ordering, data):
        small = data.draw(st.integers(0, len(ordering)))
        large = data.draw(st.integers(small, len(ordering)))
        masks = [RouterMask(points=ordering[:n]).mask(range(3), 4) for n in (small, large)]
        assert not (masks[0] & ~masks[1]).any()
        assert masks[1].sum() == large

    @without_ties
    @given(tokens())
    def test_12_weights_are_finite_and_keep_the_routed_mass(self, own):
        routing = own.route()
        assert routing.scores.isfinite().all()
        lost = routing.emptied & routing.changed
        mass = own.scores.sum(1).masked_fill(lost, 0)
        torch.testing.assert_close(routing.scores.sum(1), mass, rtol=1e-5, atol=0)
        torch.testing.assert_close(routing.changed, _differs(own, routing))

    @without_ties
    @given(tokens(norm=True))
    def test_12_which_is_one_where_the_model_normalises(self, own):
        routing = own.route()
        mass = routing.scores.sum(1)[~(routing.emptied & routing.changed)]
        torch.testing.assert_close(mass, torch.ones_like(mass))


def _differs(own: Tokens, routing: Routing) -> torch.Tensor:
    """Whether masked experts left a token's routing."""
    before = own.mask.gather(1, own.indices).any(1)
    after = (own.mask.gather(1, routing.indices) & (routing.scores != 0)).any(1)
    return before & ~after


def test_assumption_of_the_strategy_holds():
    """Masks that hit, miss and empty tokens all occur; otherwise the properties prove nothing."""
    seen = set()

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(tokens())
    def collect(own):
        routing = own.route()
        seen.update(
            zip(
                own.replace.tolist(),
                routing.changed.tolist(),
                routing.emptied.tolist(),
                strict=True,
            )
        )

    collect()
    assert {(False, False, False), (False, True, False), (False, False, True)} <= seen
    assert {(False, True, True), (True, True, False), (True, False, False)} <= seen


@without_ties
@given(tokens())
def test_no_replacement_anywhere_is_the_same_as_none(own):
    """`None` is the cheaper way to say what a tensor of False says."""
    own = own.but(replace=False)
    for left, right in zip(own.route(), replace(own, replace=None).route(), strict=True):
        assert torch.equal(left, right)
