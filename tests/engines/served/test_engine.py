"""What opens, what is refused, and what comes back, road by road."""

from __future__ import annotations

import re

import pytest

from harness.engines.contract import Request, Scoring, Stop
from harness.engines.served.engine import ServedEngine
from harness.errors import ModelError, RequestError
from harness.interventions.steering.description import Steering
from harness.models.loading import load_tokenizer
from harness.sampling.chosen import SamplingRules
from harness.spec import EngineSettings
from tests.engines.served import faulty
from tests.engines.served.faulty import MODEL, changed, dropped, status

KEY = "sk-planted-1234567890"
ANSWER = "Tom has 3 apples."


def one(engine, request):
    ((_, completion),) = engine.generate([request])
    return completion


def ids(text):
    return tuple(load_tokenizer(MODEL)(text)["input_ids"])


def refusal(url, model=MODEL, **settings):
    given = {"base_url": url, "retries": 0, "timeout": 2.0, **settings}
    with pytest.raises(ModelError) as caught:
        ServedEngine(model, EngineSettings(name="served", **given))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Opening -----------------------------------------------------------------------------------------


def test_no_server():
    with faulty.running() as server:
        url = server.url
    assert re.match(
        rf"engine.base_url {url}: no server answers there \(no connection: .*\); start it, or",
        refusal(url),
    )


def test_a_key_that_is_missing_or_refused(server, monkeypatch):
    server.key = KEY
    assert refusal(server.url).endswith("401: who are you?; name its key by engine.api_key_env")
    monkeypatch.setenv("WRONG_KEY", "sk-wrong")
    told = refusal(server.url, api_key_env="WRONG_KEY")
    assert told.endswith("401: who are you?; correct the key in WRONG_KEY")
    assert "sk-wrong" not in told


def test_other_models_than_the_one_asked_for(server):
    server.models = ["big", "small"]
    assert "does not serve zoo/oracle, but big, small; give its name there as engine.s" in refusal(
        server.url
    )


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (changed(model="zoo/base"), "the server answered with model 'zoo/base', not 'zoo/oracle'"),
        (dropped("token_ids"), "has no token ids, though return_token_ids asked for them; use vLL"),
        (changed(prompt_token_ids=[3, 4]), "as other token ids than the model's tokenizer here"),
        (status(404, "no completions"), "the server answered 404: no completions"),
    ],
)
def test_a_server_that_does_not_do_what_token_ids_need(server, fault, why):
    server.always = fault
    assert why in refusal(server.url)


def test_text_that_is_read_as_more_tokens_than_here(server):
    server.always = changed(usage={"prompt_tokens": 99})
    assert "the server read 99 tokens where the model's tokenizer reads" in refusal(
        server.url, road="text"
    )


def test_a_server_without_a_list_of_models_opens(server, engine):
    server.models = None
    assert engine().determinism["server's model"] == "not told"


def test_a_fingerprint_is_that_of_all_that_the_server_tells(server, engine):
    first = engine()
    assert first.fingerprint == engine(concurrency=1, timeout=9.0).fingerprint
    assert first.determinism["weights"] == "not known, the server names them"
    server.release = "1.1"
    assert engine().fingerprint != first.fingerprint
    server.release, server.model, server.models = "1.0", "tuned", ["tuned"]
    assert engine(served_model="tuned").fingerprint != first.fingerprint


# Requests ----------------------------------------------------------------------------------------


def test_ids_go_there_and_come_back(server, engine):
    completion = one(engine(), Request((5, 6, 7), 3, stop=Stop(strings=("\n",))))
    assert completion.tokens == (10, 11, 12)
    assert completion.text == load_tokenizer(MODEL).decode([10, 11, 12])
    assert completion.log_probabilities == (-0.5,) * 3
    assert completion.answer["system_fingerprint"] == "toy"
    (body,) = server.asked
    assert body["prompt"] == [5, 6, 7]
    assert body["stop"] == ["\n"]
    assert body["ignore_eos"] is True
    assert body["stop_token_ids"] == [0, 2]
    # Nothing is left to defaults, which servers take from the model's generation configuration.
    neutral = {"temperature": 0, "top_p": 1, "top_k": 0, "min_p": 0, "repetition_penalty": 1}
    assert {name: body[name] for name in neutral} == neutral
    assert "seed" not in body


