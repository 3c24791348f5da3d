"""The identities of router masking on random tensors, and the errors of impossible masks.

Float32 throughout, with logits that do not tie unless a test is about ties.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch._subclasses.fake_tensor import FakeTensorMode

from harness.errors import FieldError
from harness.interventions.router_mask import (
    RouterMask,
    Routing,
    check_count,
    check_points,
    route,
    spans,
)


@dataclass(frozen=True)
class Tokens:
    """The arguments of `route` for N tokens, the model's own routing included."""

    logits: torch.Tensor
    scores: torch.Tensor
    indices: torch.Tensor
    mask: torch.Tensor
    replace: torch.Tensor
    zero: torch.Tensor

    def __len__(self) -> int:
        return len(self.logits)

    def route(self) -> Routing:
        return route(self.logits, self.scores, self.indices, self.mask, self.replace, self.zero)

    def but(self, **changes: torch.Tensor | bool) -> Tokens:
        """The same tokens with other masks or modes; a bool stands for all rows."""
        tensors = {
            name: torch.full((len(self),), value) if isinstance(value, bool) else value
            for name, value in changes.items()
        }
        return replace(self, **tensors)

    def row(self, i: int) -> Tokens:
        return Tokens(*(getattr(self, name)[i : i + 1] for name in self.__dataclass_fields__))

    def own(self, i: int) -> set[int]:
        return set(self.indices[i].tolist())

    def masked(self, i: int) -> set[int]:
        return set(self.mask[i].nonzero().flatten().tolist())


def own_routing(logits, k, *, norm):
    """What Qwen3-MoE and its kin do without a mask."""
    values, indices = logits.float().softmax(1).topk(k, dim=1)
    if norm:
        values = values / values.sum(1, keepdim=True)
    return values.to(logits.dtype), indices


def support(routing: Routing, i: int) -> set[int]:
    """The experts that a token's output is made of."""
    return {e for e, w in weights(routing, i).items() if w != 0}


def weights(routing: Routing, i: int) -> dict[int, float]:
    return dict(zip(routing.indices[i].tolist(), routing.scores[i].tolist(), strict=True))


@st.composite
def tokens(draw, *, norm=None, room=False) -> Tokens:
    """Tokens of mixed masks and modes. `room`: every mask leaves at least k experts."""
    count, experts = draw(st.integers(1, 6)), draw(st.integers(2, 9))
    k = draw(st.integers(1, experts - 1))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.1, 1.0, 5.0]))
    norm = draw(st.booleans()) if norm is None else norm

    # A shuffled grid with jitter: random, and no two logits of a token within half a step.
    grid = np.stack([rng.permutation(experts) for _ in range(count)]) - experts / 2
    logits = torch.from_numpy(scale * (grid + rng.uniform(-0.25, 0.25, grid.shape))).float()
    scores, indices = own_routing(logits, k, norm=norm)

    mask = torch.zeros(count, experts, dtype=torch.bool)
    for row in mask:
        size = rng.integers(0, (experts - k if room else experts) + 1)
        row[rng.permutation(experts)[:size]] = True
    modes = (torch.from_numpy(rng.random(count) < 0.5) for _ in range(2))
    return Tokens(logits, scores, indices, mask, *modes)


def without_ties(function):
    # torch's first call alone exceeds hypothesis' deadline.
    return settings(max_examples=80, deadline=None)(function)


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


