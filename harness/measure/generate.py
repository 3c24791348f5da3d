"""`measure: generate`: completions of a task's prompts, scored by the task."""

from __future__ import annotations

from harness.spec.measure import Measure

MEASURE = Measure(
    "generate",
    "completions",
    "answers that the task scores",
    styles="harness.runs.prompt_styles:asked_styles",
)
