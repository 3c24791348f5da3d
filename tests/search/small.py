"""The smallest real search: a few problems on zoo/base, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import yaml

from harness.spec import Experiment
from harness.spec.search import SearchSettings

SPEC = {
    "name": "small",
    "model": "zoo/base",
    "task": {"name": "micro_gsm8k"},
    "intervention": {
        "kind": "steering",
        "vector": {"pairs": "answers"},
        "layer": 0,
        "alpha": 0,
    },
    "sampling": {"max_new_tokens": 64},
    "search": {
        "space": {
            "intervention.alpha": {"low": -2, "high": 2},
            "intervention.layer": [0, 1],
        },
        "trials": 6,
        "batch": 3,
        "chunk": 3,
        "splits": {"train": 8, "validation": 7, "test": 5},
        "pruner_options": {"n_startup_trials": 1},
    },
}


def write_spec(folder: Path, **changes: object) -> Path:
    """The spec in a folder; `changes` replace fields of its section `search`, or others."""
    spec = {**SPEC, "search": {**SPEC["search"]}}
    for name, value in changes.items():
        if name in Experiment.model_fields.keys() - SearchSettings.model_fields.keys():
            spec[name] = value
        elif value is None:
            spec["search"].pop(name, None)
        else:
            spec["search"][name] = value
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path
