"""`measure: value_of_asking`: at which token an oracle's help would have changed the answer.

For every position t of the model's own answer b of T tokens:

    v(t) = right(b[:t] + the oracle's next k tokens + the model's own continuation) - right(b)

and in hindsight, the best accuracy with at most c consultations: each of them where the map of the
answer so far is worth most, else at its first token that the oracle would not have said. That is
greedy, and not the optimum over all sets of positions.

Exact, and mostly not computed: the oracle goes along b once, which it verifies, and so says where
it would have said the same (there v is 0, as long as all k tokens are). Consultations that begin
before the same first difference p share what the oracle says there, o, and the model's own
continuation of a beginning of o is that of the longer ones, too, as long as it says what o says.
The model draws by noise that goes by the place in the answer, so that all of its continuations
share it; the oracle says its best tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from harness.errors import FieldError, ModelError
from harness.metrics.entry import MetricEntry, Opening
from harness.spec.measure import Measure
from harness.spec.settings import ModelReference, Settings

NAME = "value_of_asking"
#: How a completion's traces call v(t).
VALUE = "worth"
#: Numbers of the model's next token that may tell where help mends a wrong answer; whether larger
#: ones do.
PREDICTORS = {"entropy": True, "top_probability": False}


class AskingSettings(Settings):
    """Who is asked, and for how much."""

    model: ModelReference = "zoo/oracle"
    """The oracle, which has the same tokens: a zoo member, a local folder or a Hugging Face id;
    zoo/oracle by default."""
    length: PositiveInt = 4
    """How many tokens the oracle says wherever it is asked, before the model goes on; 4 by
    default."""
    hindsight: Annotated[int, Field(ge=1, le=32)] = 3
    """The number of consultations (1 to 32) up to which the best are chosen in hindsight; 3 by
    default."""


def _engines(experiment: Any) -> dict[str, Opening]:
    model = experiment.section_of(NAME).model
    return {model: Opening(model)}


def _check(experiment: Any) -> None:
    """Raise `FieldError` for what is not applied here, and an oracle that cannot be asked."""
    from harness.engines import check_same_tokens
    from harness.sampling.chosen import SamplingRules

    if experiment.intervention is not None:
        raise FieldError(
            "intervention",
            f"{NAME} asks behind the model as it is, and applies nothing to it; leave it out",
        )

    if experiment.sampling.draws > 1:
        raise FieldError(
            "sampling.draws",
            f"{experiment.sampling.draws} answers to a sample, of which {NAME} has one; use 1",
        )
    kept = SamplingRules(**experiment.sampling.rules).stateful
    if kept:
        raise FieldError(
            f"sampling.{kept[0].name}",
            "keeps a state, which is not known behind what an oracle says; leave it out",
        )
    oracle, field = experiment.section_of(NAME).model, f"{NAME}.model"
    try:
        check_same_tokens(
            experiment.model,
            experiment.engine,
            oracle,
            experiment.engine,
            field=field,
            remedy="use an oracle that has the same tokens",
        )
    except ModelError as error:
        raise FieldError(field, str(error)) from error


def _share(values: Sequence[Any]) -> float:
    every = sum(tokens for _, tokens in values)
    return sum(asked for asked, _ in values) / every if every else 0.0


def metrics_of_maps(
    maps: Mapping[str, Sequence[int]],
    right: Mapping[str, bool],
    log: Mapping[str, Mapping[str, Sequence[float]]],
) -> dict[str, dict[str, Any]]:
    """Metric -> sample -> value, of what follows from v(t) of the model's own answers.

    Args:
        maps: v(t) by sample.
        right: Whether the answer is.
        log: Numbers of the model's distributions, by their names.
    """
    metrics: dict[str, dict[str, Any]] = {
        "hindsight_0": {name: float(each) for name, each in right.items()},
        "worth_asking": {
            name: sum(value > 0 for value in values) / max(len(values), 1)
            for name, values in maps.items()
        },
        "harmed_by_asking": {
            name: sum(value < 0 for value in values) / max(len(values), 1)
            for name, values in maps.items()
        },
    }
    for name in PREDICTORS:
        told_of = {
            sample: [
                [number, int(worth > 0)]
                for number, worth in zip(log[sample][name], values, strict=True)
            ]
            for sample, values in maps.items()
            if not right[sample] and name in log[sample]
        }
        if told_of:
            metrics[f"auc_{name}"] = {sample: told_of.get(sample, []) for sample in maps}
    return metrics


#: Consultations that are chosen in hindsight at most.
_MOST = 32


def _yields(experiment: Any) -> set[str]:
    calls = range(experiment.section_of(NAME).hindsight + 1)
    names = {f"hindsight_{count}" for count in calls}
    names |= {f"hindsight_tokens_{count}" for count in calls if count}
    names |= {f"auc_{name}" for name in PREDICTORS}
    return {*names, "worth_asking", "harmed_by_asking"}


def _area(*, rising: bool) -> Callable[[Sequence[Any]], float]:
    """The area under the ROC curve of all positions of all samples; .5 where it says nothing."""

    def area(values: Sequence[Any]) -> float:
        import numpy as np
        from scipy.stats import rankdata

        pairs = np.array([pair for each in values for pair in each], dtype=float).reshape(-1, 2)
        numbers, worth = pairs[:, 0] if rising else -pairs[:, 0], pairs[:, 1] > 0
        good, bad = int(worth.sum()), int((~worth).sum())
        if not good or not bad:
            return 0.5
        ranks = rankdata(numbers)
        return float((ranks[worth].sum() - good * (good + 1) / 2) / (good * bad))

    return area


_METRICS = (
    MetricEntry(
        "hindsight_1",
        "accuracy with one consultation, chosen in hindsight",
        "higher",
        "rate",
        (0, 1),
    ),
    MetricEntry("hindsight_0", "accuracy without help", "higher", "rate", (0, 1)),
    *(
        MetricEntry(
            f"hindsight_{count}",
            f"accuracy with at most {count} consultations, chosen one after the other",
            "higher",
            "rate",
            (0, 1),
        )
        for count in range(2, _MOST + 1)
    ),
    *(
        MetricEntry(
            f"hindsight_tokens_{count}",
            f"the oracle's share of the tokens with at most {count} consultations",
            kind="ratio",
            bounds=(0, 1),
            aggregate=_share,
        )
        for count in range(1, _MOST + 1)
    ),
    *(
        MetricEntry(
            f"auc_{name}",
            f"area under the ROC curve: how well {name} tells where help mends a wrong answer",
            "higher",
            bounds=(0, 1),
            aggregate=_area(rising=rising),
        )
        for name, rising in PREDICTORS.items()
    ),
    MetricEntry(
        "worth_asking", "share of positions at which help makes a wrong answer right", bounds=(0, 1)
    ),
    MetricEntry(
        "harmed_by_asking",
        "share of positions at which help makes a right answer wrong",
        bounds=(0, 1),
    ),
)

MEASURE = Measure(
    NAME,
    "values of asking",
    "at which token an oracle's help would have changed the answer, and the best in hindsight",
    run="harness.runs.value_of_asking:measured_case",
    metrics=_METRICS,
    yields=_yields,
    check=_check,
    styles=lambda experiment: {experiment.prompt.style: "prompt.style"},
    readings=3,
    recounted="harness.runs.value_of_asking_again:recounted",
    section=AskingSettings,
    swept=True,
    engines=_engines,
)
