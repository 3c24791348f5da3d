"""Kinds that no engine knows, on vLLM beside transformers: by their mechanisms alone."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from harness import registry
from harness.engines.contract import Capture, Reading, Request, Scoring
from harness.engines.declared import Declared
from harness.engines.vllm.engine import VllmEngine
from harness.engines.vllm.worker.states import ChangedStates
from harness.errors import FieldError
from harness.interventions.array import Array
from harness.interventions.next_token_logits import NextTokenLogits
from harness.interventions.router_logits import ExpertMask, RouterLogits, Routing, route
from harness.invariants import check_all, checks
from harness.invariants.dac import doses
from harness.models.sites import hidden_shape
from harness.sampling.chosen import SamplingRules
from harness.spec import EngineSettings
from tests.engines.vllm.requests_of import DRAWS, functions, masks, prompts, steerings
from tests.kinds.ablate import ablate
from tests.kinds.ban import Ban
from tests.kinds.clamp import Clamp
from tests.kinds.doubt import Doubt
from tests.kinds.flatten import Flatten
from tests.kinds.nudge import Nudge


class Mute(RouterLogits):
    """One expert is muted in every layer, which is a mask to engines that know masks."""

    kind: Literal["mute"] = "mute"
    expert: int | None = None

    def neutral(self):
        return Mute()

    def rows(self, layers, experts):
        muted = torch.zeros(len(layers), experts, dtype=torch.bool)
        if self.expert is not None:
            muted[:, self.expert] = True
        return {"muted": muted}

    @staticmethod
    def routed(logits, scores, indices, rows) -> Routing:
        muted = rows["muted"]
        never = torch.zeros_like(muted[:, 0])
        return route(logits, scores, indices, mask=muted, replace=None, zero_on_empty=never)

    def masked(self):
        layers = () if self.expert is None else range(4)
        points = tuple((layer, self.expert) for layer in layers)
        return ExpertMask(points, replace=False, zero=False)


class Favour(NextTokenLogits):
    """One token is more probable while the first three are generated."""

    kind: Literal["favour"] = "favour"
    token: int = 0
    amount: float = 0.0

    def neutral(self):
        return Favour()

    def rows(self, vocabulary):
        return {
            "favoured": torch.nn.functional.one_hot(torch.tensor(self.token), vocabulary)
            * self.amount
        }

    @staticmethod
    def changed(logits, rows, steps):
        early = (steps >= 0) & (steps < 3)
        return logits + rows["favoured"] * early[:, None]


def all_of(engine, queue):
    completions = dict(engine.generate(queue))
    return [completions[place] for place in range(len(queue))]


def test_other_kinds_give_what_transformers_gives(served):
    vllm, transformers = served
    config = transformers.loaded.model.config
    layers, width = hidden_shape(config)
    signs = Array([1.0, -1.0] * (width // 2))
    own = [Nudge(layer=layers - 1, amount=each, signs=signs) for each in (0.0, 0.5, -4.0)]
    queue = [
        Request(prompt, 5, each, SamplingRules(temperature=warmth), sample=str(number))
        for number, prompt in enumerate(prompts(vllm.tokenizer)[:2])
        for each in (None, *own)
        for warmth in (0.0, 1.0)
    ]
    theirs = all_of(transformers, queue)
    assert len({each.log_probabilities for each in theirs}) > 4
    for mine, other in zip(all_of(vllm, queue), theirs, strict=True):
        assert mine.tokens == other.tokens
        assert mine.counts == other.counts
        assert mine.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)


def test_texts_are_read_under_other_kinds(served):
    vllm, transformers = served
    _, width = hidden_shape(transformers.loaded.model.config)
    nudge = Nudge(layer=1, amount=2.0, signs=Array([1.0] * width))
    reading = Reading(
        prompts(vllm.tokenizer)[0], Capture(token_log_probabilities=True), nudge, prompt=3
    )
    (((_, mine),), ((_, other),)) = (each.forward([reading]) for each in served)
    assert torch.allclose(
        mine.token_log_probabilities, other.token_log_probabilities, atol=1e-3, rtol=0
    )


def test_routings_that_are_a_mask_are_applied_and_others_refused(served):
    vllm, transformers = served
    prompt = prompts(vllm.tokenizer)[0]
    queue = [Request(prompt, 4, Mute(expert=expert)) for expert in (None, 0, 3)]
    for mine, other in zip(all_of(vllm, queue), all_of(transformers, queue), strict=True):
        assert mine.tokens == other.tokens
        assert mine.counts == other.counts
    (refused,) = all_of(vllm, [Request(prompt, 4, Flatten(share=0.5))])
    assert refused.finish_reason == "error"
    assert "flatten changes routings by more than a mask of experts" in refused.error


def test_changed_logits_give_what_transformers_gives_in_a_mixture(served):
    vllm, transformers = served
    config = transformers.loaded.model.config
    others = [None, masks()[0], steerings(config.hidden_size)[2], Ban()]
    own = [Ban(strength=0.5), Ban(first=1, strength=4.0), Favour(token=7, amount=3.0)]
    one, two = prompts(vllm.tokenizer)
    queue = [
        Request(prompt, 6, each, SamplingRules(temperature=warmth), sample="s", continued=continued)
        for prompt, continued in ((one, 0), (one, 2), (two, 0))
        for each in (*own, *others)
        for warmth in (0.0, 1.0)
    ]
    theirs = all_of(transformers, queue)
    assert len({each.log_probabilities for each in theirs}) > 30
    for _ in range(2):  # prefixes are resident at the second time
        for mine, other in zip(all_of(vllm, queue), theirs, strict=True):
            assert mine.tokens == other.tokens
            assert mine.counts == other.counts
            assert mine.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)
    assert vllm.reused


def test_functions_of_hidden_states_give_what_transformers_gives_in_a_mixture(served):
    vllm, transformers = served
    config = transformers.loaded.model.config
    doses = functions(config)
    others = [None, masks()[0], steerings(config.hidden_size)[2], Ban(strength=0.5)]
    queue = [
        Request(prompt, 6, each, rules, sample="s", continued=continued)
        for prompt in prompts(vllm.tokenizer)
        for continued in (0, 2)
        for each in (*doses, doses[0].neutral(), *others)
        for rules in (SamplingRules(), *DRAWS)
    ]
    theirs = all_of(transformers, queue)
    greedy = {
        each.intervention: made.log_probabilities
        for each, made in zip(queue, theirs, strict=True)
        if not each.sampling.acting
    }
    assert len({greedy[each] for each in (*doses, None)}) == len(doses) + 1
    for _ in range(2):  # prefixes are resident at the second time
        for mine, other in zip(all_of(vllm, queue), theirs, strict=True):
            assert (mine.tokens, mine.counts) == (other.tokens, other.counts)
            assert mine.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)
    assert vllm.reused


def test_a_function_at_a_layer_that_is_not_there_is_refused_alone(served):
    vllm, transformers = served
    config = transformers.loaded.model.config
    queue = [Request((5, 6), 2, ablate(config, 1.0, layer=layer)) for layer in (99, 0)]
    refused, own = all_of(vllm, queue)
    assert "there is no layer 99; the model has layers 0-" in refused.error
    assert own.tokens == all_of(transformers, queue)[1].tokens


def test_a_function_that_is_not_called_is_noticed_at_once(served, monkeypatch):
    monkeypatch.setattr(ChangedStates, "acts", False)
    ((_, refused),) = served[0].generate([Request((5, 6), 2, Clamp(layers=(3,), limit=0.1))])
    assert "a function of hidden states at layer 3, mlp, does not reach" in refused.error


def test_a_compiled_engine_refuses_functions_before_a_model_is_read(vllm_installed):
    needs = Declared.of([Clamp(limit=0.1)])
    with pytest.raises(FieldError, match=r"engine.enforce_eager: a compiled pass cannot hold a"):
        VllmEngine("zoo/moe", EngineSettings(name="vllm", enforce_eager=False), needs)


def test_given_texts_have_the_changed_probabilities(served):
    one, two = prompts(served[0].tokenizer)
    ban, ablated = Ban(strength=1.0), ablate(served[1].loaded.model.config, 4.0)
    readings = [
        Reading(text, Capture(token_log_probabilities=True, top_log_probabilities=2), each, 3)
        for text in (one, two)
        for each in (None, ban, ablated)
    ]
    scorings = [
        Scoring(context, (one[4:7], two[2:9]), each)
        for context in (one[:4], two)
        for each in (ban, None, Favour(token=7, amount=3.0), ablated)
    ]
    mine, theirs = (dict(each.forward(readings)) for each in served)
    for place, other in theirs.items():
        own = mine[place]
        near = {"atol": 1e-4, "rtol": 0}
        torch.testing.assert_close(
            own.token_log_probabilities, other.token_log_probabilities, **near
        )
        torch.testing.assert_close(own.top_log_probabilities, other.top_log_probabilities, **near)
        assert torch.equal(own.top_tokens, other.top_tokens)
    scores, expected = (dict(each.score(scorings)) for each in served)
    for place, other in expected.items():
        assert scores[place].error is None
        assert scores[place].greedy == other.greedy
        for own, given in zip(
            scores[place].log_probabilities, other.log_probabilities, strict=True
        ):
            assert own == pytest.approx(given, abs=1e-4)


@pytest.fixture(params=["ban", "ablate"])
def registered(request):
    registry.interventions.register(request.param, f"tests.kinds.{request.param}:KIND")
    yield request.param
    registry.interventions.unregister(request.param)


def test_policies_are_followed_as_on_transformers(served):
    vllm, transformers = served
    config = transformers.loaded.model.config
    layers, width = hidden_shape(config)
    nudge = Nudge(layer=layers - 1, amount=2.0, signs=Array([1.0] * width))
    one, two = doses(config)
    own = [one, two, two.neutral(), Doubt(nudge=nudge), Doubt(nudge=nudge.neutral())]
    queue = [
        Request(prompt, 5, each, SamplingRules(temperature=warmth), sample=str(number))
        for number, prompt in enumerate(prompts(vllm.tokenizer))
        for each in (*own, None)
        for warmth in (0.0, 1.0)
    ]
    theirs = all_of(transformers, queue)
    assert any(any(trace) for each in theirs for trace in each.traces.values())
    for mine, other in zip(all_of(vllm, queue), theirs, strict=True):
        assert (mine.tokens, mine.text, mine.counts) == (other.tokens, other.text, other.counts)
        assert mine.finish_reason == other.finish_reason
        assert mine.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)
        assert mine.traces.keys() == other.traces.keys()
        for name, trace in mine.traces.items():
            assert trace == pytest.approx(other.traces[name], abs=1e-3)


def test_a_policy_that_cannot_be_drawn_under_is_refused_alone(served):
    vllm, _ = served
    far = Nudge(layer=99, amount=2.0, signs=Array([1.0]))
    plain, refused = all_of(vllm, [Request((5, 6), 2), Request((5, 6), 2, Doubt(nudge=far))])
    assert plain.finish_reason != "error"
    assert "there is no layer 99" in refused.error


def test_identities_of_functions_hold(vllm_installed, registered):
    own = [
        check
        for check in checks("zoo/moe", EngineSettings(name="vllm"))
        if check.family.name == registered and check.excuse is None
    ]
    assert len(own) >= 5
    assert [found for found in check_all(own) if not found.holds] == []
