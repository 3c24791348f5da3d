"""`similarity`: how alike a completion and a text of its record are.

ROUGE (Lin, 2004) by rouge-score, its F-measure; chrF (Popovic, 2015) and BLEU by sacrebleu, from 0
to 1 here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal, TypeAlias

from harness.errors import FieldError, MetricError
from harness.metrics.entry import Answer, MetricEntry, Seen, per_answer
from harness.metrics.extra import check_installed
from harness.metrics.kind import Checking, MetricKind
from harness.spec.metric import MetricSettings

Likeness: TypeAlias = Literal["rouge1", "rouge2", "rouge_l", "chrf", "bleu"]


class SimilaritySettings(MetricSettings):
    """How alike completions and a field of their records are."""

    kind: Literal["similarity"]
    """The kind of metric is similarity: of a completion to a text of its record."""
    to: str = "answer"
    """The field of a record that holds the text; answer by default."""
    by: Likeness = "rouge_l"
    """What says how alike they are: rouge1, rouge2 or rouge_l (the default), of words; chrf, of
    characters; or bleu, of a sentence. All are from 0 to 1."""


@cache
def _measure(by: Likeness) -> Callable[[str, str], float]:
    """From a completion and a reference to how alike they are, 0 to 1."""
    if by in ("chrf", "bleu"):
        import sacrebleu

        chosen = sacrebleu.CHRF() if by == "chrf" else sacrebleu.BLEU(effective_order=True)
        return lambda said, wanted: float(chosen.sentence_score(said, [wanted]).score) / 100
    from rouge_score.rouge_scorer import RougeScorer

    kind = by.replace("_l", "L")
    scorer = RougeScorer([kind])
    return lambda said, wanted: float(scorer.score(wanted, said)[kind].fmeasure)


def _check(settings: SimilaritySettings, checking: Checking) -> None:
    check_installed("sacrebleu" if settings.by in ("chrf", "bleu") else "rouge_score", "text")
    samples = checking.samples
    if not any(isinstance(sample.record.get(settings.to), str) for sample in samples):
        texts = [name for name, value in samples[0].record.items() if isinstance(value, str)]
        raise FieldError(
            "to", f"no record has a text {settings.to!r}; there are {', '.join(texts) or 'none'}"
        )


def _made(settings: SimilaritySettings) -> MetricEntry:
    def alike(seen: Seen, answer: Answer) -> float:
        wanted = seen.record.get(settings.to)
        if not isinstance(wanted, str):
            raise MetricError(f"its record has no text {settings.to!r}")
        return _measure(settings.by)(answer.text, wanted)

    return MetricEntry(
        "similarity",
        f"mean {settings.by} of completions to {settings.to}",
        "higher",
        bounds=(0, 1),
        value=per_answer(alike),
    )


METRIC = MetricKind(
    "similarity", "rouge or chrF to a text of the record", SimilaritySettings, _made, check=_check
)
