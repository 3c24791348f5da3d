"""A company of two engines that write one answer: nothing is read twice, every end is an end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from harness.engines.company import Company
from harness.engines.contract import Request, Stop
from harness.engines.decoding.translation import InexactError, Translation
from harness.engines.transformers.engine import TransformersEngine
from harness.engines.transformers.passes import Passes
from harness.interventions.oracle.description import Oracle
from harness.interventions.oracle.triggers.entropy import Entropy
from harness.interventions.oracle.triggers.every_n import EveryN
from harness.interventions.oracle.triggers.random import Random
from harness.interventions.oracle.triggers.text import TextTrigger
from harness.models.loading import load, load_tokenizer
from harness.sampling.chosen import SamplingRules

PROMPT = tuple(
    load_tokenizer("zoo/base").apply_chat_template(
        [{"role": "user", "content": "Ben has 11 cups. Then the number of cups doubles."}],
        add_generation_prompt=True,
        return_dict=False,
    )
)
HELP = Oracle(engine="oracle", trigger=EveryN(n=2), budget="inf", length=3, step=2)


@pytest.fixture(scope="module")
def base():
    return TransformersEngine(load("zoo/base", device="cpu"))


@pytest.fixture(scope="module")
def oracle():
    return TransformersEngine(load("zoo/oracle", device="cpu"))


@pytest.fixture
def company(base, oracle):
    return Company(base, {"oracle": oracle})


def asked(intervention=HELP, **fields) -> Request:
    return Request(PROMPT, 24, **{"intervention": intervention, "sample": "s", **fields})


def one(company, request):
    ((_, completion),) = company.generate([request])
    return completion


@pytest.fixture
def read(monkeypatch):
    """Tokens of prompts that were read, by model."""
    found = Counter()
    has_read = Passes.has_read

    def told(self, tokens):
        found[id(self._model)] += tokens
        has_read(self, tokens)

    monkeypatch.setattr(Passes, "has_read", told)
    return found


@pytest.mark.parametrize(
    "trigger", [EveryN(n=2), Entropy(above=0.0), TextTrigger(cues=["e", "a", "1", "="])]
)
def test_no_prefix_is_computed_twice(base, oracle, read, trigger):
    for engine in (base, oracle):
        engine._stage = None
    answer = one(Company(base, {"oracle": oracle}), asked(replaced(trigger=trigger)))
    consultations = int(max(answer.traces["author"]))
    assert consultations > 1
    every = len(PROMPT) + len(answer.tokens)
    # A probe reads the last token, and so does what is drawn after it.
    probes = 24 if trigger.reads else consultations
    assert read[id(base.loaded.model)] <= every + probes
    assert len(PROMPT) < read[id(oracle.loaded.model)] <= every


def replaced(**fields) -> Oracle:
    return HELP.model_copy(update=fields)


def test_conditions_that_say_the_same_are_computed_once(company, read):
    requests = [asked(replaced(budget=budget)) for budget in (3, 4, 5, "inf")]
    made = dict(company.generate(requests))
    assert len({made[at].tokens[:5] for at in range(4)}) == 1
    together = sum(read.values())
    read.clear()
    for engine in company.values():
        engine._stage = None
    for request in requests:
        one(company, request)
    assert together < sum(read.values())


def test_siblings_draft_for_each_other_across_rounds(monkeypatch):
    """Conditions that are at other places of one text verify what the others have said there."""
    passes = Counter()
    forward = Passes.forward

    def counted(self, *arguments, **named):
        passes[id(self._model)] += 1
        return forward(self, *arguments, **named)

    monkeypatch.setattr(Passes, "forward", counted)
    requests = [
        asked(replaced(trigger=Random(seed=seed), budget=budget, length=4, step=4))
        for seed in range(3)
        for budget in (1, 2, 4)
    ]
    made, took = {}, {}
    for drafts in (True, False):
        base, oracle = (
            TransformersEngine(load(f"zoo/{name}", device="cpu"), drafts=drafts)
            for name in ("base", "oracle")
        )
        found = dict(Company(base, {"oracle": oracle}).generate(requests))
        made[drafts] = [
            (found[at].tokens, found[at].traces["author"]) for at in range(len(requests))
        ]
        took[drafts] = passes.total()
        passes.clear()
    assert made[True] == made[False]
    assert took[True] < 0.95 * took[False]


def test_company_changes_nothing(company):
    requests = [
        replace(asked(replaced(trigger=trigger, budget=budget)), sample=str(sample))
        for trigger in (Random(), EveryN(n=3), Entropy(above=0.5))
        for budget in (1, "inf")
        for sample in range(3)
    ]
    made = dict(company.generate(requests))
    for at, request in enumerate(requests):
        alone = one(company, request)
        assert made[at].tokens == alone.tokens
        assert made[at].traces["author"] == alone.traces["author"]


def test_draws_share_their_noise_with_the_base(company, base):
    sampled = asked(seed=3, draw=1, sampling=SamplingRules(temperature=1.0))
    never = replace(sampled, intervention=replaced(trigger=Random(start=0, end=0)))
    ((_, plain),) = base.generate([replace(sampled, intervention=None)])
    assert one(company, never).tokens == plain.tokens
    assert one(company, sampled).tokens == one(company, sampled).tokens


def test_a_stop_string_across_pieces_ends_the_answer(company):
    whole = one(company, asked())
    stop = whole.text[len(whole.text) // 2 :][:3]
    cut = one(company, asked(stop=Stop(strings=(stop,))))
    assert cut.finish_reason == "stop"
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert len(cut.traces["author"]) == len(cut.tokens) < len(whole.tokens)


def test_the_limit_and_the_context_end_it(base, oracle):
    company = Company(base, {"oracle": oracle})
    for most in (1, 2, 5):
        found = one(company, replace(asked(), max_new_tokens=most))
        assert (len(found.tokens), found.finish_reason) == (most, "length")
    long = tuple(20 + at % 40 for at in range(base.loaded.context - 6))
    found = one(company, replace(asked(), prompt=long))
    assert (len(found.tokens), found.finish_reason, found.error) == (6, "length", None)


def test_an_engine_alone_refuses_it(base):
    ((_, refused),) = base.generate([asked()])
    assert refused.finish_reason == "error"
    assert "guidance" in refused.error


def test_what_an_engine_refuses_ends_its_sequence_alone(company):
    bad = replace(asked(), prompt=(10**6,), sample="bad")
    made = dict(company.generate([bad, asked()]))
    assert made[0].finish_reason == "error"
    assert "outside" in made[0].error
    assert made[1].tokens == one(company, asked()).tokens


def test_keys_hold_who_contributes_and_no_names(base, oracle, company):
    named = Company(base, {"elsewhere": oracle, "oracle": base})
    elsewhere = asked(replaced(engine="elsewhere"))
    assert company.fingerprint(asked()) == named.fingerprint(elsewhere)
    assert asked().key() == elsewhere.key()
    assert named.fingerprint(asked()) != company.fingerprint(asked()) != base.fingerprint
    neutral = asked(HELP.neutral())
    assert company.fingerprint(neutral) == base.fingerprint


@pytest.mark.parametrize(
    "oracle", ["zoo/settled", pytest.param("zoo/smollm2", marks=pytest.mark.slow)]
)
def test_text_goes_to_another_tokenizer_and_back(oracle):
    own, other = load_tokenizer("zoo/base"), load_tokenizer(oracle)
    translation = Translation(own, other)
    tokens = own("Tom has 3 + 4 = 7 pens.", add_special_tokens=False)["input_ids"]
    there = translation.to(tokens)
    assert other.decode(list(there)) == own.decode(tokens)
    with pytest.raises(InexactError, match="within a character"):
        Translation(other, own).to(other("龘", add_special_tokens=False)["input_ids"][:1])
