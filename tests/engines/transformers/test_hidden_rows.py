"""Functions of hidden states: what a plain hook on whole sequences does, in any batch."""

from __future__ import annotations

import pytest
import torch

from harness import registry
from harness.engines import check_kind
from harness.engines.contract import Request
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import FieldError
from harness.interventions.residual import spanned
from harness.models.loading import load
from harness.models.sites import site_module
from tests.kinds.ablate import ablate
from tests.kinds.clamp import Clamp

PROMPTS = [(1, 5, 9, 4), (1, 7, 3), (1, 2, 3, 4, 8, 6)]
NEW = 6


@pytest.fixture(scope="module")
def loaded():
    return load("zoo/moe", device="cpu")


def plainly(loaded, prompt, dose):
    """Greedy decoding by whole sequences, with a hook that changes them as they are."""
    tokens = list(prompt)
    first, last = spanned(dose.positions, len(prompt))
    width = loaded.model.config.hidden_size

    def hooked(rows):
        def hook(_module, _inputs, output):
            hidden = output[0] if isinstance(output, tuple) else output
            at = [p for p in range(hidden.shape[1]) if first <= p < last]
            own = {name: row.expand(len(at), *row.shape) for name, row in rows.items()}
            hidden = hidden.clone()
            hidden[0, at] = dose.changed(hidden[0, at], own)
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return hook

    hooks = [
        site_module(loaded.model, *place).register_forward_hook(hooked(rows))
        for place, rows in dose.rows(width).items()
    ]
    try:
        for _ in range(NEW):
            logits = loaded.model(torch.tensor([tokens])).logits[0, -1]
            tokens.append(int(logits.argmax()))
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(tokens[len(prompt) :])


@pytest.mark.parametrize("positions", ["all", "prompt", "generated", "from_last_prompt_token"])
def test_tokens_are_those_of_a_plain_hook_in_one_mixed_batch(loaded, positions):
    config = loaded.model.config
    doses = [
        ablate(config, 1.0, positions=positions),
        ablate(config, 8.0, layer=2, positions=positions),
        Clamp(layers=(0, 2), limit=0.02, positions=positions),
        Clamp(layers=(1,), limit=0.3, positions=positions),
    ]
    requests = [Request(p, NEW, dose) for p in PROMPTS for dose in (*doses, None)]
    engine = TransformersEngine(loaded, slots=4)
    made = {requests[at]: completion.tokens for at, completion in engine.generate(requests)}
    plain = {at: made[Request(prompt, NEW)] for at, prompt in enumerate(PROMPTS)}
    for request, tokens in made.items():
        if request.intervention is not None:
            expected = plainly(loaded, request.prompt, request.intervention)
            assert tokens == expected[: len(tokens)]  # which may have ended before
    changed = sum(
        made[Request(prompt, NEW, dose)] != plain[at]
        for at, prompt in enumerate(PROMPTS)
        for dose in doses
    )
    assert changed >= 3


def test_a_dose_of_nothing_is_the_model(loaded):
    engine = TransformersEngine(loaded, drafts=False)  # a draft widens a pass
    neutral = Request(PROMPTS[0], NEW, ablate(loaded.model.config, 1.0).neutral())
    ((_, untouched),) = engine.generate([Request(PROMPTS[0], NEW)])
    ((_, made),) = engine.generate([neutral])
    assert made.log_probabilities == untouched.log_probabilities


def test_rows_that_are_not_those_of_the_places_are_refused(loaded, monkeypatch):
    monkeypatch.setattr(Clamp, "places", lambda self: frozenset({(1, "mlp")}))
    ((_, refused),) = TransformersEngine(loaded).generate([Request((1, 2), 2, Clamp(limit=1.0))])
    assert "clamp has rows for [(0, 'mlp')], and its places are [(1, 'mlp')]" in refused.error


def test_what_a_model_or_an_engine_lacks_is_refused_by_name(loaded):
    ((_, refused),) = TransformersEngine(loaded).generate(
        [Request((1, 2), 2, ablate(loaded.model.config, 1.0, layer=99))]
    )
    assert refused.finish_reason == "error"
    assert "there is no layer 99; the model has layers 0-" in refused.error
    registry.interventions.register("ablate", "tests.kinds.ablate:KIND")
    try:
        with pytest.raises(FieldError, match="served does not run interventions of kind ablate"):
            check_kind("served", "ablate")
    finally:
        registry.interventions.unregister("ablate")