class TestEdges:
    def test_masked_weight_is_exactly_zero_and_survivors_stay_when_all_underflow(self):
        # The survivors' probabilities are exp(-500), 0 in float32; their ratio is e.
        logits = torch.tensor([[500.0, 1.0, 0.0, -3.0]])
        scores, indices = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0, 1, 2]])
        assert torch.equal(logits.softmax(1)[:, :3], scores)
        mask = torch.tensor([[True, False, False, False]])
        no = torch.tensor([False])
        routing = route(logits, scores, indices, mask, no, no)
        expected = {0: 0.0, 1: 0.7310586, 2: 0.2689414}
        assert weights(routing, 0) == pytest.approx(expected)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
    def test_dtypes_of_logits_and_scores_are_independent(self, dtype):
        # Mixtral's scores are float32 whatever the model's dtype.
        torch.manual_seed(0)
        for logits_dtype in (torch.bfloat16, torch.float16, torch.float32):
            logits = torch.randn(16, 8).to(logits_dtype)
            scores, indices = own_routing(logits, 2, norm=True)
            mask = torch.rand(16, 8) < 0.4
            modes = torch.arange(16) % 2 == 0
            routing = route(logits, scores.to(dtype), indices, mask, modes, modes)
            assert routing.scores.dtype == dtype
            assert routing.indices.dtype == indices.dtype
            assert routing.scores.isfinite().all()
            assert routing.changed.any()

    def test_top_1_is_replaced_by_the_second_at_the_same_weight(self):
        logits = torch.tensor([[3.0, 1.0, 2.0]])
        scores, indices = own_routing(logits, 1, norm=False)
        mask = torch.tensor([[True, False, False]])
        yes = torch.tensor([True])
        routing = route(logits, scores, indices, mask, yes, yes)
        assert routing.indices.tolist() == [[2]]
        assert torch.equal(routing.scores, scores)

    def test_survivors_stay_where_logits_tie(self):
        # Top-3 takes one of many equals; after masking, a plain top-k could take two others.
        logits = torch.tensor([[2.0, 1.5] + [1.0] * 30])
        for third in range(2, 32):
            indices = torch.tensor([[0, 1, third]])
            scores = torch.full((1, 3), 1 / 3)
            mask = torch.zeros(1, 32, dtype=torch.bool)
            mask[0, 0] = True
            yes = torch.tensor([True])
            routing = route(logits, scores, indices, mask, yes, yes)
            assert {1, third} < set(routing.indices[0].tolist())

    def test_replace_with_fewer_than_k_left_uses_those(self):
        logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
        scores, indices = own_routing(logits, 2, norm=True)
        mask = torch.tensor([[True, True, False], [True, True, True]])
        yes = torch.tensor([True, True])
        routing = route(logits, scores, indices, mask, yes, yes)
        assert support(routing, 0) == {2}
        assert routing.scores[0].sum() == 1
        assert support(routing, 1) == set()
        assert routing.emptied.tolist() == [False, True]

    def test_no_branch_depends_on_values(self):
        # Fake tensors have shapes and no values: whoever reads one raises.
        with FakeTensorMode():
            logits, scores = torch.randn(5, 8), torch.rand(5, 2)
            indices = torch.zeros(5, 2, dtype=torch.long)
            modes = torch.zeros(5, dtype=torch.bool)
            routing = route(logits, scores, indices, logits > 0, modes, modes)
        assert routing.scores.shape == (5, 2)
        assert routing.changed.shape == routing.emptied.shape == (5,)

    def test_arguments_are_left_alone(self):
        torch.manual_seed(0)
        logits = torch.randn(4, 8)
        scores, indices = own_routing(logits, 2, norm=False)
        modes = torch.tensor([True, False, True, False])
        given_ = (logits, scores, indices, logits > 0, modes, modes)
        copies = [tensor.clone() for tensor in given_]
        route(*given_)
        assert all(torch.equal(a, b) for a, b in zip(given_, copies, strict=True))


