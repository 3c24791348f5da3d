"""The mathematics of steering against definitions written out position by position."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.errors import FieldError
from harness.interventions.array import Array
from harness.interventions.residual import (
    Condition,
    Doses,
    Term,
    check_terms,
    doses_at,
    fires,
    steer,
    timing,
)
from harness.interventions.steering.description import Steering

WIDTH = 4
VECTOR = Array([1.0, -2.0, 0.5, 3.0])
ALPHAS = st.floats(-3, 3, width=32)
POSITIONS = st.sampled_from(["all", "prompt", "generated", "from_last_prompt_token"])


@st.composite
def terms(draw):
    positions = draw(POSITIONS)
    schedules = ["constant"]
    if positions != "prompt":
        schedules += ["start_only", "diminishing"]
    schedule = draw(st.sampled_from(schedules))
    return Term(
        layer=draw(st.integers(0, 3)),
        site=draw(st.sampled_from(["block", "attention", "mlp"])),
        vector=VECTOR,
        alpha=draw(ALPHAS),
        positions=positions,
        schedule=schedule,
        over=draw(st.integers(1, 9)) if schedule == "diminishing" else None,
    )


def defined_dose(term: Term, prompt: int, position: int) -> float:
    """The docstring's definition, one position at a time."""
    inside = {
        "all": True,
        "prompt": position < prompt,
        "generated": position >= prompt,
        "from_last_prompt_token": position >= prompt - 1,
    }[term.positions]
    if not inside or position < 0:
        return 0.0
    step = position - (prompt if term.positions == "generated" else prompt - 1)
    if term.schedule == "start_only":
        return term.alpha if step <= 0 else 0.0
    if term.schedule == "diminishing":
        return term.alpha * max(0.0, 1 - max(0, step) / term.over)
    return term.alpha


def rows(*timings: tuple[float, ...]) -> Doses:
    return Doses(*torch.tensor(timings).unbind(dim=1))


@given(st.lists(st.tuples(terms(), st.integers(1, 8)), min_size=1, max_size=4))
def test_every_row_has_its_own_dose_at_every_position(pairs):
    positions = torch.arange(-1, 15).expand(len(pairs), -1)
    doses = doses_at(rows(*(timing(term, prompt) for term, prompt in pairs)), positions)
    expected = [
        [defined_dose(term, prompt, position) for position in range(-1, 15)]
        for term, prompt in pairs
    ]
    torch.testing.assert_close(doses, torch.tensor(expected), rtol=1e-6, atol=1e-7)


@given(st.integers(0, 2**31), ALPHAS, ALPHAS)
def test_the_effect_is_linear_in_alpha_and_in_the_vector(seed, one, other):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(2, 3, WIDTH, generator=generator, dtype=torch.float64).float()
    vectors = torch.randn(2, WIDTH, generator=generator)

    def at(alpha, vector=vectors, start=hidden):
        return steer(start, vector[:, None], torch.full((2, 3), alpha))

    exact = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(at(one) - hidden, (one * vectors)[:, None].expand(2, 3, -1), **exact)
    torch.testing.assert_close(at(other, start=at(one)), at(one + other), **exact)
    torch.testing.assert_close(at(one), at(one / 4, vector=vectors * 4), **exact)
    torch.testing.assert_close(at(-one), at(one, vector=-vectors), **exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_token_without_dose_is_returned_bit_for_bit(dtype):
    hidden = torch.tensor([[[-0.0, 1.5, 3e-40, 7.0], [1.0, 2.0, 3.0, 4.0]]], dtype=dtype)
    before = hidden.clone()
    steered = steer(hidden, torch.full((1, 1, WIDTH), 1e38), torch.tensor([[0.0, 1e-38]]))
    bits = torch.int16 if dtype == torch.bfloat16 else torch.int32
    assert torch.equal(steered[0, 0].view(bits), before[0, 0].view(bits))
    assert not torch.equal(steered[0, 1], before[0, 1])
    assert torch.equal(hidden.view(bits), before.view(bits)), "the model's own tensor was changed"


@given(st.integers(0, 2**31), st.booleans(), st.floats(-0.9, 0.9))
def test_a_condition_is_a_cosine_or_a_probability_above_its_threshold(seed, cosine, threshold):
    generator = np.random.default_rng(seed)
    hidden = generator.normal(size=(1, 5, WIDTH)).astype(np.float32)
    direction = generator.normal(size=WIDTH).astype(np.float32)
    bias = float(generator.normal())
    dots = hidden[0].astype(np.float64) @ direction.astype(np.float64)
    if cosine:
        score = dots / (np.linalg.norm(hidden[0], axis=1) * np.linalg.norm(direction))
    else:
        score = 1 / (1 + np.exp(-(dots + bias)))
    found = fires(
        torch.from_numpy(hidden),
        torch.from_numpy(direction)[None],
        torch.tensor([threshold]),
        torch.tensor([bias]),
        torch.tensor([cosine]),
    )
    clear = np.abs(score - threshold) > 1e-5
    assert (found[0].numpy() == (score > threshold))[clear].all()


@given(st.lists(terms(), max_size=3), st.randoms())
def test_order_and_terms_without_dose_mean_nothing(many, random):
    shuffled = random.sample(many, len(many))
    silent = [Term(layer=0, vector=VECTOR, alpha=0.0)]
    one, other = Steering(terms=tuple(many)), Steering(terms=(*shuffled, *silent))
    assert one == other
    assert one.fingerprint() == other.fingerprint()
    again = Steering.model_validate_json(one.model_dump_json())
    assert again == one


def test_neutral_is_no_term_at_all():
    steering = Steering(terms=(Term(layer=1, vector=VECTOR, alpha=2.0),))
    assert not steering.is_neutral
    assert steering.neutral().is_neutral
    assert steering.neutral() == Steering(terms=(Term(layer=1, vector=VECTOR, alpha=0.0),))


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": 2.5},
        {"vector": Array([1.0, -2.0, 0.5, 3.001])},
        {"layer": 2},
        {"site": "mlp"},
        {"positions": "generated"},
        {"schedule": "start_only"},
        {"condition": Condition(kind="cosine", direction=VECTOR, threshold=0.1)},
    ],
)
def test_whatever_changes_the_effect_changes_the_fingerprint(change):
    term = Term(layer=1, vector=VECTOR, alpha=2.0)
    changed = term.model_copy(update=change)
    assert Steering(terms=(term,)).fingerprint() != Steering(terms=(changed,)).fingerprint()


