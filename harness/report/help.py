"""What help came to, of every guidance that asks one other model, its oracle: how much of the gap
between the two was closed.

A curve is the complete cases of an experiment that ask by one trigger; where the experiment has a
dose, those that differ in it alone. The model alone is their baseline, the oracle alone what the
metric `oracle_alone` asked for each of their samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
from pydantic import JsonValue

from harness.engines.contract import Completion
from harness.errors import ModelError
from harness.interventions.policy import Guidance
from harness.models.size import weights_per_token
from harness.report.help_report import (
    Estimated,
    FittedReport,
    HelpPoint,
    HelpReport,
    PromiseReport,
)
from harness.statistics.recovery import Estimate, Recovery
from harness.store.results import CaseResult

#: The metrics that it is made of.
_SHARE = "oracle_share"
_ALONE = "oracle_alone"


def help_reports(results: Sequence[CaseResult], axes: Mapping[str, str]) -> Iterator[HelpReport]:
    """What is said of every curve; `axes` are the experiments' dose axes."""
    by_id = {result.case.id: result for result in results}
    groups: dict[str, list[CaseResult]] = {}
    for result in results:
        baseline = by_id.get(result.baseline or "")
        if baseline is None or not {_SHARE, _ALONE} <= result.sample_metrics.keys():
            continue
        if result.status == baseline.status == "complete" and _oracle(result) is not None:
            key = [result.case.experiment.name, _guidance(result).asks_by, _others(result, axes)]
            groups.setdefault(json.dumps(key, sort_keys=True), []).append(result)
    for members in groups.values():
        members.sort(key=lambda result: result.case.dose or 0.0)
        baseline = by_id[members[0].baseline or ""]
        best = next((each for each in results if _is_hindsight_of(each, members[0])), None)
        found = _help(members, baseline, axes, best)
        if found is not None:
            yield found


def _help(
    members: Sequence[CaseResult],
    baseline: CaseResult,
    axes: Mapping[str, str],
    best: CaseResult | None,
) -> HelpReport | None:
    metric = members[0].metric
    columns = [case.sample_metrics.get(metric, {}) for case in members]
    alone = members[0].sample_metrics[_ALONE]
    weak = baseline.sample_metrics.get(metric, {})
    shared = sorted(set.intersection(*map(set, [*columns, alone, weak])))
    kind = members[0].kind(metric)
    if not shared or not kind.share:
        return None
    written = [case.sample_metrics[_SHARE] for case in members]
    pairs = np.array([[_pair(column[sample]) for sample in shared] for column in written])
    weights = _weights(members[0])
    recovery = Recovery(
        right=np.array([[_number(column[sample]) for sample in shared] for column in columns]),
        asked=pairs[..., 0],
        tokens=pairs[..., 1],
        weak=np.array([_number(weak[sample]) for sample in shared]),
        strong=np.array([_number(alone[sample]) for sample in shared]),
        weak_tokens=np.array([_tokens(baseline, sample) for sample in shared]),
        strong_tokens=np.array([_alone_tokens(members[0], sample) for sample in shared]),
        **({} if weights is None else {"weak_weight": weights[0], "strong_weight": weights[1]}),
    )
    hindsight = None if best is None else _hindsight(best, recovery, shared)
    why = None if recovery.has_gap else "the oracle is not better than the model beyond chance"
    return HelpReport(
        experiment=members[0].case.experiment.name,
        params=_others(members[0], axes),
        trigger=_guidance(members[0]).asks_by,
        metric=metric,
        samples=len(shared),
        weak=float(recovery.weak.mean()),
        strong=float(recovery.strong.mean()),
        strong_cost=None if weights is None else float(recovery.strong_costs[0]),
        points=tuple(
            HelpPoint(
                case=case.case.id,
                accuracy=float(recovery.right[at].mean()),
                share=_told(recovery.share(at)),
                pgr=None if why else _told(recovery.pgr(at)),
                cost=None if weights is None else _told(recovery.cost(at)),
                promise=_promise(case),
                fitted=_fitted(case),
            )
            for at, case in enumerate(members)
        ),
        no_pgr=why,
        apgr=None if why else _told(recovery.apgr()),
        regret=None if why or hindsight is None else _told(recovery.regret(hindsight)),
        cpt50=None if why else _told(recovery.cpt(0.5)),
        cpt80=None if why else _told(recovery.cpt(0.8)),
    )


