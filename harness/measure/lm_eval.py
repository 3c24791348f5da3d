"""`measure: lm_eval`: what a task of lm-eval's asks, counted as lm-eval counts it.

The default where `task.lm_eval` names one, and for no other task. What it does is a reference each:
specs are read without what tasks of lm-eval's need.
"""

from __future__ import annotations

from harness.spec.measure import Measure

_DOCUMENTS = "harness.measure.lm_eval_documents"

MEASURE = Measure(
    "lm_eval",
    "documents",
    "what a task of lm-eval's asks, and counts",
    instances=f"{_DOCUMENTS}:asked_of",
    outcome=f"{_DOCUMENTS}:counted",
    again=f"{_DOCUMENTS}:again",
    logged=f"{_DOCUMENTS}:logged",
)
