"""What is declared: complete, the same after a journey, and named where it is missing."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from harness.engines.declared import Declared, Steered
from tests.engines.vllm.requests_of import masks, steerings
from tests.kinds.ban import Ban
from tests.kinds.clamp import Clamp

places = st.tuples(st.integers(0, 2), st.sampled_from(["block", "attention", "mlp"]))
declarations = st.builds(
    Declared,
    masks=st.booleans(),
    router_logits=st.booleans(),
    steered=st.dictionaries(
        places, st.builds(Steered, terms=st.integers(1, 3), conditional=st.booleans())
    ),
    read=st.frozensets(places),
    logits=st.booleans(),
    changed=st.frozensets(places),
)


@given(declarations, declarations)
def test_both_together_have_what_each_needs(one, other):
    both = one | other
    assert both.lacks(one) is both.lacks(other) is None
    assert (one.lacks(other) is None) == (one | other == one)
    assert Declared.from_json(json.loads(json.dumps(both.to_json()))) == both


def test_what_interventions_need():
    needed = Declared.of([None, *masks(), *steerings(8)])
    assert needed.masks
    assert not needed.router_logits
    assert not needed.logits
    assert Declared.of([Ban(strength=1.0)]) == Declared(logits=True)
    clamped = Declared.of([Clamp(layers=(0, 2), limit=1.0)])
    assert clamped == Declared(changed=frozenset({(0, "mlp"), (2, "mlp")}))
    assert needed.steered == {
        (0, "block"): Steered(1),
        (0, "mlp"): Steered(1),
        (1, "attention"): Steered(1),
        (1, "block"): Steered(2, conditional=True),
    }
    assert Declared.of([each.neutral() for each in (*masks(), *steerings(8), Ban())]) == Declared()


def test_what_is_missing_is_said():
    have = Declared(steered={(1, "block"): Steered(1)})
    assert have.lacks(Declared(masks=True)) == "router masks"
    assert have.lacks(Declared(router_logits=True)) == "reading router logits"
    assert have.lacks(Declared(logits=True)) == "changing next-token logits"
    two = Declared(steered={(1, "block"): Steered(2)})
    assert have.lacks(two) == "2 steering term(s) at layer 1, block"
    conditional = Declared(steered={(1, "block"): Steered(1, conditional=True)})
    assert have.lacks(conditional) == "conditional steering at layer 1, block"
    assert have.lacks(Declared(read=frozenset({(0, "mlp")}))) == "reading layer 0, mlp"
    changed = Declared(changed=frozenset({(1, "mlp")}))
    assert have.lacks(changed) == "a function of hidden states at layer 1, mlp"
