"""Rows under masks of their own, against each mask alone on the model's routers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engines.transformers.router_rows import RouterRows
from harness.interventions.router_logits import route
from harness.interventions.router_mask.description import RouterMask
from harness.models.routers import router_sites

SLOTS, COLUMNS = 5, 16
PROPERTY = settings(max_examples=40, deadline=None)
masks = st.none() | st.builds(
    RouterMask,
    mode=st.sampled_from(["keep_topk", "replace_topk"]),
    on_empty=st.sampled_from(["fallback", "zero"]),
    points=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 7)), max_size=12).map(tuple),
)


def hidden(rows: int, width: int) -> torch.Tensor:
    return torch.randn(rows, width, 32, generator=torch.Generator().manual_seed(rows * width))


@PROPERTY
@given(st.lists(masks, min_size=SLOTS, max_size=SLOTS), st.integers(1, 3), st.data())
def test_every_row_is_routed_and_counted_under_its_own_mask(moe, masks_, width, data):
    first = data.draw(st.integers(0, SLOTS - 1))
    slots = slice(first, data.draw(st.integers(first + 1, SLOTS)))
    own = masks_[slots]
    rows = RouterRows(RouterMask, moe.model, SLOTS, COLUMNS)
    for slot, mask in enumerate(masks_):
        rows.assign(slot, mask, kept=0, prompt=0)
    states = hidden(len(own), width)
    sites = router_sites(moe.model)
    plain = [site.module(states.flatten(0, 1)) for site in sites]
    rows.attach()
    try:
        positions = torch.arange(width).expand(len(own), width)
        rows.begin(slots, positions, positions)
        routed = [site.module(states.flatten(0, 1)) for site in sites]
        rows.end()
    finally:
        rows.detach()
    no = torch.zeros(width, dtype=torch.bool)
    for row, mask in enumerate(own):
        tokens = slice(row * width, (row + 1) * width)
        changed = emptied = 0
        for layer, ((logits, scores, indices), output) in enumerate(
            zip(plain, routed, strict=True)
        ):
            assert torch.equal(output[0], logits)
            expected = scores[tokens], indices[tokens]
            if mask is not None:
                routing = route(
                    logits[tokens],
                    *expected,
                    mask=mask.mask([0, 1], 8)[layer].expand(width, -1),
                    replace=no | (mask.mode == "replace_topk"),
                    zero_on_empty=no | (mask.on_empty == "zero"),
                )
                expected = routing.scores, routing.indices
                changed += int(routing.changed.sum())
                emptied += int(routing.emptied.sum())
            assert torch.equal(output[1][tokens], expected[0])
            assert torch.equal(output[2][tokens], expected[1])
        counted = {"routed": 2 * width, "changed": changed, "emptied": emptied}
        masked = mask is not None and mask.points
        assert rows.counts(first + row, width) == (counted if masked else {})


@PROPERTY
@given(st.lists(masks, min_size=3, max_size=3))
def test_masks_and_counts_follow_their_sequences(moe, masks_):
    rows = RouterRows(RouterMask, moe.model, 3, COLUMNS)
    for slot, mask in enumerate(masks_):
        rows.assign(slot, mask, kept=0, prompt=0)
    (site, _) = router_sites(moe.model)
    rows.attach()
    try:
        positions = torch.arange(2).expand(3, 2)
        rows.begin(slice(0, 3), positions, positions)
        site.module(hidden(3, 2).flatten(0, 1))
        rows.end()
    finally:
        rows.detach()
    before = [rows.counts(slot, 2) for slot in range(3)]
    rows.swap(0, 2, columns=2)
    assert [rows.counts(slot, 2) for slot in range(3)] == [before[2], before[1], before[0]]
    rows.move(2, 1, columns=2)
    assert rows.counts(1, 2) == before[0]
    # A new sequence counts from nothing, above the columns that it took over.
    rows.assign(1, MASKED, kept=0, prompt=0)
    assert rows.counts(1, 2) == {"routed": 4, "changed": 0, "emptied": 0}


MASKED = RouterMask(points=((0, 1),))


@pytest.mark.parametrize("untouched", [None, RouterMask(), RouterMask(mode="replace_topk")])
def test_a_pass_in_which_nobody_is_masked_gets_the_routers_own_output(moe, untouched):
    rows = RouterRows(RouterMask, moe.model, 2, COLUMNS)
    rows.assign(0, MASKED, kept=0, prompt=0)
    rows.assign(1, untouched, kept=0, prompt=0)
    site = router_sites(moe.model)[0]
    own = []
    first = site.module.register_forward_hook(lambda module, args, output: own.append(output))
    rows.attach()
    try:
        rows.begin(slice(1, 2), *[torch.zeros(1, 1, dtype=torch.long)] * 2)
        seen = site.module(hidden(1, 1)[0])
        assert all(a is b for a, b in zip(seen, own[0], strict=True))
        rows.begin(slice(0, 2), *[torch.zeros(2, 1, dtype=torch.long)] * 2)
        assert site.module(hidden(2, 1)[:, 0])[1] is not own[1][1]
    finally:
        first.remove()
        rows.detach()
