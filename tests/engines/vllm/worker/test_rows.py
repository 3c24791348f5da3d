"""Which condition each token uses, against the definition applied token by token."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.vllm.worker.row_tables import Tables
from harness.engines.vllm.worker.rows import RowMap
from harness.engines.vllm.worker.scheduled import Scheduled, ScheduledRequests
from harness.interventions.array import Array
from harness.interventions.residual import Doses, Term, doses_at, timing

COLUMNS, TOKENS = 3, 64
VECTOR = Array(torch.ones(2))


@st.composite
def terms(draw):
    """A term's timing, its rows, and the doses of its steps."""
    positions = draw(
        st.sampled_from(["all", "prompt", "generated", "from_last_prompt_token"]), label="rule"
    )
    schedules = ["constant"]
    if positions != "prompt":
        schedules += ["start_only", "diminishing"]
    if positions in ("generated", "from_last_prompt_token"):
        schedules.append("given")
    schedule = draw(st.sampled_from(schedules))
    given = draw(st.lists(st.sampled_from([0.0, 1.0, -0.5]), max_size=4))
    term = Term(
        layer=0,
        vector=VECTOR,
        alpha=draw(st.sampled_from([1.0, -2.0])),
        positions=positions,
        schedule=schedule,
        over=3 if schedule == "diminishing" else None,
        given=tuple(given) if schedule == "given" else (),
    )
    vectors = draw(st.integers(1, 3)) if schedule == "given" else 1
    return term, draw(st.integers(1, 9)), draw(st.integers(0, 4)), vectors


requests = st.one_of(
    st.none(),
    st.tuples(
        st.integers(0, 5),  # its mask's row
        st.lists(terms(), max_size=COLUMNS),
        st.integers(1, 6),  # tokens of its prompt
        st.tuples(  # the row of its function of hidden states, and the positions it is for
            st.integers(0, 3),
            st.integers(0, 6).map(float),
            st.sampled_from([3.0, 7.0, float("inf")]),
        ),
    ),
)
passes = st.lists(
    st.lists(st.tuples(requests, st.integers(0, 9), st.integers(1, 5)), max_size=5), max_size=4
)


def _scheduled(request, start):
    mask, held, prompt, states = request
    rows = [
        [column, *timing(term, prompt), vector, gate]
        for column, (term, vector, gate, _) in enumerate(held)
    ]
    return Scheduled(
        mask=mask,
        terms=np.array(rows, np.float64).reshape(-1, 8),
        given=[list(term.given) if term.schedule == "given" else None for term, *_ in held],
        vectors=[vectors for *_, vectors in held],
        counted=False,
        captured=False,
        states=states,
        start=start,
    )


def _dose(term, prompt, position):
    row = torch.tensor(timing(term, prompt))[:, None].unbind(0)
    dose = float(doses_at(Doses(*row), torch.tensor([[position]])))
    step = position - int(timing(term, prompt)[3])
    if term.schedule == "given":
        dose *= term.given[step] if 0 <= step < len(term.given) else 0.0
    return dose, step


@given(passes)
def test_every_token_has_its_own_mask_and_doses_and_nothing_of_an_earlier_pass(passes):
    tables = Tables(tokens=TOKENS, rows=16, device=torch.device("cpu"), static=True)
    tables.widen(COLUMNS)
    registry, names = ScheduledRequests(), itertools.count()
    rows = RowMap(tables, registry)
    for laid in passes:
        order = []
        registry.requests.clear()
        registry.version += 1
        for request, start, _ in laid:
            name = f"r{next(names)}"
            order.append(name)
            if request is not None:
                registry.requests[name] = _scheduled(request, start)
        rows.begin(order, np.array([count for *_, count in laid], np.int64))
        masks = torch.zeros(TOKENS, dtype=torch.int64)
        doses = torch.zeros(COLUMNS, TOKENS)
        changed, token = {}, 0
        for request, start, count in laid:
            for position in range(start, start + count):
                if request is not None:
                    mask, held, prompt, (states, first, last) = request
                    if states and first <= position < last:
                        changed[token] = states
                    masks[token] = mask
                    for column, (term, vector, gate, vectors) in enumerate(held):
                        dose, step = _dose(term, prompt, position)
                        doses[column, token] = dose
                        row = vector + min(max(step, 0), vectors - 1) if vectors > 1 else vector
                        assert tables.vector_rows[column, token] == row
                        assert tables.gate_rows[column, token] == gate
                token += 1
        assert torch.equal(tables.mask_rows, masks)
        assert torch.allclose(tables.doses, doses)
        assert tables.dosed == {column for column in range(COLUMNS) if doses[column].any()}
        assert tables.masked == bool(masks.any())
        assert tables.changed_tokens.tolist() == list(changed)
        assert tables.changed_rows.tolist() == list(changed.values())


def test_decoding_at_a_constant_dose_writes_nothing(monkeypatch):
    tables = Tables(tokens=TOKENS, rows=16, device=torch.device("cpu"), static=False)
    tables.widen(1)
    registry = ScheduledRequests()
    term = Term(layer=0, vector=VECTOR, alpha=1.0)
    registry.requests["a"] = _scheduled((2, [(term, 1, 0, 1)], 3, (0, 0, 0)), 5)
    rows = RowMap(tables, registry)
    rows.begin(["a", "other"], np.array([1, 1]))
    written = []
    monkeypatch.setattr("harness.engines.vllm.worker.rows._write", lambda *it: written.append(it))
    for _ in range(3):
        registry.requests["a"].start += 1
        rows.begin(["a", "other"], np.array([1, 1]))
    assert written == []
    rows.begin(["other", "a"], np.array([1, 1]))
    assert written
