"""From the replies that a case got to its result, as its measure makes one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.engines.contract import Completion, Reply
from harness.interventions.base import Intervention
from harness.runs.by_task import told_by_task
from harness.runs.generated import scored, with_pieces
from harness.runs.plan import Address, Plan
from harness.runs.planned_case import PlannedCase
from harness.runs.scored import scored_result
from harness.store.results import CaseResult, Replies
from harness.store.verdicts import Verdicts


def assembled(
    case: PlannedCase,
    plan: Plan,
    replies: Mapping[Address, Reply],
    intervention: Intervention | None,
    baseline: CaseResult | None,
    verdicts: Verdicts,
    dtype: str,
) -> CaseResult:
    """The result of a case all of whose requests are done.

    Args:
        case: The case.
        plan: What it asked, and its prompts.
        replies: What it got.
        intervention: What was done to the model.
        baseline: The result that it is compared with; None for a baseline.
        verdicts: What was judged before of equal answers.
        dtype: The type of the engine's numbers, which decides what counts as equal.
    """
    samples = case.task.samples
    if case.measure.by_task:
        asked = {sample.id: plan.instances(case, sample) for sample in samples}
        return told_by_task(case, asked, replies, baseline, intervention, plan.tokenizer, dtype)
    if case.measure.scores:
        answers = {
            sample.id: (plan.scored(case, sample), replies[Address(case.id, sample.id, 0)])
            for sample in samples
        }
        return scored_result(case, answers, baseline, intervention, dtype)
    completions = list(_completions(case, plan, replies))
    told = _replies_to_metrics(replies)
    result = scored(case, completions, baseline, intervention, verdicts, told)
    return with_pieces(result, plan.tokenizer)


def _completions(
    case: PlannedCase, plan: Plan, replies: Mapping[Address, Reply]
) -> Iterator[tuple[Address, str, Completion]]:
    """A case's completions with their prompts, in the order of samples and draws."""
    for sample in case.task.samples:
        prompt = plan.prompt_text(case, sample)
        for draw in range(case.experiment.sampling.draws):
            address = Address(case.id, sample.id, draw)
            completion = replies[address]
            assert isinstance(completion, Completion), "requests are answered by completions"
            yield address, prompt, completion


def _replies_to_metrics(replies: Mapping[Address, Reply]) -> Replies:
    """What came back for what metrics asked: metric -> sample -> replies in its order."""
    found: dict[str, dict[str, tuple[Reply, ...]]] = {}
    for address in sorted(replies, key=lambda address: address.draw):
        if address.metric:
            own = found.setdefault(address.metric, {})
            own[address.sample] = (*own.get(address.sample, ()), replies[address])
    return found
