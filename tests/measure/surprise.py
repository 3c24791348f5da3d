"""A measure as a package of somebody else's would add it: surprise at a task's reference answer."""

from __future__ import annotations

from pydantic import NonNegativeInt

from harness.engines.contract import Capture, Reading
from harness.measure.readings import answer_tokens
from harness.metrics.entry import MetricEntry
from harness.runs.generated import result_of
from harness.spec.measure import Measure
from harness.spec.settings import Settings


class SurpriseSettings(Settings):
    """Which tokens of the reference answer are counted."""

    skip: NonNegativeInt = 0
    """How many tokens at the answer's beginning are left out; none by default."""


def measured_case(engine, case, intervention, folder, told):
    """Nats per token of every sample's reference answer, after the prompt in the case's style."""
    capture = Capture(token_log_probabilities=True)
    style = case.experiment.prompt.style
    answers = [
        answer_tokens(engine.tokenizer, case.task, each, style) for each in case.task.samples
    ]
    readings = [
        Reading(each.tokens, capture, intervention, prompt=each.positions[0]) for each in answers
    ]
    found = {}
    for at, activations in engine.forward(readings):
        counted = answers[at].positions[case.experiment.section_of("surprise").skip :]
        at_answer = activations.token_log_probabilities[list(counted)]
        found[case.task.samples[at].id] = -float(at_answer.mean())
        told(len(found))
    values = {each.id: found[each.id] for each in case.task.samples}
    own = folder / case.id
    own.mkdir(parents=True, exist_ok=True)
    (own / "read.txt").write_text(f"{len(readings)}\n")
    return result_of(
        case,
        "complete",
        sample_metrics={"surprise": values},
        intervention=intervention,
        artefacts=str(own),
    )


MEASURE = Measure(
    "surprise",
    "answers that were given",
    "how likely the reference answer is, in nats per token",
    run=measured_case,
    metrics=(MetricEntry("surprise", "nats per token", "lower", "loss", (0, None)),),
    styles=lambda experiment: {experiment.prompt.style: "prompt.style"},
    readings=1,
    section=SurpriseSettings,
)
