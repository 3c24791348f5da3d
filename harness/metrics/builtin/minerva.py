"""`minerva`: mathematics as lm-eval's minerva_math grades it, beside a task's own rule."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from harness.errors import FieldError, MetricError
from harness.metrics.entry import Answer, MetricEntry, Seen, per_answer
from harness.metrics.kind import Checking, MetricKind, plain

_PACKAGE = "lm_eval"


def _right(seen: Seen, answer: Answer) -> float:
    from harness.tasks.answers.math import minerva_verdict

    found = minerva_verdict(str(seen.record["answer"]), answer.text)
    if found is None:
        raise MetricError("the comparison took too long")
    return float(found)


def _check(_: Any, checking: Checking) -> None:
    if find_spec(_PACKAGE) is None:
        raise FieldError("kind", "minerva is lm-eval's rule; pip install 'pytest-titrate[lm-eval]'")
    if any("answer" not in sample.record for sample in checking.samples):
        raise FieldError("kind", "minerva reads a record's `answer`, which this task has not")


_PLAIN = plain(
    MetricEntry(
        "minerva",
        "share of right answers by lm-eval's minerva_math: the last box, as a text and by sympy",
        "higher",
        "rate",
        (0, 1),
        value=per_answer(_right),
    )
)
METRIC = MetricKind(_PLAIN.name, _PLAIN.summary, _PLAIN.section, _PLAIN.make, check=_check)
