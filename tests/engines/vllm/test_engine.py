"""The engine on vLLM against the engine on transformers, request by request; what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from harness.engines.contract import Capture, Reading, Request, Stop
from harness.engines.declared import Declared
from harness.engines.vllm.engine import VllmEngine
from harness.engines.vllm.worker import model, ours
from harness.engines.vllm.worker.logits import ChangedLogits
from harness.engines.vllm.worker.places import SteeredPlace
from harness.errors import FieldError, ModelError, RequestError
from harness.interventions.array import Array
from harness.interventions.base import Intervention
from harness.interventions.residual import Term
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.steering.description import Steering
from harness.spec import EngineSettings
from tests.engines.vllm.requests_of import interventions, masks, prompts, requests, vector


def _all(engine, queue):
    completions = dict(engine.generate(queue))
    assert sorted(completions) == list(range(len(queue)))
    return [completions[place] for place in range(len(queue))]


def _equal(own, other):
    for field in ("tokens", "text", "finish_reason", "counts"):
        assert getattr(own, field) == getattr(other, field), field
    assert own.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)


def test_a_mixed_batch_gives_what_transformers_gives(served):
    vllm, transformers = served
    queue = requests(vllm.tokenizer, transformers.loaded.model.config)
    theirs = _all(transformers, queue)
    for _ in range(2):  # the second time on resident prefixes, whose counts must come along
        for own, other in zip(_all(vllm, queue), theirs, strict=True):
            _equal(own, other)


def test_nothing_leaks_between_conditions_that_share_a_prefix(served):
    """Of one prompt of several blocks: whoever comes second must not read the first one's states.

    Log-probabilities tell, tokens may not: a mask's states were seen to leave greedy tokens alone.
    """
    vllm, transformers = served
    prompt = prompts(vllm.tokenizer)[1]
    conditions = interventions(transformers.loaded.model.config)
    alone = []
    for each in conditions:
        vllm.forget()
        alone += _all(vllm, [Request(prompt, 4, each)])
    vllm.forget()
    for order in (conditions, conditions[::-1]):
        for each in order:
            (own,) = _all(vllm, [Request(prompt, 4, each)])
            other = alone[conditions.index(each)]
            assert own.tokens == other.tokens
            assert own.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-5)
            assert own.counts == other.counts


def test_equal_tokens_of_which_more_are_the_prompt_share_no_prefix(served):
    """Where a prompt ends decides what is steered: the same steering made other states."""
    vllm, transformers = served
    tokens = prompts(vllm.tokenizer)[1] * 2
    width = transformers.loaded.model.config.hidden_size
    term = Term(layer=1, vector=vector(width, 5), alpha=2.0, positions="generated")
    steered = Steering(terms=(term,))
    vllm.forget()
    for continued in (len(tokens) - 5, 0, len(tokens) // 2):
        request = Request(tokens, 4, steered, continued=continued)
        ((own,), (other,)) = (_all(engine, [request]) for engine in served)
        _equal(own, other)


def test_an_equal_condition_reuses_its_prefix(served):
    vllm, _ = served
    prompt = prompts(vllm.tokenizer)[1]
    vllm.forget()
    reused = []
    for mask in (masks()[0], masks()[0], masks()[1]):
        _all(vllm, [Request(prompt, 1, mask)])
        reused.append(vllm.reused)
    assert reused[0] == reused[2] == 0
    assert reused[1] > len(prompt) / 2


def test_stop_strings_and_tokens_end_a_sequence_where_they_end_it_elsewhere(served):
    vllm, transformers = served
    prompt = prompts(vllm.tokenizer)[0]
    (free,) = _all(transformers, [Request(prompt, 24)])
    string = transformers.tokenizer.decode(free.tokens[3:5])
    queue = [
        Request(prompt, 24, stop=Stop(strings=(string,)), intervention=each)
        for each in (None, masks()[0])
    ]
    queue.append(Request(prompt, 24, stop=Stop(tokens=frozenset(free.tokens[4:5]))))
    for own, other in zip(_all(vllm, queue), _all(transformers, queue), strict=True):
        _equal(own, other)
    assert len(_all(vllm, queue)[0].tokens) < 24


def test_a_continued_sequence_is_steered_and_drawn_as_if_it_had_not_been_cut(served):
    vllm, transformers = served
    steering = interventions(transformers.loaded.model.config)[2]
    whole = replace(requests(vllm.tokenizer, transformers.loaded.model.config)[1])
    whole = replace(whole, intervention=steering, max_new_tokens=8)
    (first,) = _all(vllm, [whole])
    half = first.tokens[:4]
    rest = replace(whole, prompt=(*whole.prompt, *half), continued=4, max_new_tokens=4)
    (second,) = _all(vllm, [rest])
    assert (*half, *second.tokens) == first.tokens


def test_the_distribution_of_the_last_token_comes_back(served):
    vllm, transformers = served
    queue = [Request(prompts(vllm.tokenizer)[0], 3, masks()[0], distribution=True)]
    (own,), (other,) = _all(vllm, queue), _all(transformers, queue)
    assert torch.allclose(own.distribution, other.distribution, atol=1e-4)


class Unknown(Intervention):
    kind: str = "unknown"

    def neutral(self):
        return self.model_copy(update={"kind": "nothing"})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Request((), 4), "the prompt is empty"),
        (Request((5, 999999), 4), "token id 999999 of the prompt is outside"),
        (Request((5,), 0), "max_new_tokens is 0"),
        (Request((5,) * 5000, 4), "leaves no room in the model's context of 2048"),
        (Request((5,), 4, RouterMask(points=((0, 99),))), "there is no layer 0, expert 99"),
        (Request((5,), 4, Unknown()), "intervention unknown is not applied by vllm"),
        (
            Request((5,), 4, Steering(terms=(Term(layer=9, vector=vector(96, 0), alpha=1.0),))),
            "there is no layer 9",
        ),
    ],
)
def test_an_impossible_request_fails_alone(served, wrong, message):
    vllm, _ = served
    good = Request(prompts(vllm.tokenizer)[0], 2)
    first, refused, second = _all(vllm, [good, wrong, good])
    assert first.tokens == second.tokens != ()
    assert refused.finish_reason == "error"
    assert message in refused.error


def test_a_request_that_vllm_itself_rejects_fails_alone(served, monkeypatch):
    """What no check of ours foresees: vLLM raises when the request is added."""
    vllm, _ = served
    add = vllm._engine.add_request

    def rejecting(name, prompt, *given):
        if len(prompt["prompt_token_ids"]) == 3:
            raise ValueError("no thirds")
        return add(name, prompt, *given)

    monkeypatch.setattr(vllm._engine, "add_request", rejecting)
    good, third = Request((5, 6), 2), Request((5, 6, 7), 2, masks()[0])
    completions = _all(vllm, [good, third, good])
    assert [each.finish_reason for each in completions] == ["length", "error", "length"]
    assert completions[1].error.endswith("no thirds")


def test_what_vllm_raises_of_its_own_accord_fails_one_request(served):
    """Its errors are no `ValueError`s. A token that does not exist cannot be a stop token."""
    vllm, _ = served
    good, bad = Request((5, 6), 2), Request((5, 6), 2, masks()[0], stop=Stop(frozenset({999999})))
    completions = _all(vllm, [good, bad, good])
    assert [each.finish_reason for each in completions] == ["length", "error", "length"]
    assert "stop_token_ids" in completions[1].error
    with pytest.raises(RequestError, match=r"reading 0: Requested .* greater than max allowed"):
        list(vllm.forward([Reading((5, 6), Capture(top_log_probabilities=999999), masks()[0])]))
    assert _left(vllm) == (0, 0)


def test_a_model_that_vllm_does_not_serve_is_refused_before_its_files_are_read(
    vllm_installed, tmp_path
):
    config = {"model_type": "qwen3_moe", "architectures": ["NobodysForCausalLM"]}
    (tmp_path / "config.json").write_text(json.dumps(config))  # neither weights nor a tokenizer
    with pytest.raises(ModelError, match="vLLM does not serve NobodysForCausalLM;"):
        VllmEngine(str(tmp_path), EngineSettings(name="vllm"))


def test_a_runner_that_cannot_run_here_is_refused_before_the_model_is_read(vllm_installed):
    """There is no such model, so that anything read of it would be another error."""
    settings = EngineSettings(name="vllm", model_runner="v2")
    with pytest.raises(FieldError, match="v2 needs Triton, which this vLLM does not use on cpu"):
        VllmEngine("./nothing", settings)


def test_a_cancelled_run_leaves_nothing_running(served):
    vllm, transformers = served
    queue = requests(vllm.tokenizer, transformers.loaded.model.config)[:24]
    stream = vllm.generate(queue)
    next(stream)
    stream.close()
    assert not vllm._engine.has_unfinished_requests()
    for own, other in zip(_all(vllm, queue), _all(transformers, queue), strict=True):
        _equal(own, other)


def _held(vllm):
    """Requests of which workers keep something, and rows that somebody holds."""
    return ours.MODELS[_model_of(vllm)].kept, vllm._conditions.users


def _left(vllm):
    """The same after a step, in which the scheduler tells of what ended before."""
    _all(vllm, [Request((5,), 1)])
    return _held(vllm)


def test_nothing_is_kept_of_what_was_cancelled_or_is_done(served):
    vllm, transformers = served
    config = transformers.loaded.model.config
    capture = Capture(router_logits=True, hidden_layers=(1,))
    readings = [Reading((5, 6, 7), capture, each, 2) for each in interventions(config)]
    queue = requests(vllm.tokenizer, config)[-40:]
    for stream in (vllm.generate(queue), vllm.forward(readings)):
        next(stream)
        assert all(_held(vllm))
        stream.close()
        assert _left(vllm) == (0, 0)
    _all(vllm, queue)
    list(vllm.forward(readings))
    assert _left(vllm) == (0, 0)


@pytest.mark.parametrize("broken", ["add_request", "write"])
@pytest.mark.parametrize("run", ["generate", "forward"])
def test_what_fails_on_its_way_into_vllm_gives_its_rows_back(served, monkeypatch, run, broken):
    """And whoever has the same condition next writes it, because these rows hold nothing."""
    vllm, transformers = served
    width = transformers.loaded.model.config.hidden_size
    fresh = vector(width, 1000 * len(run) + len(broken))  # one that no other test uploads
    new = Steering(terms=(Term(layer=1, vector=fresh, alpha=2.0),))
    prompt = prompts(vllm.tokenizer)[0]
    asked = {
        "generate": [Request(prompt, 3, new), Request(prompt, 2, new)],
        "forward": [Reading(prompt, Capture(hidden_layers=(2,)), new, 2)] * 2,
    }[run]

    def failing(*_):
        raise OSError("no way in")

    where = vllm._engine if broken == "add_request" else vllm._workers
    with monkeypatch.context() as patched:
        patched.setattr(where, broken, failing)
        with pytest.raises(OSError, match="no way in"):
            list(getattr(vllm, run)(asked))
    assert _left(vllm) == (0, 0)
    (own, _), (other, _) = (
        [result for _, result in sorted(getattr(engine, run)(asked), key=lambda pair: pair[0])]
        for engine in served
    )
    if run == "generate":
        _equal(own, other)
    else:
        assert torch.allclose(own.hidden[2], other.hidden[2], atol=1e-4)


def test_a_reading_that_vllm_rejects_is_named(served, monkeypatch):
    vllm, _ = served

    def rejecting(*_):
        raise ValueError("not like this")

    monkeypatch.setattr(vllm._engine, "add_request", rejecting)
    with pytest.raises(RequestError, match="reading 0: not like this"):
        list(vllm.forward([Reading((5, 6), Capture(router_logits=True), masks()[0])]))
    assert _left(vllm) == (0, 0)


def test_a_condition_that_does_not_fit_gives_back_what_it_took(served):
    vllm, transformers = served
    width = transformers.loaded.model.config.hidden_size
    long = Array(torch.zeros(vllm._conditions.rows + 1, width))
    terms = (
        Term(layer=1, vector=vector(width, 1), alpha=1.0),
        Term(layer=1, vector=long, alpha=1.0, schedule="given", given=(1.0,) * len(long.tensor())),
    )
    (refused,) = _all(vllm, [Request((5, 6), 2, Steering(terms=terms))])
    assert "but the engine holds" in refused.error
    assert _left(vllm) == (0, 0)


def test_more_conditions_than_rows_wait_for_each_other(served):
    vllm, transformers = served
    width = transformers.loaded.model.config.hidden_size
    prompt = prompts(vllm.tokenizer)[0]
    queue = [
        Request(prompt, 3, Steering(terms=(Term(layer=1, vector=vector(width, n), alpha=2.0),)))
        for n in range(3 * vllm._conditions.rows)
    ]
    for own, other in zip(_all(vllm, queue), _all(transformers, queue), strict=True):
        _equal(own, other)


def test_an_intervention_that_does_not_reach_the_model_is_noticed_at_once(served, monkeypatch):
    """The canary: a place that was put into the model but is never called."""
    vllm, transformers = served
    monkeypatch.setattr(SteeredPlace, "_steered", lambda self, hidden, residual: hidden)
    width = transformers.loaded.model.config.hidden_size
    place = Term(layer=2, site="mlp", vector=vector(width, 0), alpha=1.0)
    with pytest.raises(ModelError, match="steering at layer 2, mlp, does not reach the model"):
        vllm._abilities.grow(type(vllm._conditions.declared).of([Steering(terms=(place,))]))


def test_logits_that_are_left_as_they_are_are_noticed_at_once(served, monkeypatch):
    vllm, _ = served
    monkeypatch.setattr(ChangedLogits, "_changed", lambda self, logits, tokens: logits)
    with pytest.raises(ModelError, match="a change of next-token logits does not reach the model"):
        vllm._abilities.grow(Declared(logits=True))


def test_what_does_not_reach_the_model_is_refused_every_time(served, monkeypatch):
    vllm, transformers = served
    width = transformers.loaded.model.config.hidden_size
    steered = Steering(terms=(Term(layer=3, site="mlp", vector=vector(width, 0), alpha=1.0),))
    with monkeypatch.context() as patched:
        patched.setattr(SteeredPlace, "_steered", lambda self, hidden, residual: hidden)
        for refused in _all(vllm, [Request((5, 6), 2, steered)] * 2):
            assert "does not reach the model" in refused.error
    (own,), (other,) = (_all(engine, [Request((5, 6), 2, steered)]) for engine in served)
    _equal(own, other)


def test_a_place_that_a_model_lacks_is_refused_every_time_and_alone(served, monkeypatch):
    vllm, transformers = served
    width = transformers.loaded.model.config.hidden_size
    missing, there = (
        Steering(terms=(Term(layer=layer, site="attention", vector=vector(width, 0), alpha=9.0),))
        for layer in (2, 3)
    )
    find = model.site_module

    def found(layer, index, site):
        if index == 2:
            raise ModelError(f"no {site} in layer 2")
        return find(layer, index, site)

    monkeypatch.setattr(model, "site_module", found)
    queue = [Request((5, 6), 2, each) for each in (missing, missing, there)]
    first, second, own = _all(vllm, queue)
    assert first.error == second.error == ": no attention in layer 2"
    _equal(own, _all(transformers, queue)[2])


def test_a_step_whose_layout_was_not_seen_raises(served, monkeypatch):
    inside = ours.MODELS[_model_of(served[0])]
    monkeypatch.setitem(inside.registry.requests, "somebody", None)
    monkeypatch.setattr(inside, "mapped", False)
    with pytest.raises(RuntimeError, match="which tokens belong to which request"):
        inside.ended()


def _model_of(vllm):
    return vllm._engine.model_executor.driver_worker.worker.model_runner.get_model()