@given(terms(), st.integers(1, 12), st.integers(0, 14))
def test_a_prefix_is_shared_exactly_as_far_as_nothing_is_done_to_it(term, prompt, length):
    steering = Steering(terms=(term,))
    touched = any(
        defined_dose(term.model_copy(update={"schedule": "constant", "over": None}), prompt, p)
        for p in range(length)
    )
    assert (steering.prefix_key(length, prompt) != "") == touched
    longer = steering.prefix_key(length, prompt + 1)
    if touched and term.positions != "all":
        assert steering.prefix_key(length, prompt) != longer
    if term.positions == "all" and term.schedule == "constant":
        assert steering.prefix_key(length, prompt) == longer


def test_doses_of_steps_to_come_do_not_part_sequences():
    def given(*doses):
        term = Term(layer=1, vector=VECTOR, alpha=1.0, schedule="given", given=doses)
        return Steering(terms=(term,))

    one, longer, other = given(0.5, 1.0), given(0.5, 1.0, 2.0), given(0.5, 1.5)
    prompt = 4
    # Position 3 is step 0, position 4 is step 1.
    for length in range(4):
        assert one.prefix_key(length, prompt) == ""
    assert one.prefix_key(4, prompt) == longer.prefix_key(4, prompt) == other.prefix_key(4, prompt)
    assert one.prefix_key(5, prompt) == longer.prefix_key(5, prompt)
    assert one.prefix_key(5, prompt) != other.prefix_key(5, prompt)
    assert one.prefix_key(6, prompt) != longer.prefix_key(6, prompt)
    assert len({one.fingerprint(), longer.fingerprint(), other.fingerprint()}) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schedule": "diminishing"}, "`over` belongs to the schedule diminishing"),
        ({"over": 4}, "`over` belongs to the schedule diminishing"),
        ({"positions": "prompt", "schedule": "start_only"}, "its schedule is constant"),
        ({"alpha": math.nan}, "finite"),
        ({"layer": -1}, "greater than or equal to 0"),
        ({"given": (1.0,)}, "`given` doses belong to the schedule given"),
        ({"schedule": "given", "positions": "all"}, "counted from the last prompt token"),
        ({"vector": Array([[1.0, 2.0]])}, r"one axis, not the shape \[1, 2\]"),
    ],
)
def test_impossible_terms_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        Term(**{"layer": 0, "vector": VECTOR, "alpha": 1.0, **fields})


def test_a_model_refuses_layers_and_widths_that_it_does_not_have():
    steering = Steering(terms=(Term(layer=4, vector=VECTOR, alpha=1.0),))
    with pytest.raises(FieldError, match=r"there is no layer 4; the model's layers are 0-3"):
        check_terms(steering.terms, layers=4, width=WIDTH)
    with pytest.raises(FieldError, match=r"shape \[4\] at layer 4, .* have 8 numbers"):
        check_terms(steering.terms, layers=5, width=8)
    check_terms(steering.terms, layers=5, width=WIDTH)


@pytest.mark.parametrize("value", [1e39, -1e300, 1e-60])
@pytest.mark.parametrize("field", ["alpha", "given"])
def test_a_dose_that_float32_cannot_hold_is_refused(field, value):
    given = {"alpha": 1.0, "schedule": "given", "given": (value,)}
    fields = given if field == "given" else {"alpha": value}
    with pytest.raises(ValidationError, match="beyond what float32 holds"):
        Term(layer=0, vector=torch.ones(4), **fields)


@pytest.mark.parametrize(("alpha", "finite"), [(1e18, True), (1e20, False), (3e38, False)])
def test_a_state_whose_norm_overflows_is_not_finite(alpha, finite):
    """A norm would make zeros of it, and the model's answer the same for every input."""
    hidden, vectors = torch.zeros(2, 3, 4), torch.ones(2, 1, 4)
    doses = torch.tensor([[0.0, alpha, 0.0], [0.0] * 3])
    steered = steer(hidden, vectors, doses)
    assert bool(steered[0, 1].isfinite().all()) == finite
    steered[0, 1] = 0
    assert torch.equal(steered, hidden)
