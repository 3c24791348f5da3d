"""Masks at the edges of what they are defined for, and the errors of impossible ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch._subclasses.fake_tensor import FakeTensorMode

from harness.errors import FieldError
from harness.interventions.router_logits import check_points, route, spans
from harness.interventions.router_mask.description import RouterMask, check_count
from tests.interventions.router_mask.routed_tokens import own_routing, support, weights


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
