"""When a model is loaded, and when what was stored for it is no longer found."""

from __future__ import annotations

import json
import shutil

import pytest

from harness.engines import engine_inputs, open_engine
from harness.errors import ModelError
from harness.models import zoo
from harness.resolve.progress import Counts, Silent
from harness.runs.checks import planned
from harness.runs.deferred import DeferredEngine
from harness.runs.execute import ModelRun
from harness.spec import expand
from harness.spec.experiment import EngineSettings
from harness.store.completions import CompletionStore
from tests.runs.small import cases, experiment, mask

FAST = EngineSettings()


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "moe"
    shutil.copytree(zoo.resolve("moe"), folder)
    return folder


@pytest.fixture
def store(tmp_path):
    return CompletionStore(tmp_path / "store")


class Opening:
    """Opens the real engine and counts how often."""

    def __init__(self, model, settings=FAST):
        self.model, self.settings, self.times = model, settings, 0

    def __call__(self):
        self.times += 1
        return open_engine(self.model, self.settings)


def deferred(model, store, settings=FAST):
    opening = Opening(str(model), settings)
    return DeferredEngine(str(model), settings, opening, store), opening


def run(asked, store):
    """Run cases with the store, as a session does; returns loads and how many were stored."""
    first = asked[0].experiment
    engine, opening = deferred(first.model, store, first.engine)
    counts = Counts()
    run = ModelRun(engine, asked, Silent(), counts, store)
    for case in asked:
        assert run.result(case).status == "complete"
    engine.close()
    return opening.times, counts.requests_stored, counts.requests_done


# Loading ------------------------------------------------------------------------------------------


def test_a_fingerprint_is_known_once_the_model_was_loaded(store):
    engine, opening = deferred("zoo/moe", store)
    assert not engine.known
    fingerprint, determinism = engine.fingerprint, dict(engine.determinism)
    assert opening.times == 1
    again, not_opened = deferred("zoo/moe", store)
    assert again.known
    assert (again.fingerprint, dict(again.determinism)) == (fingerprint, determinism)
    assert again.tokenizer.get_vocab() == engine.tokenizer.get_vocab()
    again.close()
    assert not_opened.times == 0
    assert again.load() is again.load()
    assert not_opened.times == 1


def test_without_a_store_the_model_is_loaded(store):
    engine, opening = deferred("zoo/moe", None)
    assert not engine.known
    assert engine.fingerprint == open_engine("zoo/moe", FAST).fingerprint
    assert opening.times == 1


def test_an_engine_that_is_not_the_noted_one_is_refused_once(store):
    """Something that nobody thought of has changed: what was found may not be mixed with it."""
    inputs = engine_inputs("zoo/moe", FAST)
    from harness.store.completions import key_of

    noted = {"model": "zoo/moe", "fingerprint": "0" * 64, "determinism": {}}
    store.put_value(key_of("engine", inputs), noted, "engine", "0" * 64)
    engine, _ = deferred("zoo/moe", store)
    assert engine.fingerprint == "0" * 64
    with pytest.raises(ModelError, match="has changed since its completions were stored; run the"):
        engine.load()
    again, _ = deferred("zoo/moe", store)
    assert again.load().fingerprint == again.fingerprint != "0" * 64


# What must miss -----------------------------------------------------------------------------------


def test_a_complete_rerun_loads_nothing(store):
    asked = cases(axes={"intervention.count": [0, 30]})
    assert run(asked, store) == (1, 0, 9)
    assert run(asked, CompletionStore(store.directory)) == (0, 9, 9)


def edit_weights(folder):
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)


def edit_config(folder):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"rope_theta": 12345.0}))


def edit_template(folder):
    file = folder / "chat_template.jinja"
    file.write_text(file.read_text() + " ")


def edit_end_tokens(folder):
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token_id": 5}))


