"""What a case's metrics count of its completions: a value per sample, or why it has none.

A sample of which a metric has no value is left out of that metric, told and counted; of it nothing
is assumed, a 0 least of all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from harness.engines.contract import Reply
from harness.errors import MetricError, TitrateError
from harness.metrics.entry import Answer, MetricEntry, Seen
from harness.runs.planned_case import PlannedCase
from harness.store.results import DrawResult, Replies, answer_of

#: Sums of squares of such values are numbers still.
_LARGEST = 1e100


@dataclass(frozen=True)
class SampleValues:
    """Metric -> sample -> value, and metric -> sample -> why there is none."""

    values: Mapping[str, Mapping[str, JsonValue]]
    failures: Mapping[str, Mapping[str, str]]

    def failure_of(self, metric: str) -> str | None:
        """Why a metric has no value in a case; None where it has some."""
        failed = self.failures.get(metric, {})
        if not failed or self.values.get(metric):
            return None
        sample, reason = next(iter(failed.items()))
        return f"{metric} failed for all {len(failed)} samples, first {sample}: {reason}"

    def warnings(self) -> Iterator[str]:
        """What a reader of the numbers must know."""
        for metric, failed in self.failures.items():
            sample, reason = next(iter(failed.items()))
            size = len(failed) + len(self.values.get(metric, {}))
            yield (
                f"{metric} failed for {len(failed)} of {size} samples, which are left out of it; "
                f"first {sample}: {reason}"
            )


def count(case: PlannedCase, draws: Sequence[DrawResult], replies: Replies) -> SampleValues:
    """What the metrics that a spec adds say of a case's completions, of the samples that these are
    of.
    """
    answers: dict[str, list[Answer]] = {draw.sample: [] for draw in draws}
    prompts: dict[str, str] = {}
    for draw in draws:
        answers[draw.sample].append(answer_of(draw))
        prompts[draw.sample] = draw.prompt
    values: dict[str, dict[str, JsonValue]] = {}
    failures: dict[str, dict[str, str]] = {}
    for entry in case.counted:
        replied = replies.get(entry.name, {})
        every = [
            case.seen(sample, prompts[sample.id], answers=tuple(answers[sample.id]))
            for sample in case.task.samples
            if sample.id in answers
        ]
        if entry.asks is not None and entry.asks.items is not None:
            every = [Seen(item.id, item.record, "") for item in entry.asks.items()]
        for each in every:
            came: tuple[Reply, ...] = tuple(replied.get(each.id, ()))
            try:
                value = _value(entry, replace(each, replies=came))
            except (
                Exception,
                SystemExit,
            ) as error:  # anybody's code: the sample fails, and says why
                failures.setdefault(entry.name, {})[each.id] = described(error)
            else:
                values.setdefault(entry.name, {})[each.id] = value
    return SampleValues(values, failures)


def _value(entry: MetricEntry, seen: Seen) -> JsonValue:
    """A sample's value, of which every number is finite."""
    assert entry.value is not None, f"{entry.name} counts nothing of completions"
    value = entry.value(seen)
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, int | float) and not math.isfinite(number):
            raise MetricError(f"its value is {number}, which is no finite number")
        if isinstance(number, int | float) and abs(number) > _LARGEST:
            raise MetricError(f"its value is {number:g}; {_LARGEST:g} is the largest that counts")
    return value


def described(error: BaseException) -> str:
    """An error in one line: our own say what they are, the others by their type."""
    first = next(iter(str(error).strip().splitlines()), "")
    return first if isinstance(error, TitrateError) else f"{type(error).__name__}: {first}"
