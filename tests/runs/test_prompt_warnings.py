"""What a report says of prompts, after a run and after it was scored again."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

from harness.runs.rescore import rescored
from tests.runs.small import cases, start


def test_a_report_tells_of_the_date_and_of_the_room_and_keeps_both_when_scored_again(loaded):
    tokenizer = copy(loaded.tokenizer)
    tokenizer.chat_template = "{{ strftime_now('%A') }}" + tokenizer.chat_template
    asked = cases(
        intervention=None,
        task={"name": "micro_humaneval", "limit": 1},
        sampling={"max_new_tokens": 4000},
    )
    run = start(replace(loaded, tokenizer=tokenizer), asked, slots=1)
    results = [run.result(case) for case in asked]
    (date, room) = [each for each in results[0].warnings if "cut off" not in each]
    assert date.startswith("prompts depend on the date, which the chat template prints: a run ")
    assert room.startswith("sampling.max_new_tokens: 4000 is more than 1 of 1 prompts leave of ")
    assert [result.warnings for result in rescored(results)] == [results[0].warnings]
