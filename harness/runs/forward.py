"""Runs a case that measures forward passes: one chat style of every sample, or both; one result.

What was measured of a sample is kept below `.titrate/forward/<fingerprint>/` as soon as it is
known; the tables, maps and points files that belong to the report lie beside it, in `tables/`. The
fingerprint covers the engine, the intervention, the tokens that are read and what is kept of them:
the same measurement goes on where it stopped, and another one never mixes with it.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.engines.contract import Engine
from harness.errors import ModelError, TaskError
from harness.files.atomic import write_file
from harness.files.portable import portable
from harness.interventions.base import Intervention
from harness.measure.forward import forward_of, lens_of
from harness.measure.paired_forward import ForwardPlan, measure_pairs
from harness.measure.paired_tables import layer_tables, lens_gap, sample_metrics
from harness.measure.points_files import STUDY, points_document, points_json
from harness.measure.readings import PairedAnswer, paired_answers
from harness.measure.sample_files import SampleFiles, SampleForward
from harness.measure.usage_maps import usage_maps
from harness.models.loading import load_config
from harness.models.routers import RouterShape, router_shape
from harness.models.size import weights_per_token
from harness.resolve.pair_files import check_tokenizer, pairs_of
from harness.runs.generated import result_of
from harness.runs.planned_case import PlannedCase
from harness.spec import Experiment
from harness.spec.usage_expression import parse
from harness.store.results import CaseResult, InvariantResult
from harness.tasks.pairs.pair import Unpaired

LENS_EQUALS_MODEL = "lens_equals_model"

_VERSION = 1
_TABLES = "tables"
LAYERS, MAPS, SUMMARY = "layers.npz", "usage_maps.npz", "summary.json"
#: Nats between two ways to the same number; half types round each logit to 2 or 3 digits.
LENS_TOLERANCES = {"float32": 1e-3, "float64": 1e-6}
LENS_TOLERANCE_OF_HALF = 0.25


def measured_case(
    engine: Engine,
    case: PlannedCase,
    intervention: Intervention | None,
    root: Path,
    measured: Callable[[float], None],
) -> CaseResult:
    """Measure every pair of a case; `measured` is told how many are done.

    Raises:
        TaskError: no pair could be measured.
        FieldError: the case's file of pairs is not one for this model.
    """
    started = time.perf_counter()
    experiment = case.experiment
    check_tokenizer(experiment, engine.tokenizer)
    config = load_config(experiment.model).get_text_config()
    found = list(
        paired_answers(
            engine.tokenizer,
            case.task,
            case.task.samples,
            pairs_of(experiment),
            int(config.max_position_embeddings),
            forward_of(experiment).read,
        )
    )
    answers = [each for each in found if isinstance(each, PairedAnswer)]
    problems = [each for each in found if isinstance(each, Unpaired)]
    kept = forward_of(experiment)
    plan = ForwardPlan(
        layers=int(config.num_hidden_layers),
        width=int(config.hidden_size),
        routers=_routers(experiment),
        styles=kept.read,
        lens=lens_of(experiment),
        hidden=kept.hidden,
        dtype=getattr(torch, kept.dtype),
        intervention=intervention,
        readout_cost=config.vocab_size * config.hidden_size / weights_per_token(config),
    )
    folder = root / _fingerprint(engine, answers, plan)
    samples: list[SampleForward] = []
    for each in measure_pairs(engine, answers, plan, SampleFiles(folder, plan.hidden), measured):
        if isinstance(each, Unpaired):
            problems.append(each)
        else:
            samples.append(each)
    if not samples:
        first = problems[0] if problems else "the task has no sample"
        raise TaskError(f"no pair could be measured, first {first}")
    tables = folder / _TABLES
    _write_tables(tables, samples, problems, plan, kept.orderings)
    warnings = [
        f"{len(problems)} of {len(found)} pairs could not be measured, first {problem}"
        for problem in problems[:1]
    ]
    result = result_of(
        case,
        "complete",
        sample_metrics=sample_metrics(samples, output=plan.reads_output),
        intervention=intervention,
        warnings=tuple(warnings),
    )
    return replace(
        result,
        task_size=len(samples),
        checks=(_check(case.id, samples, engine),) if plan.reads_output else (),
        artefacts=str(tables.absolute()),
        seconds=time.perf_counter() - started,
    )


def _routers(experiment: Experiment) -> RouterShape | None:
    """Those whose use two styles are compared in."""
    if len(forward_of(experiment).read) < 2:
        return None
    try:
        return router_shape(load_config(experiment.model))
    except ModelError:
        return None


def _fingerprint(engine: Engine, answers: Sequence[PairedAnswer], plan: ForwardPlan) -> str:
    content = {
        "version": _VERSION,
        "engine": engine.fingerprint,
        "intervention": plan.intervention.fingerprint() if plan.intervention else None,
        "hidden": [plan.hidden, str(plan.dtype)],
        "answers": [asdict(answer) for answer in answers],
    }
    if plan.read != tuple(range(plan.layers)):  # left out: what was kept before has every layer
        content["lens"] = plan.read
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def tables_of(
    samples: Sequence[SampleForward],
    layers: Sequence[int],
    routers: RouterShape | None,
    orderings: Sequence[str],
) -> dict[str, str | bytes]:
    """What follows from the samples, by the names of files: tables by layer, usage maps with their
    points files.
    """
    files: dict[str, str | bytes] = {LAYERS: _packed(layer_tables(samples, layers))}
    if routers is not None:
        usage = [sample.usage for sample in samples if sample.usage is not None]
        maps = usage_maps(usage, routers.top_k)
        maps["layers"] = np.array(routers.layers)
        files[MAPS] = _packed(maps)
        named = dict(STUDY) | {
            f"{'_'.join(text.replace('-', ' minus ').split())}_points": text for text in orderings
        }
        for name, text in named.items():
            entries = points_document(parse(text), maps, routers.layers)
            files[f"{name}.json"] = points_json(entries)
    return files


def _write_tables(
    folder: Path,
    samples: Sequence[SampleForward],
    problems: Sequence[Unpaired],
    plan: ForwardPlan,
    orderings: Sequence[str],
) -> None:
    """The files of a report: the tables and maps, and a summary."""
    for name, content in tables_of(samples, plan.read, plan.routers, orderings).items():
        _write(folder / name, content)
    summary = {
        "measured_samples": len(samples),
        "problems": [{"key": problem.key, "reason": problem.reason} for problem in problems],
        "save_mode": plan.hidden,
        "hidden_states": None
        if plan.hidden == "none"
        else portable(str((folder.parent / "hidden_states").absolute())),
    }
    _write(folder / SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")


def _check(case: str, samples: Sequence[SampleForward], engine: Engine) -> InvariantResult:
    """The last layer read through norm and head must be the model's own cross-entropy."""
    dtype = engine.determinism["dtype"]
    return lens_check(case, samples, LENS_TOLERANCES.get(dtype, LENS_TOLERANCE_OF_HALF))


def lens_check(case: str, samples: Sequence[SampleForward], allowed: float) -> InvariantResult:
    """The same, with the nats that they may be apart."""
    gap = lens_gap(samples)
    return InvariantResult(
        LENS_EQUALS_MODEL,
        case,
        holds=gap <= allowed,
        detail=f"last layer and cross-entropy: {gap:.1e} nats apart at most, {allowed:g} allowed",
    )


def _packed(arrays: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _write(path: Path, content: str | bytes) -> None:
    """Put a file in place; one that says so already stays, and may lie where nothing is written."""
    data = content.encode() if isinstance(content, str) else content
    if not path.is_file() or path.read_bytes() != data:
        write_file(path, data)
