"""How much each expert is used on the answer's tokens: the orderings that router masks titrate.

Usage of expert e in layer l at one position = its weight among the token's own top-k experts,
renormalised to 1, and 0 for the experts outside it. It is read with teacher forcing on
prompt + reference answer, at the answer's non-blank tokens, which are the same in every style.

- `avg_all_<style>`: mean over these positions of all samples. [L, E], every row sums to 1.
- `avg_last_<style>`: mean over samples, at each sample's last such position.

Source: the paired-prompt study's expert usage maps (avg_all, avg_last and their differences).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.engines.contract import Capture, Engine, Reading
from harness.errors import FieldError, TaskError
from harness.measure.readings import AnswerTokens, aligned_answers, answer_tokens
from harness.models.routers import RouterShape
from harness.spec.usage_expression import Average, UsageExpression
from harness.tasks.base import Sample, Style, Task
from harness.tasks.pairs.aligned import AlignedPair
from harness.tasks.pairs.pair import pair_key

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Usage:
    """Both averages of one style, [L, E] each, and how many samples are in them."""

    last: torch.Tensor
    all: torch.Tensor
    samples: int

    def average(self, average: Average) -> torch.Tensor:
        """The matrix that an expression names."""
        return self.last if average.scope == "last" else self.all


def usage_scores(
    expression: UsageExpression,
    engine: Engine,
    shape: RouterShape,
    task: Task,
    samples: int,
    pairs: Mapping[str, AlignedPair] | None = None,
) -> torch.Tensor:
    """The value of an expression of averages at every router point, [L, E] in float64.

    With aligned pairs their tokens are read instead of the task's prompts; samples that are not
    aligned are left out.
    """
    chosen = task.samples[:samples]
    styles = styles_of(expression)
    usage = {style: measure_usage(engine, shape, task, chosen, style, pairs) for style in styles}
    score = usage[expression.plus.style].average(expression.plus)
    if expression.minus is not None:
        score = score - usage[expression.minus.style].average(expression.minus)
    return score


def styles_of(expression: UsageExpression) -> list[Style]:
    """The prompt styles whose usage an expression compares."""
    averages = (expression.plus, expression.minus)
    return sorted({average.style for average in averages if average is not None})


def measure_usage(
    engine: Engine,
    shape: RouterShape,
    task: Task,
    samples: Sequence[Sample],
    style: Style,
    pairs: Mapping[str, AlignedPair] | None = None,
) -> Usage:
    """Read the reference answers of samples in one style and average the routers' choices."""
    import torch

    readings = readings_of(engine.tokenizer, task, samples, style, pairs)
    sum_last = torch.zeros(len(shape.layers), shape.experts, dtype=torch.float64)
    sum_all = torch.zeros_like(sum_last)
    positions = 0
    # Batches come back in any order; adding in the samples' order keeps the sums reproducible.
    activations = dict(engine.forward(readings))
    for index in range(len(readings)):
        logits = activations[index].router_logits
        assert logits is not None
        usage = top_k_usage(logits, shape.top_k)
        sum_last += usage[:, -1]
        sum_all += usage.sum(dim=1)
        positions += usage.shape[1]
    return Usage(sum_last / len(readings), sum_all / positions, len(readings))


def top_k_usage(logits: torch.Tensor, top_k: int) -> torch.Tensor:
    """Renormalised weights of the top-k experts [..., E], float64, 0 elsewhere; rows sum to 1."""
    import torch

    probabilities = logits.double().softmax(dim=-1)
    values, experts = probabilities.topk(top_k, dim=-1)
    weights = values / values.sum(dim=-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter(-1, experts, weights)


def readings_of(
    tokenizer: Any,
    task: Task,
    samples: Sequence[Sample],
    style: Style,
    pairs: Mapping[str, AlignedPair] | None = None,
) -> list[Reading]:
    """What is read to measure usage: the task's own prompts, or those of aligned pairs."""
    if pairs is not None:
        return _of_pairs(samples, style, pairs)
    return [reading_of(tokenizer, task, sample, style) for sample in samples]


def reading_of(tokenizer: Any, task: Task, sample: Sample, style: Style) -> Reading:
    """Prompt and reference, capturing at the answer's non-blank tokens."""
    return _capturing(answer_tokens(tokenizer, task, sample, style))


def _of_pairs(
    samples: Sequence[Sample], style: Style, pairs: Mapping[str, AlignedPair]
) -> list[Reading]:
    """The aligned pairs of samples in a chat style."""
    if style == "completion":
        raise FieldError(
            "intervention.points.usage", "pairs have no completion style; use agentic or assisted"
        )
    keys = [pair_key(sample.id) for sample in samples]
    found = [aligned_answers(key, pairs)[style] for key in keys if _is_aligned(key, pairs)]
    if not found:
        raise TaskError(f"none of {len(keys)} samples, first {keys[0]}, has an aligned pair")
    return [_capturing(answer) for answer in found]


def _is_aligned(key: str, pairs: Mapping[str, AlignedPair]) -> bool:
    return key in pairs and pairs[key].aligned_ok and bool(pairs[key].shared_positions()[0])


def _capturing(answer: AnswerTokens) -> Reading:
    return Reading(answer.tokens, Capture(router_logits=True, positions=answer.positions))