def test_a_sequence_ends_where_it_would_here(server, engine):
    served = engine()
    server.always = changed(token_ids=[9, 2, 8, 8])
    assert one(served, Request((5, 6, 7), 4)).tokens == (9, 2)
    server.always = changed(token_ids=[*ids("a#b"), 9], logprobs=None)
    completion = one(served, Request((5, 6, 7), 9, stop=Stop(strings=("#",))))
    assert (completion.text, completion.finish_reason) == ("a", "stop")
    assert completion.log_probabilities == ()


def test_a_draw_has_a_seed_of_its_own_and_always_the_same(server, engine):
    served = engine()
    rules = SamplingRules(temperature=0.5, top_k=7, min_p=0.1)
    draws = [Request((5, 6), 2, sampling=rules, seed=1, sample="s", draw=n) for n in range(3)]
    for _ in range(2):
        list(served.generate(draws))
    seeds = [body["seed"] for body in server.asked]
    assert sorted(seeds[:3]) == sorted(seeds[3:])
    assert len(set(seeds)) == 3
    assert {"temperature": 0.5, "top_k": 7, "min_p": 0.1}.items() <= server.asked[0].items()


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (Request((), 2), "the prompt is empty"),
        (Request((5, 10**6), 2), "token id 1000000 of the prompt is outside"),
        (Request((5,) * 9000, 2), "leaves no room in the server's context"),
        (Request((5,), 2, distribution=True), "does not give whole distributions"),
        (Request((5,), 2, intervention=Steering()), "intervention steering is not applied by a"),
        (Request((5,), 2, sampling=SamplingRules(greedy_threshold=0.5, temperature=1.0)), "greedy"),
        (Request((5,), 2, sampling=SamplingRules(temperature=1, top_p=0.5, min_p=0.1)), "min_p"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_those_beside_it_go_on(engine, request_, why):
    found = dict(engine().generate([request_, Request((5, 6), 2)]))
    assert found[0].finish_reason == "error"
    assert why in found[0].error
    assert found[1].finish_reason == "length"


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (dropped("token_ids"), "has no token ids"),
        (changed(prompt_token_ids=[1]), "read other token ids than it was sent"),
        (changed(token_ids=[10**6] * 4), "gave token id 1000000"),
        (changed(token_ids=[5] * 9), "gave 4 finite log-probabilities"),
        (changed(token_ids=[5] * 9, logprobs=None), "gave 9 tokens, which is more than asked for"),
        (changed(logprobs={"token_logprobs": [-1.0, None, -1.0, -1.0]}), "3 finite log-prob"),
    ],
)
def test_answers_that_do_not_answer_fail(server, engine, fault, why):
    served = engine()
    server.always = fault
    completion = one(served, Request((5, 6, 7), 4))
    assert completion.finish_reason == "failed"
    assert why in completion.error.replace("gave 9 tokens and 4", "gave 4")


def test_nothing_is_read_from_inside(engine):
    with pytest.raises(RequestError, match="served reads no model from inside"):
        engine().forward([])
    with pytest.raises(ModelError, match="served has no model's head here"):
        engine().readout(None)


# Scores ------------------------------------------------------------------------------------------


