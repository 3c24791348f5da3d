"""What rules keep of the example: a row per setting, called by the rules that act."""

from __future__ import annotations

import pytest

from harness.report.draws.rule_cuts import cuts_figure, named

#: A section as reports have it, with every older rule at its neutral value.
SECTION = {"temperature": 0.0, "top_k": None, "top_p": 1.0, "min_p": 0.0, "draws": 8}


@pytest.mark.parametrize(
    ("values", "words", "kept"),
    [
        ({}, "greedy", 1),
        ({"temperature": 1.0, "top_k": 3}, "temperature=1, top_k=3", 3),
        ({"temperature": 1.0, "min_p": 0.5}, "temperature=1, min_p=0.5", 2),
        (
            {"temperature": 1.0, "top_k": 3, "compose": "min"},
            "temperature=1, top_k=3, compose=min",
            3,
        ),
    ],
)
def test_a_row_says_which_rules_act_and_how_many_tokens_they_keep(values, words, kept):
    section = SECTION | values
    assert named(section) == words
    (panel,) = cuts_figure({named(section): section}).axes
    assert [text.get_text() for text in panel.texts] == [f"{words}: {kept} kept"]
