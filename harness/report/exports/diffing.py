"""Comparisons of models in the layout of science-of-finetuning's diffing-toolkit.

token_relevance_results.json   {dataset: {value: [{percentage, weighted_percentage}]}}, a list
                               over seeds; one level more, the method, where several were run
agent_results.json             {agent: {value: {"miN": [scores]}}}
NAME.png                       the report's figures of sweeps
CASE/run_metadata.json
CASE/orderings.json            of logit_diff, with ORDERING.json and ORDERING_eval.json beside it
CASE/model_norms_DATASET.pt    of adl and patchscope, as what follows
CASE/layer_L/DATASET/          mean_pos_J.pt with mean_pos_J.meta, base_ and ft_mean_pos_J.pt,
                               logit_lens_pos_J.pt with its variants, auto_patch_scope_pos_J_G.pt,
                               token_relevance.json, steering/
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import ReportError
from harness.files.atomic import write_file
from harness.measure.diffing.evidence import Candidate, Evidence
from harness.measure.diffing.relevance import percentage, weighted_percentage
from harness.report.loaded import Report
from harness.report.report import CaseReport
from harness.report.sweeps import SEED

_METHOD = "diff.method"
_NUMBERS = {"RELEVANT": 1.0, "IRRELEVANT": 0.0, "UNKNOWN": None}
_VARIANTS = {"": "difference", "base_": "base", "ft_": "tuned"}


def write_diffing(report: Report, folder: Path) -> list[Path]:
    """All files. Raises `ReportError` for a report without comparisons."""
    cases = [
        case
        for case in report.report.cases
        if case.grid is not None and (_folder(report, case) / "evidence.json").is_file()
    ]
    if not cases:
        raise ReportError(
            f"{report.directory}: has no comparison of models (measure: diff) to export"
        )
    written: list[Path] = []
    for case in cases:
        written += _case(report, case, folder / case.id)
    for name, content in (
        ("token_relevance_results.json", _relevance(report, cases)),
        ("agent_results.json", _agents(report, cases)),
    ):
        if content:
            written.append(_put(folder / name, content))
    for picture in sorted((report.directory / "plots").glob("*-by-*.png")):
        shutil.copyfile(picture, folder / picture.name)
        written.append(folder / picture.name)
    return written


def _folder(report: Report, case: CaseReport) -> Path:
    return report.directory / "diff" / case.id


def _value(case: CaseReport) -> str:
    """What an axis stands at: the value of the only one, or all of them."""
    others = {name: each for name, each in case.params.items() if name not in (SEED, _METHOD)}
    if len(others) == 1:
        return str(next(iter(others.values())))
    return ",".join(f"{name.rpartition('.')[2]}={each}" for name, each in others.items()) or "all"


def _relevance(report: Report, cases: Sequence[CaseReport]) -> dict[str, Any]:
    methods = len({case.params.get(_METHOD) for case in cases}) > 1
    found: dict[str, Any] = {}
    for case in cases:
        if "relevance" not in case.metrics:
            continue
        place = found.setdefault(case.task.name, {})
        if methods:
            place = place.setdefault(str(case.params.get(_METHOD)), {})
        agreed = case.metrics.get("agreed_relevance", case.metrics["relevance"])
        place.setdefault(_value(case), []).append(
            {
                "percentage": agreed.value,
                "weighted_percentage": _weighted(report, case),
            }
        )
    return found


def _weighted(report: Report, case: CaseReport) -> float:
    """The share of the weight that has the one label which raters agree on, as the original has."""
    evaluation = _read(_folder(report, case) / "evaluation.json") or {"places": ()}
    weights = [(each["weight"], each["label"] == "RELEVANT") for each in evaluation["places"]]
    total = sum(weight for weight, _ in weights)
    return sum(weight for weight, relevant in weights if relevant) / total if total else 0.0


def _agents(report: Report, cases: Sequence[CaseReport]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for case in cases:
        runs = _read(_folder(report, case) / "agents.json") or []
        section: Any = case.settings.get("diff")
        for run in runs:
            agent = "blackbox" if run["blackbox"] else str(section["method"])
            budget = f"mi{section['agent']['interactions']}"
            scores = [score for score in run["scores"] if score is not None]
            place = found.setdefault(agent, {}).setdefault(_value(case), {})
            place.setdefault(budget, []).extend(scores)
    return found


def _case(report: Report, case: CaseReport, folder: Path) -> Iterator[Path]:
    own = _folder(report, case)
    evidence = Evidence.of((own / "evidence.json").read_text("utf-8"))
    judged = _read(own / "evaluation.json") or {"places": [], "answers": []}
    metadata = {
        "case": case.id,
        "model": case.model,
        "params": case.params,
        "settings": case.settings,
        "intervention": case.intervention,
    }
    yield _put(folder / "run_metadata.json", metadata)
    if "ordering" in evidence.about:
        yield from _orderings(case, evidence, judged, folder)
    place = folder / f"layer_{evidence.about.get('layer', 'all')}" / case.task.name
    if "layer" in evidence.about:
        yield from _lenses(case, evidence, judged, place)
    if (own / "difference.npz").is_file():
        section: Any = case.settings.get("diff")
        yield from _means(own / "difference.npz", place, evidence.texts)
        norms = folder / f"model_norms_{case.task.name}.pt"
        yield _norms(own / "difference.npz", norms, evidence.texts, section["skipped"])
    for each in _read(own / "steering.json") or []:
        steering = place / f"steering/position_{each['position']}_{_grader(judged)}"
        threshold = {"strengths": each["strengths"], "average": _mean(each["strengths"])}
        yield _put(steering / "threshold.json", threshold)
        lines = [
            json.dumps({**text, "steered": kind == "steered"}, ensure_ascii=False)
            for kind in ("steered", "unsteered")
            for text in each[kind]
        ]
        write_file(steering / "generations.jsonl", "".join(f"{line}\n" for line in lines))
        yield steering / "generations.jsonl"


def _orderings(
    case: CaseReport, evidence: Evidence, judged: Mapping[str, Any], folder: Path
) -> Iterator[Path]:
    kind = str(evidence.about["ordering"])
    index = []
    for group, listed in evidence.groups.items():
        name = kind if not group else f"{kind}_{group.replace(' ', '_')}"
        index.append(
            {"ordering_id": name, "ordering_type_id": kind, "display_label": group or kind}
        )
        tokens = [
            {
                "token_id": each.token,
                "token_str": each.text,
                "ordering_value": each.weight,
                "avg_logit_diff": each.numbers["mean_difference"],
                "count_positive": int(each.numbers["count_positive"]),
                "count_negative": int(each.numbers["count_negative"]),
            }
            for each in listed
        ]
        yield _put(folder / f"{name}.json", {**index[-1], "tokens": tokens})
        record = {
            **index[-1],
            "dataset_name": case.task.name,
            **_record(judged, group or evidence.method, listed),
            "batch_size": 20,
        }
        yield _put(folder / f"{name}_eval.json", record)
    yield _put(folder / "orderings.json", index)


def _lenses(
    case: CaseReport, evidence: Evidence, judged: Mapping[str, Any], place: Path
) -> Iterator[Path]:
    source = "patchscope" if evidence.method == "patchscope" else "logitlens"
    records = [
        {
            "layer": evidence.about["layer"],
            "position": int(group.rpartition(" ")[2]),
            "variant": "difference",
            "source": source,
            "target": "self",
            **_record(judged, group, listed),
            **_filtered(judged, group, evidence.about.get("scales", {}).get(group, {})),
        }
        for group, listed in evidence.groups.items()
    ]
    yield _put(place / "token_relevance.json", records)
    for group, lenses in evidence.about.get("lenses", {}).items():
        for prefix, variant in _VARIANTS.items():
            top, inverse = (lenses[variant][side] for side in ("top", "inverse"))
            tensors = [[each[1] for each in top], [each[0] for each in top]]
            tensors += [[each[1] for each in inverse], [each[0] for each in inverse]]
            number = group.rpartition(" ")[2]
            yield _tensors(place / f"{prefix}logit_lens_pos_{number}.pt", tuple(tensors))
    for group, scales in evidence.about.get("scales", {}).items():
        best = next(each for each in scales["scales"] if each["scale"] == scales["best"])
        words = [each.text for each in evidence.groups[group]]
        content = {
            "best_scale": scales["best"],
            "tokens_at_best_scale": words,
            "selected_tokens": scales.get("selected", words),
            "token_probs": [value for _, value in best["tokens"]],
            "normalized": True,
        }
        grader = str(scales.get("by", "excess")).replace("/", "_")
        name = f"auto_patch_scope_pos_{group.rpartition(' ')[2]}_{grader}.pt"
        yield _tensors(place / name, content)
    del case


def _record(judged: Mapping[str, Any], group: str, listed: Sequence[Candidate]) -> dict[str, Any]:
    """The part of a record that both kinds share: what was judged of a list."""
    own = [each for each in judged["places"] if each["place"].rpartition(" ")[0] == group]
    labels = [_NUMBERS[each["label"]] for each in own]
    trivial = [each["trivial"] for each in own]
    return {
        "labels": [each["label"] for each in own],
        "tokens": [each["text"] for each in own] or [each.text for each in listed],
        "percentage": percentage(labels),
        "trivial_percentage": _mean(trivial),
        "weighted_percentage": weighted_percentage(labels, [each["weight"] for each in own]),
        "grader_responses": [each["answer"] for each in judged["answers"]],
    }


def _filtered(judged: Mapping[str, Any], group: str, scales: Mapping[str, Any]) -> dict[str, Any]:
    """What a patchscope's record has beside: the same of the tokens that a judge selected."""
    if "selected" not in scales:
        return {}
    own = [
        each
        for each in judged["places"]
        if each["place"].rpartition(" ")[0] == group and each["text"] in scales["selected"]
    ]
    labels = [_NUMBERS[each["label"]] for each in own]
    return {
        "unsupervised_filter": True,
        "selected_tokens": scales["selected"],
        "filtered_percentage": percentage(labels),
        "weighted_filtered_percentage": weighted_percentage(
            labels, [each["weight"] for each in own]
        ),
    }


