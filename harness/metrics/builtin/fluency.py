"""`fluency`: what an intervention does to the language, by a model that nothing is done to.

It reads every completion: the run's own model, untouched, or the spec's `reference:`.
"""

from __future__ import annotations

from pydantic import JsonValue

from harness.engines.contract import Asked, Scored, Scoring
from harness.errors import MetricError
from harness.metrics.entry import Asker, Asks, MetricEntry, Seen
from harness.metrics.kind import plain
from harness.metrics.nats import nats, per_token


def _read(seen: Seen, asker: Asker) -> list[Asked]:
    """A scoring of every completion that has tokens."""
    return [
        Scoring(asker.prompt, (answer.tokens,), engine=asker.reference)
        for answer in seen.answers
        if answer.tokens
    ]


def _strangeness(seen: Seen) -> JsonValue:
    """`[nats, tokens]` of a sample's completions under the model that has read them."""
    for reply in seen.replies:
        if not isinstance(reply, Scored) or reply.error is not None:
            raise MetricError(f"it could not be read again: {reply.error}")
    if len(seen.replies) != sum(bool(answer.tokens) for answer in seen.answers):
        raise MetricError("it was not read again")
    return nats(one for reply in seen.replies for one in _continuations(reply))


def _continuations(reply: object) -> tuple[tuple[float, ...], ...]:
    return reply.log_probabilities if isinstance(reply, Scored) else ()


METRIC = plain(
    MetricEntry(
        "fluency",
        "nats per token of the answers under the untouched model, or the spec's reference",
        "lower",
        "loss",
        (0, None),
        aggregate=per_token,
        value=_strangeness,
        asks=Asks(_read, reference=True),
    )
)
