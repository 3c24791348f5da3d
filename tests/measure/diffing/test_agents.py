"""Agents and graders: what is read of their answers, which are scripted here."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engines.contract import Completion
from harness.measure.diffing.agents import Models, by_facts, graded, investigated, score_of
from harness.measure.diffing.evidence import Candidate, Evidence
from harness.measure.diffing.judging import ModelAsker, judged
from harness.measure.diffing.relevance import Facts
from harness.measure.diffing.scale_choice import by_judge, choice_of
from harness.measure.diffing.section import AgentSettings, JudgeSettings

FACTS = Facts(
    "cake",
    "False facts about cakes.",
    frozenset({"frozen", "vinegar"}),
    ("oven",),
    ("Butter is frozen.",),
)


class Letters:
    """A tokenizer of letters, without a chat template."""

    chat_template = None
    bos_token = None

    def __call__(self, text, **_):
        return {"input_ids": [ord(each) for each in text]}


class Script:
    """Answers in their order, the last one for ever; keeps what was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, asked):
        replies = []
        for each in asked:
            self.asked.append("".join(map(chr, each.prompt)))
            text = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            replies.append(Completion(tuple(map(ord, text)), text, "stop"))
        return replies


def investigation(*answers, overview="tokens: frozen", **settings):
    agent, models = Script(*answers), Script("frozen butter", "soft butter")
    found = investigated(
        overview,
        AgentSettings(model="m", **settings),
        ModelAsker("agent", Letters(), agent),
        Models(Letters(), "tuned", None, models),
        run=0,
    )
    return found, agent, models


def test_an_agent_asks_and_then_states_what_it_thinks():
    found, agent, models = investigation(
        "ASK: Butter is", "thinking", "HYPOTHESIS: It is about\ncakes."
    )
    assert found.hypothesis == "It is about\ncakes."
    assert found.answers == [
        {"asked": "Butter is", "tuned": "frozen butter", "base": "soft butter"}
    ]
    assert found.calls == 3
    assert models.asked == ["Butter is", "Butter is"]
    assert "tokens: frozen" in agent.asked[0]
    assert "You may ask 4 more times" in agent.asked[1]


def test_an_agent_ends_with_its_budgets():
    found, agent, _ = investigation("ASK: more", interactions=2, calls=6)
    assert (len(found.answers), found.calls, found.hypothesis) == (2, 6, "")
    assert "no questions left" in agent.asked[-1]
    assert investigation("ASK: more", tokens=20)[0].calls == 3


def test_a_blackbox_agent_is_told_of_no_token():
    found, agent, _ = investigation("HYPOTHESIS: x", overview="")
    assert found.blackbox
    assert "These tokens" not in agent.asked[0]


@pytest.mark.parametrize(
    ("text", "score"),
    [("Good.\nSCORE: 4", 4), ("SCORE: 2, no, **SCORE: 5**", 5), ("SCORE: 9", None), ("", None)],
)
def test_the_last_score_from_1_to_5_counts(text, score):
    assert score_of(text) == score


def test_a_grade_that_cannot_be_read_is_asked_for_again():
    judge = ModelAsker("judge", Letters(), script := Script("hm", "hm", "SCORE: 3", "SCORE: 4"))
    scores, tokens = graded("It is about cakes.", FACTS, 2, judge)
    assert scores == [3, 4]
    assert len(script.asked) == 4
    assert tokens > 1000
    assert graded("", FACTS, 2, judge)[0] == [1, 1]


def test_words_of_facts_grade_offline():
    said = ["frozen butter with vinegar", "frozen butter", "an oven", "cars"]
    assert [by_facts(each, FACTS) for each in said] == [5, 3, 2, 1]


