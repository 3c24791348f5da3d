"""What engines give back, as JSON values and back: completions, scores, replies of either sort."""

from __future__ import annotations

from typing import Any, cast

from harness.engines.contract import Completion, Reply, Scored
from harness.store import record_shapes as shapes


def completion_json(completion: Completion) -> dict[str, Any]:
    """A completion as JSON values."""
    return {
        "tokens": completion.tokens,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "log_probabilities": completion.log_probabilities,
        "counts": dict(completion.counts),
        "error": completion.error,
        "traces": {name: list(values) for name, values in completion.traces.items()},
        **({"states": dict(completion.states)} if completion.states else {}),
        **({} if completion.answer is None else {"answer": completion.answer}),
    }


def completion_from(document: Any) -> Completion:
    """The completion that `completion_json` described. Raises ValueError for anything else."""
    return completion_of(shapes.COMPLETION.validate_python(document))


def completion_of(shape: shapes.CompletionShape) -> Completion:
    """The same of a document that was checked, now or when it was first read."""
    return Completion(
        tokens=tuple(shape["tokens"]),
        text=shape["text"],
        finish_reason=shape["finish_reason"],
        log_probabilities=tuple(shape["log_probabilities"]),
        counts=shape["counts"],
        error=shape["error"],
        traces=shape.get("traces", {}),
        states={name: tuple(state) for name, state in shape.get("states", {}).items()},
        answer=shape.get("answer"),
    )


def scored_json(scored: Scored) -> dict[str, Any]:
    """Scores as JSON values."""
    return {
        "log_probabilities": scored.log_probabilities,
        "greedy": scored.greedy,
        "counts": dict(scored.counts),
        **({"answers": scored.answers} if scored.answers else {}),
    }


def scored_from(document: Any) -> Scored:
    """The scores that `scored_json` described. Raises ValueError for anything else."""
    shape = shapes.SCORED.validate_python(document)
    lengths = ([len(each) for each in shape[name]] for name in ("log_probabilities", "greedy"))
    if len({tuple(each) for each in lengths}) != 1:
        raise ValueError("scores have a log-probability and a flag for every token")
    return Scored(
        shape["log_probabilities"],
        shape["greedy"],
        shape["counts"],
        answers=shape.get("answers", ()),
    )


def reply_json(reply: Reply) -> dict[str, Any]:
    """Whatever came back, as JSON values."""
    if isinstance(reply, Completion):
        return completion_json(reply)
    return {**scored_json(reply), **({} if reply.error is None else {"error": reply.error})}


def reply_of(shape: shapes.CompletionShape | shapes.ScoredReplyShape) -> Reply:
    """What came back, of a document that was checked."""
    if "tokens" in shape:
        return completion_of(cast("shapes.CompletionShape", shape))
    return Scored(shape["log_probabilities"], shape["greedy"], shape["counts"], shape.get("error"))
