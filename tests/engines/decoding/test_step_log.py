"""Logs of steps are the ranks, probabilities and entropies of both distributions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.contract import Capture, Reading, Request
from harness.engines.decoding.step_log import LOGGED, step_log, traces_of
from harness.engines.transformers.engine import TransformersEngine
from harness.metrics.column import STEPS
from harness.sampling.chosen import SamplingRules

WARM = SamplingRules(temperature=1.5, top_k=5)


@given(st.integers(0, 1000))
def test_a_log_is_what_float64_says(seed):
    logits = torch.randn(4, 20, generator=torch.Generator().manual_seed(seed)) * 3
    left = (logits / 1.5).masked_fill(logits < logits.amax(-1, keepdim=True) - 3, -torch.inf)
    tokens = left.argsort(dim=-1, descending=True)[:, 0]
    log = step_log(logits, left, tokens).double()
    assert log.shape == (4, len(STEPS))
    for first, each in ((0, logits), (4, left)):
        probabilities = each.double().softmax(-1)
        entropy = -probabilities.xlogy(probabilities).sum(-1)
        chosen = probabilities.gather(-1, tokens[:, None])[:, 0]
        expected = torch.stack([torch.ones(4), chosen, probabilities.amax(-1), entropy], -1)
        assert torch.allclose(log[:, first : first + 4], expected, atol=1e-5)


@pytest.mark.parametrize("drafts", [True, False])
def test_an_engine_logs_every_token_of_requests_that_ask(loaded, drafts):
    asked = [
        Request((5, 6, 7), 9, sampling=WARM, sample="s", draw=draw, logged=True)
        for draw in range(3)
    ]
    plain = replace(asked[0], logged=False)
    assert plain.key() != asked[0].key()
    engine = TransformersEngine(loaded, drafts=drafts)
    done = dict(engine.generate([*asked, plain]))
    assert done[3].traces == {}
    assert done[3].tokens == done[0].tokens
    for completion in (done[0], done[1], done[2]):
        traces = completion.traces
        assert [*traces] == [column.name for column in STEPS]
        assert {len(values) for values in traces.values()} == {len(completion.tokens)}
        tokens = (5, 6, 7, *completion.tokens)
        vocabulary = loaded.model.get_input_embeddings().num_embeddings
        capture = Capture(
            top_log_probabilities=vocabulary,
            positions=tuple(range(2, 2 + len(completion.tokens))),
        )
        ((_, read),) = engine.forward([Reading(tokens, capture)])
        for at, token in enumerate(completion.tokens):
            scores = read.top_log_probabilities[at].double()
            rank = read.top_tokens[at].tolist().index(token)
            assert traces["rank"][at] == rank + 1
            assert traces["probability"][at] == pytest.approx(scores[rank].exp().item(), abs=1e-5)
            assert traces["top_probability"][at] == pytest.approx(scores[0].exp().item(), abs=1e-5)
            entropy = -(scores.exp() * scores).sum().item()
            assert traces["entropy"][at] == pytest.approx(entropy, abs=1e-4)
            drawn = (scores[:5] / 1.5).softmax(-1)
            assert traces["drawn_rank"][at] == rank + 1 <= 5
            assert traces["drawn_probability"][at] == pytest.approx(drawn[rank].item(), abs=1e-5)


def test_traces_are_by_column():
    assert tuple(column.name for column in STEPS) == LOGGED
    assert traces_of([]) == {}
    assert traces_of([[1.0] * 8, [2.0] * 8])["rank"] == (1.0, 2.0)
