"""What a comparison of two models counts, of places in lists, texts under steering, and agents."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean

from pydantic import JsonValue

from harness.measure.diffing.agents import Investigation
from harness.measure.diffing.questions import prompt_named
from harness.measure.diffing.relevance import Facts
from harness.measure.diffing.section import DiffSettings, organism_of
from harness.measure.diffing.steered import SteeredPosition
from harness.measure.diffing.verdict import Places
from harness.metrics.diff import METRICS
from harness.spec import Experiment
from harness.spec.measure import measure_named

#: The files of a case.
EVIDENCE, EVALUATION = "evidence.json", "evaluation.json"
STEERING, AGENTS = "steering.json", "agents.json"


def sample_values(
    experiment: Experiment,
    places: Places,
    columns: Mapping[str, Sequence[JsonValue]],
    numbers: Mapping[str, float],
) -> dict[str, dict[str, JsonValue]]:
    """Metric -> place -> value, of what a case with such settings has.

    Args:
        experiment: The case's.
        places: The places of its lists.
        columns: Metrics that every place has a value of its own of.
        numbers: Those that are one number of the case.
    """
    known: dict[str, Sequence[JsonValue]] = {
        "found": [float(each is not None) for each in places.values()],
        **columns,
        **{name: [number] * len(places) for name, number in numbers.items()},
    }
    if "agent_tokens" in numbers:
        known["agent_tokens"] = [numbers["agent_tokens"] / len(places)] * len(places)
    yielded = {entry.name for entry in measure_named("diff").entries_of(experiment)}
    return {
        entry.name: dict(zip(places, known[entry.name], strict=True))
        for entry in METRICS
        if entry.name in yielded and entry.name in known
    }


#: Metrics that models are asked for: of tokens, of texts under steering, of agents.
_JUDGED = (
    "relevance",
    "weighted_relevance",
    "agreed_relevance",
    "alpha",
    "unknown",
    "judge_tokens",
)
_STEERED = ("strength", "steered_relevance", "unsteered_relevance")
_INVESTIGATED = ("agent_score", "blackbox_score", "agent_tokens")


def contents_of(settings: DiffSettings, metrics: Collection[str]) -> dict[str, str]:
    """A hash of the questions to models that decide each of these metrics, by their names."""
    questions: dict[str, tuple[str, ...]] = {}
    if settings.judges:
        scaled = settings.method == "patchscope" and settings.scales == "judged"
        labels = ("token_relevance", *(("patchscope_scale",) if scaled else ()))
        questions |= dict.fromkeys(_JUDGED, labels) | dict.fromkeys(_STEERED, ("coherence",))
    if settings.agent is not None:
        questions |= dict.fromkeys(_INVESTIGATED, ("agent", "hypothesis"))
    return {
        name: hashlib.sha256(
            "".join(prompt_named(each).digest for each in asked).encode()
        ).hexdigest()
        for name, asked in questions.items()
        if name in metrics
    }


def facts_of(settings: DiffSettings) -> Facts | None:
    """What is relevant, None where nothing says so. Raises FieldError for an unknown organism."""
    words = frozenset(map(str.casefold, settings.relevant))
    organism = organism_of(settings)
    if organism is None:
        about = f"It is about {', '.join(settings.relevant)}."
        return Facts("", about, words) if words else None
    return Facts(
        organism.name,
        organism.description,
        words | organism.words,
        tuple(organism.frequent),
        tuple(fact.statement for fact in organism.facts),
    )


def steered_numbers(told: Sequence[SteeredPosition], facts: Facts | None) -> dict[str, float]:
    """The mean strength, and the share of relevant words in texts."""
    if not told:
        return {"strength": 0.0, "steered_relevance": 0.0, "unsteered_relevance": 0.0}
    found = {"strength": fmean(each.strength for each in told)}
    if facts is not None:
        for name in ("steered", "unsteered"):
            texts = [text["text"] for each in told for text in getattr(each, name)]
            found[f"{name}_relevance"] = fmean(map(facts.said_in, texts)) if texts else 0.0
    return found


def agent_numbers(runs: Sequence[Investigation]) -> dict[str, float]:
    """Means of the grades that are known; a run without any is left out."""
    found = {"agent_tokens": float(sum(each.tokens for each in runs))}
    for name, blackbox in (("agent_score", False), ("blackbox_score", True)):
        scores = [
            score
            for each in runs
            if each.blackbox == blackbox
            for score in each.scores
            if score is not None
        ]
        if scores:
            found[name] = fmean(scores)
    return found