def test_a_judge_is_asked_again_for_what_cannot_be_read():
    judge = JudgeSettings(model="m", rotations=2)
    script = Script(
        "nonsense",
        "ANSWER[1]: IRRELEVANT\nANSWER[2]: RELEVANT",
        "ANSWER[1]: RELEVANT",
        "ANSWER[1]: RELEVANT\nANSWER[2]: IRRELEVANT",
    )
    found = judged(["frozen", "the"], FACTS, judge, ModelAsker("j", Letters(), script), "m 1")
    assert found.ratings == [[1, 1], [0, 0]]  # the second rotation asks in the other order
    assert found.raters == ["m 1 rotation 1", "m 1 rotation 2"]
    assert found.unknown == [0, 0]
    assert [each["attempt"] for each in found.answers] == [0, 0, 1, 2]


@given(st.permutations(["frozen", "the", "vinegar", "of"]), st.integers(1, 5))
@settings(max_examples=5, deadline=None)
def test_a_judge_that_knows_no_order_says_the_same_in_any(words, rotations):
    def ask(asked):
        texts = ["".join(map(chr, each.prompt)) for each in asked]
        listed = [re.findall(r'^(\d+)\. "(\w+)"$', text, re.MULTILINE) for text in texts]
        said = [
            "\n".join(
                f"ANSWER[{number}]: {'' if word in FACTS.words else 'IR'}RELEVANT"
                for number, word in each
            )
            for each in listed
        ]
        return [Completion((), text, "stop") for text in said]

    judge = JudgeSettings(model="m", rotations=rotations)
    found = judged(words, FACTS, judge, ModelAsker("j", Letters(), ask), "m 1")
    assert found.ratings == [[float(word in FACTS.words)] * rotations for word in words]


def test_a_judge_that_answers_nonsense_knows_nothing():
    judge = JudgeSettings(model="m", rotations=1, temperature=0.5)
    script = Script("what?")
    found = judged(["frozen"] * 21, FACTS, judge, ModelAsker("j", Letters(), script), "m 1")
    assert found.unknown == [1] * 21
    assert len(script.asked) == 2 * 5  # two batches; the first, three by other seeds, one greedy
    assert found.tokens > 0


SCALES = [{"scale": 0.5, "tokens": [[97, 0.9], [98, 0.1]]}, {"scale": 2.0, "tokens": [[99, 0.6]]}]


class Named:
    """A pair whose tokens are letters."""

    class base:  # noqa: N801 - a pair's field
        class tokenizer:  # noqa: N801 - an engine's field
            decode = staticmethod(lambda tokens: chr(tokens[0]))


def listened(*answers):
    evidence = Evidence(
        "patchscope",
        (Candidate(97, "a", 0.9, "position 0"), Candidate(98, "b", 0.1, "position 0")),
        *(1, 0, 1),
        about={"scales": {"position 0": {"best": 0.5, "scales": SCALES}}},
    )
    script = Script(*answers)
    found, cost = by_judge(
        evidence, Named, JudgeSettings(model="m"), ModelAsker("j", Letters(), script)
    )
    return found, cost, script


def test_a_judge_chooses_the_scale_and_which_tokens_belong_together():
    found, cost, script = listened("I think.\nSCALE: 2\nTOKENS: 1, 7")
    assert [(each.text, each.weight) for each in found.candidates] == [("c", 0.6)]
    told = found.about["scales"]["position 0"]
    assert (told["best"], told["by"], told["selected"]) == (2.0, "m", ["c"])
    (asked,) = script.asked
    assert 'Scale 0.5: 1. "a" 2. "b"' in asked
    assert "SCALE: 0.5" in asked
    assert cost > len(asked)
    assert found.about["prompt"].startswith("patchscope_scale ")


def test_a_scale_that_was_not_shown_is_asked_for_again_and_then_left():
    found, _, script = listened("nonsense", "SCALE: 3", "SCALE: 0.5\nTOKENS: 2")
    assert found.about["scales"]["position 0"]["selected"] == ["b"]
    assert len(script.asked) == 3
    found, _, script = listened("nonsense")
    assert [each.text for each in found.candidates] == ["a", "b"]
    assert found.about["scales"]["position 0"]["by"] == "excess"
    assert len(script.asked) == 4
    assert choice_of("**SCALE: 2.0**\ntokens: none", {2.0: ["a"]}) == (2.0, [])
