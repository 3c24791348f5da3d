"""Aligned ids under their mask are decoded and read as what they are: the compacted sequence."""

from __future__ import annotations

import pytest
import torch

from harness.engines.contract import Capture, Reading, Request
from harness.engines.transformers.engine import TransformersEngine
from harness.models.loading import load

NEW_TOKENS = 24
KEYS = [f"microhumaneval_{number}" for number in (0, 3, 7, 11, 19)]


@pytest.fixture(scope="module")
def loaded():
    return load("zoo/moe", device="cpu")


@pytest.fixture(scope="module")
def engine(loaded):
    return TransformersEngine(loaded)


def generated(loaded, ids, mask):
    """Greedy continuation by transformers' own `generate`."""
    output = loaded.model.generate(
        input_ids=torch.tensor([ids]),
        attention_mask=torch.tensor([mask]),
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        eos_token_id=sorted(loaded.end_tokens),
        pad_token_id=loaded.tokenizer.pad_token_id,
    )
    return output[0, len(ids) :].tolist()


def test_generate_on_aligned_ids_equals_generate_on_the_compacted_ones(loaded, engine, micro):
    pairs = [micro[key][1] for key in KEYS]
    requests = [Request(pair.prompt("assisted"), NEW_TOKENS) for pair in pairs]
    ours = dict(engine.generate(requests))
    for at, pair in enumerate(pairs):
        fence = pair.canonical_positions.fence_start
        ids, mask = (
            pair.assisted_aligned_ids[:fence],
            pair.assisted_aligned_attention_mask[:fence],
        )
        assert 0 in mask
        aligned = generated(loaded, ids, mask)
        compacted = generated(loaded, pair.prompt("assisted"), [1] * sum(mask))
        assert aligned == compacted
        assert list(ours[at].tokens) == compacted


def test_reading_sees_the_positions_that_decoding_sees(loaded, engine, micro):
    """Forward log-probabilities are those of decoding, not of a sequence with holes."""
    (pair,) = [micro[key][1] for key in KEYS[:1]]
    ids = torch.tensor([pair.assisted_aligned_ids])
    mask = torch.tensor([pair.assisted_aligned_attention_mask])
    squeezed = (mask.cumsum(-1) - 1).clamp(min=0)
    agentic, assisted = pair.shared_positions()

    def scores(**positions):
        with torch.no_grad():
            logits = loaded.model(input_ids=ids, attention_mask=mask, **positions).logits
        log = logits.log_softmax(-1)
        return torch.tensor([log[0, at - 1, pair.agentic_ids[at]] for at in agentic])

    capture = Capture(token_log_probabilities=True, positions=assisted)
    ((_, ours),) = engine.forward([Reading(pair.sequence("assisted"), capture)])
    torch.testing.assert_close(
        ours.token_log_probabilities, scores(position_ids=squeezed), atol=1e-5, rtol=0
    )
    holes = scores(position_ids=torch.arange(ids.shape[1])[None])
    assert (ours.token_log_probabilities - holes).abs().max() > 1e-4
