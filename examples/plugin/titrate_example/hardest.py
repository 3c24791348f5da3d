"""A measure: nats of the reference answer's least likely token, which a mean over tokens hides."""

from harness.engines.contract import Capture, Reading
from harness.measure.readings import answer_tokens
from harness.metrics.entry import MetricEntry
from harness.runs.generated import result_of
from harness.spec.measure import Measure


def measured_case(engine, case, intervention, folder, told):
    """Read every sample's prompt with its reference answer, under the case's intervention."""
    capture = Capture(token_log_probabilities=True)
    found = {}
    for sample in case.task.samples:
        answer = answer_tokens(engine.tokenizer, case.task, sample, case.experiment.prompt.style)
        at = list(answer.positions)
        reading = Reading(answer.tokens, capture, intervention, prompt=at[0])
        [(_, read)] = engine.forward([reading])
        found[sample.id] = -read.token_log_probabilities[at].min().item()
        told(len(found))
    return result_of(case, "complete", sample_metrics={"hardest": found}, intervention=intervention)


MEASURE = Measure(
    "hardest",
    "reference answers",
    "how unlikely the least likely token of the reference answer is",
    run=measured_case,
    metrics=(MetricEntry("hardest", "nats of the least likely token", "lower", "loss", (0, None)),),
    styles=lambda experiment: {experiment.prompt.style: "prompt.style"},
    readings=1,
)