def _is_hindsight_of(result: CaseResult, helped: CaseResult) -> bool:
    """Whether a case has chosen in hindsight when the same model asks the same oracle."""
    if result.status != "complete" or "hindsight_tokens_1" not in result.sample_metrics:
        return False
    section: Any = result.case.experiment.section_of(result.measure.name)
    asked = (_oracle(helped), _guidance(helped).tokens_of_help)
    own, other = result.case.experiment, helped.case.experiment
    same = (own.model, own.task, own.prompt, own.sampling, own.seed, own.engine) == (
        other.model,
        other.task,
        other.prompt,
        other.sampling,
        other.seed,
        other.engine,
    )
    return same and (section.model, section.length) == asked


def _hindsight(best: CaseResult, recovery: Recovery, samples: Sequence[str]) -> Recovery | None:
    """The line of consultations that were chosen in hindsight, over the same samples."""
    right, asked, tokens = [], [], []
    for calls in count(1):
        said = best.sample_metrics.get(f"hindsight_tokens_{calls}")
        if said is None:
            break
        pairs = [_pair(said[sample]) for sample in samples]
        right.append([_number(best.sample_metrics[f"hindsight_{calls}"][s]) for s in samples])
        asked.append([own for own, _ in pairs])
        tokens.append([every for _, every in pairs])
    return replace(recovery, right=np.array(right), asked=np.array(asked), tokens=np.array(tokens))


def _promise(case: CaseResult) -> PromiseReport | None:
    promised = _guidance(case).promised
    return None if promised is None else PromiseReport.model_validate(promised)


def _fitted(case: CaseResult) -> FittedReport | None:
    fitted = _guidance(case).fitted_on
    return None if fitted is None else FittedReport.model_validate(fitted)


def _told(estimate: Estimate) -> Estimated:
    return Estimated(value=estimate.value, low=estimate.low, high=estimate.high)


def _guidance(result: CaseResult) -> Guidance:
    guidance = result.intervention
    assert isinstance(guidance, Guidance)
    return guidance


def _oracle(result: CaseResult) -> str | None:
    """The model that a guided case asks; None where it asks none, or several."""
    section = result.case.experiment.intervention
    if section is None or not isinstance(result.intervention, Guidance):
        return None
    asked = [model for model, _ in section.engines().values()]
    return asked[0] if len(asked) == 1 else None


def _others(result: CaseResult, axes: Mapping[str, str]) -> dict[str, JsonValue]:
    """The axes in which a curve's cases do not differ."""
    axis = axes.get(result.case.experiment.name)
    return {
        name: value
        for name, value in result.case.params.items()
        if (name != axis if axis else not name.startswith("intervention."))
    }


def _weights(result: CaseResult) -> tuple[float, float] | None:
    """What a token of the model and of its oracle costs; None where it is not known here."""
    from harness.models.loading import load_config  # with torch, which other reports do without

    model = _oracle(result)
    assert model is not None
    try:
        own, oracle = load_config(result.case.experiment.model), load_config(model)
        return float(weights_per_token(own)), float(weights_per_token(oracle))
    except (ModelError, AttributeError):
        return None


def _tokens(result: CaseResult, sample: str) -> float:
    own = [draw.tokens for draw in result.lengths if draw.sample == sample]
    return sum(own) / max(len(own), 1) * 1.0


def _alone_tokens(result: CaseResult, sample: str) -> float:
    replies = result.replies.get(_ALONE, {}).get(sample, ())
    return float(sum(len(each.tokens) for each in replies if isinstance(each, Completion)))


def _pair(value: JsonValue) -> list[float]:
    assert isinstance(value, list)
    return [_number(each) for each in value]


def _number(value: JsonValue) -> float:
    assert isinstance(value, int | float)
    return float(value)