def test_scores_and_what_the_server_said_of_each(engine):
    scorings = [Scoring((5, 6), ((7, 8), (), (4,))), Scoring((), ((7, 8),)), Scoring((5,), ((),))]
    found = dict(engine(concurrency=2).score(scorings))
    assert found[0].log_probabilities == ((-1.0, -1.0), (), (-1.0,))
    assert found[0].greedy == ((True, True), (), (True,))
    assert [each is None for each in found[0].answers] == [False, True, False]
    assert found[1].log_probabilities == ((0.0, -1.0),)
    assert found[1].greedy == ((False, True),)
    assert found[2].log_probabilities == ((),)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (changed(prompt_logprobs=None), "continuation 0: the server's answer has no prompt_logpro"),
        (changed(prompt_logprobs=[None, {}, {}]), "told no log-probability of token 7"),
        (changed(prompt_logprobs=[{"7": {"logprob": -1}}]), "scored 1 tokens, not all"),
    ],
)
def test_scores_that_are_not_told_are_refused_by_name(server, engine, fault, why):
    served = engine()
    server.always = fault
    ((_, found),) = served.score([Scoring((5,), ((7, 8),))])
    assert why in found.error


def test_scores_on_another_road_are_refused_by_name(engine):
    ((_, found),) = engine(road="text").score([Scoring((5,), ((7, 8),))])
    assert found.error == "given tokens are scored on engine.road: tokens alone, by vLLM's server"


# Text --------------------------------------------------------------------------------------------


def test_text_goes_there_and_comes_back(server, engine):
    completion = one(engine(road="text"), Request(ids(ANSWER), 4))
    assert completion.text == " apples."
    assert completion.tokens == ids(" apples.")
    assert (completion.finish_reason, completion.log_probabilities) == ("length", ())
    (body,) = server.asked
    assert body["prompt"] == ANSWER
    assert not {"top_k", "return_token_ids", "logprobs"} & set(body)


def test_tokens_that_no_text_is_read_as_are_refused_and_quoted(engine):
    tokenizer = load_tokenizer(MODEL)
    pieces = tuple(tokenizer.convert_tokens_to_ids(list("apples")))
    assert None not in pieces
    completion = one(engine(road="text"), Request(pieces, 4))
    assert completion.finish_reason == "error"
    assert completion.error.startswith(": no text is read as these tokens: 'apples' is read as")


def test_a_prompt_that_was_read_otherwise_has_failed(server, engine):
    served = engine(road="text")
    server.always = changed(usage={"prompt_tokens": 1})
    assert "the server read 1 tokens where" in one(served, Request(ids(ANSWER), 4)).error


# Chat --------------------------------------------------------------------------------------------


def chat(engine, text, **fields):
    messages = [{"role": "user", "content": text}]
    prompt = engine.tokenizer.apply_chat_template(messages, tokenize=False)
    tokens = engine.tokenizer(prompt)["input_ids"]
    return Request(tuple(tokens), **{"max_new_tokens": 9, **fields})


def test_messages_go_there_and_an_answer_comes_back(server, engine):
    served = engine(road="chat", served_model="zoo/oracle")
    completion = one(served, chat(served, 'Grüße?\n\t"gut" 🦉'))
    assert completion.text == 'Grüße?\n\t"gut" 🦉'
    assert served.tokenizer.decode(list(completion.tokens)) == completion.text
    (body,) = server.asked
    assert body["messages"] == [{"role": "user", "content": 'Grüße?\n\t"gut" 🦉'}]
    assert body["max_completion_tokens"] == 9
    assert "tools" not in body


def test_a_chat_needs_no_files_of_its_model(server):
    server.model, server.models = "gpt-0", ["gpt-0"]
    settings = EngineSettings(name="served", base_url=server.url, road="chat")
    served = ServedEngine("gpt-0", settings)
    assert one(served, chat(served, "hello")).text == "hello"
    served.close()
    assert "model 'gpt-0' cannot be loaded" in refusal(server.url, model="gpt-0")


def test_bare_text_is_no_message(engine):
    served = engine(road="chat")
    found = one(served, Request(tuple(served.tokenizer("hello")["input_ids"]), 4))
    assert found.error == ": road chat exchanges messages, and the prompt is none"


def test_an_answer_that_is_longer_than_asked_for_has_failed(server, engine):
    served = engine(road="chat")
    server.always = changed(usage={"prompt_tokens": 3, "completion_tokens": 99})
    assert "generated 99 tokens, though" in one(served, chat(served, "hello")).error
