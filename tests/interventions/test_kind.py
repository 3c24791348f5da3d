"""Descriptions of interventions, read back."""

from __future__ import annotations

import json
from inspect import isabstract

from hypothesis import given
from hypothesis import strategies as st

from harness import registry
from harness.interventions.base import Intervention
from harness.interventions.kind import intervention_from, kind_of
from harness.interventions.router_mask.description import RouterMask

POINTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 200)), max_size=5).map(tuple)


@given(
    st.sampled_from(["keep_topk", "replace_topk"]), st.sampled_from(["fallback", "zero"]), POINTS
)
def test_a_router_mask_comes_back_equal(mode, on_empty, points):
    mask = RouterMask(mode=mode, on_empty=on_empty, points=points)
    read = intervention_from(json.loads(json.dumps(mask.model_dump(mode="json"))))
    assert read == mask
    assert read.fingerprint() == mask.fingerprint()


def test_every_kind_is_known():
    known = {kind_of(name).description for name in registry.interventions.names()}
    waiting, ours = [Intervention], set()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        private = kind.__name__.startswith("_")  # a canary's, or a stand-in for what is unmeasured
        # What a measure or an identity does to a model by itself is in no spec, and no kind.
        if (
            kind.__module__.startswith("harness.interventions.")
            and not isabstract(kind)
            and not private
        ):
            ours.add(kind)
    assert known == ours


def test_a_copy_has_a_fingerprint_of_its_own():
    mask = RouterMask(points=((0, 1),))
    mask.fingerprint()
    assert mask.neutral().fingerprint() == RouterMask().fingerprint() != mask.fingerprint()
