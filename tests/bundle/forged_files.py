"""Files of measures, judges and searches that somebody has changed, one mutation each.

Every mutation has the name of the run whose bundle it changes (`runs.py`).
"""

from __future__ import annotations

import io
import json
import random
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load, save

from tests.bundle.forged import Mutation, Opened

_BY_RUN: dict[Mutation, str] = {}
#: Mutations that only the model could tell: nothing follows from what they change.
UNTOLD: list[Mutation] = []
TOLD: list[Mutation] = []


def _of(run: str, *, told: bool = True) -> Callable[[Mutation], Mutation]:
    def known(mutation: Mutation) -> Mutation:
        _BY_RUN[mutation] = run
        (TOLD if told else UNTOLD).append(mutation)
        return mutation

    return known


def run_of(mutation: Mutation) -> str | None:
    """Whose bundle it changes; None for those of a run of completions."""
    return _BY_RUN.get(mutation)


def _name(opened: Opened, ending: str, chance: random.Random) -> str:
    return chance.choice(sorted(name for name in opened.files if name.endswith(ending)))


def _document(opened: Opened, ending: str, chance: random.Random) -> tuple[str, Any]:
    name = _name(opened, ending, chance)
    return name, json.loads(opened.files[name])


def _traces(opened: Opened) -> tuple[str, list[Any]]:
    name = next(name for name in opened.files if name.endswith("traces.jsonl"))
    return name, [json.loads(line) for line in opened.files[name].decode().splitlines()]


def _put_traces(opened: Opened, name: str, traces: list[Any]) -> None:
    opened.files[name] = "".join(json.dumps(each) + "\n" for each in traces).encode()


@_of("calibration")
def reference_token(opened: Opened, chance: random.Random) -> str:
    name, traces = _traces(opened)
    trace = chance.choice(traces)
    trace["gt"] += 1
    _put_traces(opened, name, traces)
    return "traces.jsonl"


@_of("calibration")
def probability(opened: Opened, chance: random.Random) -> str:
    name, traces = _traces(opened)
    first = chance.choice([each for each in traces if float(each["top_probs"][0]) < 0.9])
    first["top_probs"][0] = f"{float(first['top_probs'][0]) + 0.05:.8f}"
    _put_traces(opened, name, traces)
    return "calibration"


@_of("calibration")
def missing_trace(opened: Opened, chance: random.Random) -> str:
    name, traces = _traces(opened)
    traces.pop(chance.randrange(len(traces)))
    _put_traces(opened, name, traces)
    return "traces"


@_of("calibration")
def fit(opened: Opened, chance: random.Random) -> str:
    name, found = _document(opened, "calibration.json", chance)
    found["ece"]["value"] += 0.01
    opened.files[name] = json.dumps(found).encode()
    return "ece"


@_of("calibration")
def cell_of_the_grid(opened: Opened, chance: random.Random) -> str:
    name = _name(opened, "grid.csv", chance)
    rows = opened.files[name].decode().splitlines()
    line = chance.choice([n for n, row in enumerate(rows) if n and row.split(",")[4]])
    cells = rows[line].split(",")
    cells[4] = str(float(cells[4]) + 0.1)
    rows[line] = ",".join(cells)
    opened.files[name] = ("\n".join(rows) + "\n").encode()
    return "grid.csv"


@_of("calibration", told=False)
def another_top_token(opened: Opened, chance: random.Random) -> str:
    """Which tokens the others were is counted nowhere."""
    name, traces = _traces(opened)
    trace = chance.choice([each for each in traces if each["gt"] not in each["top_ids"][1:]])
    trace["top_ids"][-1] = next(n for n in range(999) if n not in [trace["gt"], *trace["top_ids"]])
    _put_traces(opened, name, traces)
    return name


@_of("forward")
def reading(opened: Opened, chance: random.Random) -> str:
    name = _name(opened, ".safetensors", chance)
    tensors = load(opened.files[name])
    which = chance.choice(["own_nll.agentic", "nll.assisted", "divergence", "usage.jaccard"])
    tensors[which].view(-1)[-1] += 0.25
    header = json.loads(
        opened.files[name][8 : 8 + int.from_bytes(opened.files[name][:8], "little")]
    )
    opened.files[name] = save(tensors, header["__metadata__"])
    return "forward"


@_of("forward")
def missing_reading(opened: Opened, chance: random.Random) -> str:
    del opened.files[_name(opened, ".safetensors", chance)]
    return "sample_metrics"


@_of("forward")
def map_of_usage(opened: Opened, chance: random.Random) -> str:
    name = _name(opened, chance.choice(["usage_maps.npz", "layers.npz"]), chance)
    with np.load(io.BytesIO(opened.files[name])) as packed:
        arrays = dict(packed)
    which = "avg_last_agentic" if "avg_last_agentic" in arrays else "js"
    arrays[which].flat[chance.randrange(arrays[which].size)] += 0.1
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    opened.files[name] = stream.getvalue()
    return name.rpartition("/")[2]


@_of("forward")
def ordering(opened: Opened, chance: random.Random) -> str:
    name, points = _document(opened, "_points.json", chance)
    one, other = chance.sample(range(len(points)), 2)
    points[one], points[other] = points[other], points[one]
    opened.files[name] = json.dumps(points).encode()
    return name.rpartition("/")[2]


@_of("diffing")
def listed_token(opened: Opened, chance: random.Random) -> str:
    name, evidence = _document(opened, "evidence.json", chance)
    while not evidence["candidates"]:  # the model beside itself has none
        name, evidence = _document(opened, "evidence.json", chance)
    chance.choice(evidence["candidates"][:5])["token"] += 1
    opened.files[name] = json.dumps(evidence).encode()
    return "candidates"