def _means(file: Path, place: Path, texts: int) -> Iterator[Path]:
    """The three means of each position, and what is said beside that of the difference."""
    import torch

    with np.load(file) as read:
        for prefix, name in (("", "difference"), ("base_", "base_mean"), ("ft_", "tuned_mean")):
            for label, row in zip(read["positions"], read[name], strict=True):
                mean = torch.from_numpy(row).float()
                yield _tensors(place / f"{prefix}mean_pos_{int(label)}.pt", mean)
                if not prefix:
                    told = {"count": texts, "activation_dim": len(row), "position": int(label)}
                    meta = place / f"mean_pos_{int(label)}.meta"
                    yield _put(meta, {**told, "token_id": None})


def _norms(file: Path, target: Path, texts: int, skipped: int) -> Path:
    """The typical norms of both models, by layer."""
    import torch

    with np.load(file) as read:
        layer = int(read["layer"])
        base, tuned = ({layer: torch.tensor(float(norm))} for norm in read["norms"])
    told = {"skip_tokens": skipped, "num_sequences": texts}
    return _tensors(target, {"base_model_norms": base, "ft_model_norms": tuned, **told})


def _grader(judged: Mapping[str, Any]) -> str:
    """Who judged, as a part of a file's name."""
    raters = judged.get("raters") or ["plain"]
    return str(raters[0]).partition(" ")[0].replace("/", "_")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _tensors(path: Path, content: Any) -> Path:
    """A file of torch's; lists of numbers are tensors in it."""
    import torch

    if isinstance(content, tuple):
        content = tuple(torch.tensor(each) for each in content)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def _put(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    return path


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8")) if path.is_file() else None
