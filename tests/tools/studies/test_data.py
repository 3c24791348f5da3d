"""Data of studies: what the recipes make, and what the specs need of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.studies import minimal_pairs, sentiment_pairs

DATA = Path(__file__).parents[3] / "specs" / "data"


def records(name):
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]


def test_pairs_of_sentiment_are_those_of_the_recipe():
    assert records("sentiment_pairs") == [*sentiment_pairs.pairs()]
    assert len({json.dumps(pair) for pair in records("sentiment_pairs")}) == 256


@pytest.mark.parametrize("kind", minimal_pairs.KINDS)
def test_minimal_pairs_are_those_of_the_recipe(kind):
    made = records(f"minimal_pairs_{kind}")
    assert made == minimal_pairs.records(kind)
    assert len({record["good"] for record in made}) == len(made) == minimal_pairs.COUNT
    assert not {record["good"] for record in made} & {record["bad"] for record in made}


def test_no_prompt_is_about_what_the_vector_was_made_of():
    """The same scene in other words would not be held out."""
    told = {of.split(" ", 1)[1].lower() for of, _, _ in sentiment_pairs.facts()}
    for record in records("sentiment_prompts"):
        words = record["prompt"].lower().rstrip(".?")
        assert not [of for of in told if f" {of}" in words], record