@_of("diffing")
def listed_weight(opened: Opened, chance: random.Random) -> str:
    name, evidence = _document(opened, "evidence.json", chance)
    while not evidence["candidates"]:
        name, evidence = _document(opened, "evidence.json", chance)
    chance.choice(evidence["candidates"][:5])["weight"] += 0.5
    opened.files[name] = json.dumps(evidence).encode()
    return "weight"


@_of("diffing")
def judges_answer(opened: Opened, chance: random.Random) -> str:
    name, found = _document(opened, "evaluation.json", chance)
    while not found["answers"]:
        name, found = _document(opened, "evaluation.json", chance)
    answer = chance.choice(found["answers"])
    answer["answer"] = "ANSWER[1]: RELEVANT"
    opened.files[name] = json.dumps(found).encode()
    return "evaluation.json"


@_of("diffing")
def label(opened: Opened, chance: random.Random) -> str:
    name, found = _document(opened, "evaluation.json", chance)
    while not found["places"]:
        name, found = _document(opened, "evaluation.json", chance)
    place = chance.choice(found["places"])
    place["label"] = "RELEVANT" if place["label"] != "RELEVANT" else "IRRELEVANT"
    opened.files[name] = json.dumps(found).encode()
    return "label"


@_of("judged")
def judges_reply(opened: Opened, chance: random.Random) -> str:
    records = opened.records
    (reply,) = chance.choice(sorted(records[1]["replies"]["fluency"].items()))[1]
    reply["log_probabilities"][0][0] -= 1
    opened.records = records
    return "fluency"


@_of("valued")
def map_of_an_answer(opened: Opened, chance: random.Random) -> str:
    """What help at one token would have been worth."""
    records = opened.records
    draw = chance.choice(records[1]["draws"])
    worth = draw["completion"]["traces"]["worth"]
    worth[chance.randrange(len(worth))] += 3
    opened.records = records
    return "worth_asking"


def _consultations(opened: Opened) -> tuple[str, list[Any]]:
    name = next(name for name in opened.files if name.endswith("hindsight.jsonl"))
    return name, [json.loads(line) for line in opened.files[name].decode().splitlines()]


@_of("valued")
def consultation(opened: Opened, chance: random.Random) -> str:
    """Where an answer was mended, what came of it, or what its map says of the next one."""
    name, lines = _consultations(opened)
    line = chance.choice([each for each in lines if each["consultations"]])
    step = chance.choice(line["consultations"])
    what = chance.choice(["at", "tokens", "text", "right", *(["worth"] if step["worth"] else [])])
    if what == "at":
        step["at"] += 1
    elif what == "tokens":
        step["tokens"][step["at"]] ^= 1
    elif what == "text":
        step["text"] += "x"
    elif what == "right":
        step["right"] = not step["right"]
    else:
        step["worth"][0] = int(step["worth"][0] <= 0)
    opened.files[name] = "".join(json.dumps(each) + "\n" for each in lines).encode()
    return "hindsight"


@_of("valued")
def missing_consultation(opened: Opened, chance: random.Random) -> str:
    name, lines = _consultations(opened)
    chance.choice([each for each in lines if each["consultations"]])["consultations"].pop()
    opened.files[name] = "".join(json.dumps(each) + "\n" for each in lines).encode()
    return "hindsight"


@_of("valued")
def value_in_hindsight(opened: Opened, chance: random.Random) -> str:
    records = opened.records
    metrics = records[1]["sample_metrics"]
    metric = chance.choice(sorted(name for name in metrics if name.startswith("hindsight_")))
    sample = chance.choice(sorted(metrics[metric]))
    found = metrics[metric][sample]
    metrics[metric][sample] = [found[0] + 1, found[1]] if isinstance(found, list) else 1 - found
    opened.records = records
    return metric


@_of("searched")
def trials_score(opened: Opened, chance: random.Random) -> str:
    """In the study, from which the table is made."""
    name = _name(opened, "study.db", chance)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.db"
        file.write_bytes(opened.files[name])
        with sqlite3.connect(file) as study:
            (trials,) = study.execute("select count(*) from trial_values").fetchone()
            study.execute(
                "update trial_values set value = value + 0.5 where trial_value_id = "
                "(select trial_value_id from trial_values limit 1 offset ?)",
                (chance.randrange(trials),),
            )
        study.close()
        opened.files[name] = file.read_bytes()
    return "trials.csv"


@_of("searched")
def row_of_a_trial(opened: Opened, chance: random.Random) -> str:
    name = _name(opened, "trials.csv", chance)
    rows = opened.files[name].decode().splitlines()
    line = chance.randrange(1, len(rows))
    cells = rows[line].split(",")
    cells[2] = "0.987"
    rows[line] = ",".join(cells)
    opened.files[name] = ("\n".join(rows) + "\n").encode()
    return "trials.csv"


@_of("searched")
def best_trial(opened: Opened, chance: random.Random) -> str:
    name, best = _document(opened, "best.json", chance)
    which = chance.choice(["trial", "value", "made_again"])
    best[which] += 1
    opened.files[name] = json.dumps(best).encode()
    return "best"


@_of("searched")
def result_of_a_search(opened: Opened, chance: random.Random) -> str:
    name, found = _document(opened, "results.json", chance)
    found["trials"]["complete"] += 1
    opened.files[name] = json.dumps(found).encode()
    return "results.json"
