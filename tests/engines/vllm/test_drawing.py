"""A row that draws is left with the token that our own rules and noise choose."""

from __future__ import annotations

import torch

from harness.engines.contract import Request
from harness.engines.decoding.noise import noise_key
from harness.engines.decoding.rules import RowRules, choose
from harness.engines.vllm.drawing import KEY, drawn_of, force, payload, refused
from harness.sampling.chosen import SamplingRules

RULES = (
    SamplingRules(temperature=0.7, top_k=5),
    SamplingRules(temperature=1.0, top_p=0.8, min_p=0.01),
    SamplingRules(temperature=1.0, greedy_threshold=0.9),
)


def test_forced_rows_hold_what_is_chosen_and_the_others_are_untouched():
    requests = [
        Request((1, 2), 4, sampling=rules, seed=3, sample="s", draw=2, continued=1)
        for rules in RULES
    ]
    drawn = [drawn_of({KEY: payload(request)}) for request in requests]
    logits = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    rows, generated = torch.tensor([4, 0, 2]), torch.tensor([0, 7, 2])
    keys = torch.tensor([noise_key(3, "s", 2)] * 3)
    rules = RowRules.of(RULES, logits.device)
    chosen = choose(logits[rows], rules, keys, generated).tokens
    forced = force(logits.clone(), rows, drawn, generated)
    assert (forced[rows].argmax(dim=-1) == chosen).all()
    assert (forced[rows] == -torch.inf).sum() == 3 * 39
    assert (forced[[1, 3]] == logits[[1, 3]]).all()
    assert {each.already for each in drawn} == {1}


def test_a_greedy_request_carries_nothing():
    assert payload(Request((1,), 4)) is None
    assert drawn_of(None) is drawn_of({"other": 1}) is None


def test_rules_that_greedy_rows_feel_are_carried_too(other_rules):
    plain, felt = SamplingRules(top_k=3), SamplingRules(unrepeated=True)
    assert payload(Request((1,), 4, sampling=plain)) is None
    assert payload(Request((1,), 4, sampling=felt))[0]["values"] == {"unrepeated": True}


def test_what_vllm_cannot_follow_is_refused_by_name(other_rules):
    assert refused(SamplingRules(temperature=1.0, top_p=0.5), None) is None
    assert refused(SamplingRules(top_p=0.5), "ngram") is None
    rule, problem = refused(SamplingRules(temperature=0.7), "ngram")
    assert f"{rule} {problem}".startswith("temperature 0.7 with engine.speculation: ngram, which")
    rule, problem = refused(SamplingRules(temperature=0.7, cooling=0.5), None)
    assert f"{rule} {problem}" == (
        "cooling 0.5 keeps a state for every sequence, which vllm cannot bring back; leave it "
        "out, or use engine.name: transformers"
    )