class TestRouterMask:
    def test_neutral_has_no_points_and_keeps_the_rest(self):
        mask = RouterMask(mode="replace_topk", on_empty="zero", points=[(1, 2)])
        assert mask.neutral() == RouterMask(mode="replace_topk", on_empty="zero")
        assert mask.neutral().is_neutral
        assert not mask.is_neutral

    def test_fingerprint_depends_on_every_field(self):
        variants = [
            RouterMask(),
            RouterMask(points=[(0, 1)]),
            RouterMask(points=[(1, 0)]),
            RouterMask(mode="replace_topk"),
            RouterMask(on_empty="zero"),
        ]
        assert len({variant.fingerprint() for variant in variants}) == len(variants)

    def test_survives_json(self):
        mask = RouterMask(mode="replace_topk", points=[(3, 1), (0, 2)])
        assert RouterMask.model_validate_json(mask.model_dump_json()) == mask

    @pytest.mark.parametrize("point", [(-1, 0), (0, -1), (True, 0), (0.0, 1), ("0", 1), (0,)])
    def test_refuses_what_is_no_point(self, point):
        with pytest.raises(ValidationError):
            RouterMask(points=[point])

    def test_rows_of_the_mask_are_the_models_layers(self):
        mask = RouterMask(points=[(3, 0), (1, 2)]).mask([1, 3], 4)
        assert mask.tolist() == [[False, False, True, False], [True, False, False, False]]
        assert mask.dtype == torch.bool

    def test_unknown_layer_is_named(self):
        with pytest.raises(FieldError) as caught:
            RouterMask(points=[(2, 0)]).mask([1, 3, 4, 5], 4)
        assert caught.value.field == "intervention.points"
        assert str(caught.value) == (
            "intervention.points: there is no layer 2, expert 0; the routers are in layers 1, 3-5"
        )

    def test_unknown_expert_is_named(self):
        with pytest.raises(FieldError) as caught:
            check_points([(1, 3), (1, 4)], layers=[1], experts=4)
        assert str(caught.value) == (
            "intervention.points: there is no layer 1, expert 4; the experts of a layer are 0-3"
        )


class TestCount:
    ordering = ((0, 0), (1, 0), (0, 1), (0, 2), (1, 1), (0, 3))

    def test_full_layer_is_named_with_the_largest_count_that_works(self):
        with pytest.raises(FieldError) as caught:
            check_count(self.ordering, 6, mode="replace_topk", experts=4, top_k=2)
        assert caught.value.field == "intervention.count"
        assert str(caught.value) == (
            "intervention.count: 6 points mask 4 routers of layer 0, which has 4 and needs 2 of "
            "them in mode replace_topk; use at most 3 of this ordering"
        )

    @given(st.permutations([(layer, e) for layer in range(2) for e in range(5)]))
    def test_largest_count_works_and_the_next_does_not(self, ordering):
        with pytest.raises(FieldError) as caught:
            check_count(ordering, 10, mode="replace_topk", experts=5, top_k=2)
        most = int(caught.value.problem.split("at most ")[1].split()[0])
        check_count(ordering, most, mode="replace_topk", experts=5, top_k=2)
        assert all(sum(p[0] == layer for p in ordering[:most]) <= 3 for layer in range(2))
        with pytest.raises(FieldError):
            check_count(ordering, most + 1, mode="replace_topk", experts=5, top_k=2)

    def test_keep_topk_may_mask_everything(self):
        check_count(self.ordering, 6, mode="keep_topk", experts=4, top_k=2)

    def test_repeated_points_count_once(self):
        check_count([(0, 0)] * 5, 5, mode="replace_topk", experts=3, top_k=2)

    @pytest.mark.parametrize("mode", ["keep_topk", "replace_topk"])
    def test_dose_beyond_the_ordering(self, mode):
        with pytest.raises(FieldError) as caught:
            check_count(self.ordering, 7, mode=mode, experts=4, top_k=2)
        assert str(caught.value) == (
            "intervention.count: 7 points to mask, but the ordering has 6; use at most 6"
        )


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], "none"), ([4], "4"), ([0, 1, 2], "0-2"), ([5, 1, 3, 2], "1-3, 5"), ([0, 2], "0, 2")],
)
def test_spans(numbers, text):
    assert spans(numbers) == text


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
