"""Retries, bounds and budgets, against a real server whose faults are planted."""

from __future__ import annotations

import time

import pytest

from harness.engines.contract import Request
from tests.engines.served import faulty
from tests.engines.served.faulty import changed, hang, status

KEY = "sk-planted-1234567890"


def requests(count, tokens=4):
    return [Request((5, 6, 7 + each), tokens, sample=f"s{each}") for each in range(count)]


def run(engine, count, tokens=4):
    return [completion for _, completion in sorted(engine.generate(requests(count, tokens)))]


@pytest.mark.parametrize(
    "fault",
    [status(429), status(500), status(503), status(408), faulty.torn],
    ids=["429", "500", "503", "408", "torn"],
)
def test_what_passes_is_asked_again_and_nothing_is_lost(server, engine, fault):
    served = engine()
    whole = run(served, 3)
    server.asked.clear()
    server.faults = [fault, fault]
    assert run(served, 3) == whole
    assert len(server.asked) == 5


def test_a_time_out_is_asked_again(server, engine):
    served = engine(timeout=1.0)
    server.faults = [hang(3.0)]
    (completion,) = run(served, 1)
    assert completion.finish_reason == "length"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (status(429), "s0: the server answered 429: not now"),
        (status(500), "s0: the server answered 500: not now"),
        (status(400, "what is this?"), "s0: the server answered 400: what is this?"),
        (faulty.truncated, "s0: the server's answer is not JSON: "),
        (changed(model="other"), "s0: the server answered with model 'other', not 'zoo/oracle'"),
        (changed(text="a \ud800"), "s0: the server's answer holds '\\ud800', half of a surrogate"),
        (changed(choices=[]), "s0: the server gave 0 choices, not 1"),
        (changed(finish_reason="content_filter"), "s0: the server ended the completion by 'con"),
        (changed(usage={"prompt_tokens": "x"}), "s0: the server's answer is of another form: usa"),
    ],
)
def test_what_does_not_pass_is_failed_and_never_an_answer(server, engine, fault, why):
    served = engine()
    server.always = fault
    (completion,) = run(served, 1)
    assert completion.finish_reason == "failed"
    assert completion.error.startswith(why)
    assert (completion.tokens, completion.text) == ((), "")


def test_a_request_that_hangs_fails_by_the_clock_and_those_beside_it_go_on(server, engine):
    served = engine(timeout=1.0, retries=0)
    server.faults = [hang(3.0)]
    found = run(served, 4)
    assert sorted(each.finish_reason for each in found) == ["failed"] + ["length"] * 3
    assert [each.error.partition(": ")[2] for each in found if each.error] == [
        "no answer within 1 s"
    ]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_than_asked_for_are_in_flight(server, engine, concurrency):
    served = engine(concurrency=concurrency)
    server.delay, server.busiest = 0.05, 0
    run(served, 9)
    assert server.busiest == concurrency


def test_a_caller_that_stops_asking_cancels_what_is_in_flight(server, engine):
    served = engine(concurrency=2, timeout=60.0)
    server.faults = [hang(0.0), hang(30.0)]
    server.faults[0] = lambda *_: False
    begun = time.monotonic()
    stream = served.generate(requests(20))
    next(stream)
    stream.close()
    served.close()
    assert time.monotonic() - begun < 5
    assert len(server.asked) < 20


@pytest.mark.parametrize("limit", [20, 26, 100])
def test_no_more_tokens_are_spent_than_the_limit_and_what_was_made_is_kept(server, engine, limit):
    served = engine(token_limit=limit + 44)  # with the most that the first question can cost
    before = served.spent
    found = run(served, 30)
    made = [each for each in found if each.finish_reason == "length"]
    unmade = [each for each in found if each.finish_reason == "failed"]
    assert len(server.asked) == len(made) == (limit + 44 - before) // 7
    assert served.spent == before + 7 * len(made) <= limit + 44
    assert len(made) + len(unmade) == 30
    assert all(f"engine.token_limit {limit + 44}: {served.spent} tok" in e.error for e in unmade)


def test_what_may_have_cost_is_counted_as_if_it_had(server, engine):
    served = engine(retries=0)
    before = served.spent
    server.faults = [status(500)]
    run(served, 1, tokens=40)
    assert served.spent == before + 3 + 40


def test_where_no_server_is_any_more_nothing_is_asked_any_more(engine):
    with faulty.running() as server:
        served = engine(base_url=server.url, retries=1, concurrency=1)
    found = run(served, 50)
    assert {each.finish_reason for each in found} == {"failed"}
    assert "no connection" in found[0].error
    assert all("is not there any more" in each.error for each in found[1:])


@pytest.mark.parametrize(
    "fault", [faulty.repeats_key, status(400, f"bad key {KEY}"), changed(finish_reason=KEY)]
)
def test_the_key_comes_back_in_no_answer_and_no_error(server, engine, monkeypatch, fault):
    monkeypatch.setenv("PLANTED_KEY", KEY)
    server.key = KEY
    served = engine(api_key_env="PLANTED_KEY")
    server.always = fault
    (completion,) = run(served, 1)
    assert KEY not in repr((completion, completion.answer, served.determinism))
    assert "[key]" in repr((completion, completion.answer))


def test_without_a_key_that_of_the_library_is_not_sent(server, engine, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    served = engine()
    server.always = faulty.repeats_key
    (completion,) = run(served, 1)
    assert KEY not in repr(completion.answer)
