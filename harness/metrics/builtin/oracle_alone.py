"""`oracle_alone`: how often the oracle is right when it answers by itself, greedily.

What help can come to: the share of the gap between the model and this is the performance that is
recovered.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import JsonValue

from harness.engines.contract import Asked, Completion
from harness.errors import MetricError
from harness.interventions.policy import Guidance
from harness.metrics.entry import Asker, Asks, MetricEntry, Seen
from harness.metrics.kind import plain
from harness.sampling.chosen import SamplingRules


def _ask(_: Seen, asker: Asker) -> list[Asked]:
    """The sample's own question, to the oracle alone."""
    guidance, request = asker.intervention, asker.request
    if not isinstance(guidance, Guidance) or request is None:
        return []
    alone = replace(
        request, intervention=None, prompts=(), sampling=SamplingRules(), seed=0, draw=0, state=()
    )
    prompts = dict(request.prompts)
    return [
        replace(alone, engine=name, prompt=prompts.get(name, request.prompt), logged=False)
        for name in guidance.engines()
    ]


def _right(seen: Seen) -> JsonValue:
    if not seen.replies:
        raise MetricError("the oracle was not asked")
    reply = seen.replies[0]
    if not isinstance(reply, Completion) or reply.finish_reason == "failed":
        raise MetricError(f"the oracle gave no answer: {reply.error}")
    return float(bool(reply.error is None and seen.correct(reply.text)))


METRIC = plain(
    MetricEntry(
        "oracle_alone",
        "share of samples that the oracle answers right by itself",
        "higher",
        "rate",
        (0, 1),
        value=_right,
        asks=Asks(_ask, early=True),
    )
)