@pytest.mark.parametrize("edit", [edit_weights, edit_config, edit_template, edit_end_tokens])
def test_a_checkpoint_edited_in_place_misses(store, checkpoint, edit):
    asked = cases(model=str(checkpoint))
    assert run(asked, store) == (1, 0, 6)
    assert run(asked, store) == (0, 6, 6)
    edit(checkpoint)
    assert run(asked, store) == (1, 0, 6)


def test_an_edited_points_file_misses_for_the_cases_that_use_it(store, tmp_path):
    points = tmp_path / "points.json"
    points.write_text('[{"layer": 0, "router": 3}, {"layer": 1, "router": 5}]')
    fields = {
        "intervention": mask(points={"file": str(points)}),
        "axes": {"intervention.count": [0, 1, 2]},
    }
    assert run(cases(**fields), store) == (1, 0, 12)
    assert run(cases(**fields), store) == (0, 12, 12)
    points.write_text('[{"layer": 0, "router": 3}, {"layer": 1, "router": 6}]')
    assert run(cases(**fields), store) == (1, 9, 12)


def test_an_edited_prompt_misses(store, tmp_path):
    data = tmp_path / "data.jsonl"
    record = {"question": "Tom has 2 apples and 3 pears. How many?", "answer": "2+3\n#### 5"}
    fields = {"task": {"name": "gsm8k", "path": str(data)}}
    from harness.resolve.tasks import _load, _ready

    def written(question):
        data.write_text(json.dumps(record | {"question": question}) + "\n")
        _load.cache_clear()
        _ready.cache_clear()
        return cases(**fields)

    assert run(written(record["question"]), store) == (1, 0, 2)
    assert run(written(record["question"]), store) == (0, 2, 2)
    assert run(written("Tom has 2 apples and 4 pears. How many?"), store) == (1, 0, 2)


@pytest.mark.parametrize(
    "fields",
    [
        {"sampling": {"max_new_tokens": 23}},
        {"sampling": {"max_new_tokens": 24, "temperature": 0.5}},
        {"engine": {"determinism": "strict", "columns": 256}},
        {"engine": {"dtype": "bfloat16"}},
        {"prompt": {"style": "agentic"}},
    ],
    ids=["length", "temperature", "strict", "dtype", "style"],
)
def test_what_may_change_tokens_misses(store, fields):
    run(cases(), store)
    _, stored, _ = run(cases(**fields), store)
    assert stored == 0


def test_what_cannot_change_tokens_is_found(store):
    """Slots, columns and drafts decide how a fast engine works, not what it says."""
    run(cases(), store)
    for settings in ({"slots": 2}, {"columns": 300}, {"drafts": False}):
        assert run(cases(engine=settings), store) == (0, 6, 6)
    assert run(cases(name="other", gates=["neutral_equals_baseline"]), store) == (0, 6, 6)
    assert run(cases(seed=7), store) == (0, 6, 6)  # greedy decoding has no randomness


def test_the_shape_of_a_strict_engine_is_part_of_its_key(store):
    strict = {"determinism": "strict", "columns": 256, "slots": 2}
    run(cases(engine=strict), store)
    assert run(cases(engine=strict), store) == (0, 6, 6)
    assert run(cases(engine=strict | {"slots": 3}), store) == (1, 0, 6)


# Orderings ----------------------------------------------------------------------------------------


def usage(**fields):
    points = {"usage": "avg_last_agentic", "samples": 2} | fields
    return cases(intervention=mask(points=points), axes={"intervention.count": [0, 8]})


def test_a_measured_ordering_is_stored_with_what_was_read_for_it(store):
    assert run(usage(), store) == (1, 0, 9)
    assert run(usage(), store) == (0, 9, 9)
    loads, _, _ = run(usage(samples=3), store)
    assert loads == 1
    loads, _, _ = run(usage(usage="avg_all_agentic"), store)
    assert loads == 1


def test_a_mask_of_no_points_needs_no_ordering(store):
    run(cases(), store)
    points = {"usage": "avg_last_agentic"}
    neutral = expand(experiment(intervention=mask(points=points, count=0)))
    assert run([planned(case) for case in neutral], store) == (0, 6, 6)
