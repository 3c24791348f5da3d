"""Consultations chosen in hindsight: their file, what they come to, what does not follow."""

from __future__ import annotations

import json

import pytest

from harness.errors import TaskError
from harness.measure.hindsight import Consultation, metrics_of_chains, read, unfounded, written

#: A wrong answer of six tokens, which help at the third one mends.
OWN = Consultation(tokens=(1, 2, 3, 4, 5, 6), text="own", right=False, worth=(0, 0, 1, 0, 0, 0))
MENDED = Consultation(at=2, until=4, tokens=(1, 2, 7, 8, 5), text="mended", right=True)
#: One that no single consultation mends: the first other token is asked for, and then the next map.
HARD = Consultation(tokens=(1, 2, 3, 4, 5, 6), text="own", right=False, worth=(0,) * 6)
STILL = Consultation(at=1, until=3, tokens=(1, 9, 9, 4, 5), text="still", right=False, worth=(0, 1))
DONE = Consultation(at=4, until=6, tokens=(1, 9, 9, 4, 8, 8), text="done", right=True)
LENGTH, MOST = 2, 2


def found(own, *chain, most=MOST):
    return list(unfounded(own, chain, LENGTH, most))


@pytest.mark.parametrize(
    ("own", "chain"),
    [
        (OWN, [MENDED]),
        (HARD, [STILL, DONE]),
        (OWN.model_copy(update={"right": True}), []),
        (HARD, []),  # nowhere to ask that would mend it
    ],
)
def test_what_the_maps_choose_is_founded(own, chain):
    assert found(own, *chain) == []


@pytest.mark.parametrize(
    ("own", "chain", "told"),
    [
        (OWN.model_copy(update={"right": True}), [MENDED], "asked, though the answer is right"),
        (
            OWN,
            [MENDED.model_copy(update={"at": 3, "until": 5, "tokens": (1, 2, 3, 8, 8)})],
            "asked at token 3, right: True; its map says help at token 2",
        ),
        (
            OWN,
            [MENDED.model_copy(update={"right": False})],
            "asked at token 2, right: False; its map says help at token 2",
        ),
        (
            HARD,
            [MENDED],
            "asked at token 2, right: True; its map says help nowhere",
        ),
        (
            OWN,
            [MENDED.model_copy(update={"until": 9})],
            "asked for the tokens 2 to 9, after 0",
        ),
        (
            OWN,
            [MENDED.model_copy(update={"until": 2})],
            "asked for the tokens 2 to 2, after 0",
        ),
        (
            OWN,
            [MENDED.model_copy(update={"tokens": (9, 2, 7, 8, 5)})],
            "tokens before 2 are not those of the answer before",
        ),
        (OWN, [], "not asked at token 2, where its map says help"),
        (HARD, [STILL], "not asked at token 4, where its map says help"),
        (
            HARD,
            [STILL, DONE.model_copy(update={"at": 2, "until": 4, "tokens": (1, 9, 8, 8)})],
            "asked for the tokens 2 to 4, after 3",
        ),
    ],
)
def test_what_they_would_not_have_chosen_is_told(own, chain, told):
    assert told in found(own, *chain)


def test_more_consultations_than_were_allowed_are_told():
    assert "2 consultations of 1" in found(HARD, STILL, DONE, most=1)


def test_a_file_comes_back_as_it_was_written():
    chains = {"MicroGSM8K/0": (MENDED,), "MicroGSM8K/1": (), "MicroGSM8K/2": (STILL, DONE)}
    text = written(chains)
    assert text.count("\n") == 3
    assert json.loads(text.splitlines()[0])["consultations"][0]["until"] == 4
    assert read(text) == chains


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "no JSON",
        '{"sample": "a", "consultations": [], "more": 1}',
        '{"sample": "a", "consultations": [{"tokens": [1], "text": "x"}]}',
    ],
)
def test_a_file_that_is_none_is_refused_in_a_line(line):
    with pytest.raises(TaskError, match=r"^hindsight\.jsonl: ") as error:
        read(f"{line}\n")
    assert "\n" not in str(error.value)


def test_each_number_of_consultations_has_the_answer_that_they_came_to():
    """An answer that needs fewer keeps what it has; the oracle's tokens are those of all."""
    own = {"easy": OWN, "hard": HARD, "right": OWN.model_copy(update={"right": True})}
    values = metrics_of_chains(own, {"easy": (MENDED,), "hard": (STILL, DONE), "right": ()}, MOST)
    assert values == {
        "hindsight_1": {"easy": 1.0, "hard": 0.0, "right": 1.0},
        "hindsight_tokens_1": {"easy": [2, 5], "hard": [2, 5], "right": [0, 6]},
        "hindsight_2": {"easy": 1.0, "hard": 1.0, "right": 1.0},
        "hindsight_tokens_2": {"easy": [2, 5], "hard": [4, 6], "right": [0, 6]},
    }
