from __future__ import annotations

import shutil

import optuna
import pytest

from harness.engines.vllm import availability
from harness.errors import SpecError
from harness.interventions.array import Array
from harness.interventions.vector_file import SteeringVectors, write_vectors
from harness.search.setup import read_search, set_up
from harness.spec import load
from tests.search.small import SPEC, write_spec

STEERING = SPEC["intervention"]


def ready(folder, **changes):
    experiment, source = read_search(write_spec(folder, **changes))
    return set_up(experiment, source, folder)


def space(folder, space, **changes):
    return ready(folder, space=space, **changes).space


def test_a_trial_fills_the_spec_in(tmp_path):
    wanted = {
        "intervention.alpha": {"low": 0.1, "high": 2, "log": True},
        "intervention.layer": [0, [0, 1]],
        "sampling.max_new_tokens": {"low": 8, "high": 24, "step": 8},
        "intervention.positions": ["all", "generated"],
    }
    found = space(tmp_path, wanted)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    layers = set()
    for _ in range(20):
        trial = study.ask()
        configuration = found.asked(trial)
        assert configuration == found.told(trial.params)
        experiment = found.experiment(configuration)
        assert experiment.intervention.alpha == configuration["intervention.alpha"]
        assert 0.1 <= experiment.intervention.alpha <= 2
        assert experiment.sampling.max_new_tokens in {8, 16, 24}
        assert experiment.intervention.positions in {"all", "generated"}
        assert experiment.search is None
        layers.add(repr(experiment.intervention.layer))
    assert layers == {"0", "[0, 1]"}


@pytest.mark.parametrize(
    ("fields", "warned"),
    [
        ({"intervention.alpha": {"low": -1, "high": 1}}, False),
        ({"intervention.alpha": {"low": -1, "high": 1, "step": 0.4}}, True),
        ({"intervention.alpha": {"low": -0.8, "high": 1.2, "step": 0.4}}, False),
        ({"intervention.alpha": {"low": 0.1, "high": 1}}, True),
        ({"intervention.alpha": [0.1, 0]}, False),
        ({"intervention.alpha": [0.1, 0.2]}, True),
        ({"intervention.layer": [0, 1]}, True),
    ],
)
def test_a_space_without_the_neutral_dose_is_warned_of(tmp_path, fields, warned):
    found = ready(tmp_path, space=fields, intervention={**STEERING, "alpha": 0.5})
    assert len(found.warnings) == warned
    if warned and "intervention.alpha" in fields:
        (warning,) = found.warnings
        assert warning.startswith(f"{tmp_path}/small.yaml:")
        assert "search.space.intervention.alpha: the neutral dose 0 is not in the space" in warning


def test_a_layer_search_at_dose_nothing_holds_the_neutral_dose(tmp_path):
    assert ready(tmp_path, space={"intervention.layer": [0, 1]}).warnings == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"space": {"intervention.alhpa": [0]}},
            "search.space.intervention.alhpa: no such field; did you mean intervention.alpha?",
        ),
        ({"space": {"task.name": [0]}}, "search.space.task.name: cannot be searched; fields of"),
        (
            {"space": {"intervention.alpha": {"low": 1, "high": 0}}},
            "search.space.intervention.alpha: low 1 is not below high 0",
        ),
        (
            {"space": {"intervention.alpha": {"low": 1}}},
            "search.space.intervention.alpha: give low and high, or a list of choices",
        ),
        (
            {"space": {"intervention.alpha": {"low": 0, "high": 1, "log": True}}},
            "low 0 has no logarithm",
        ),
        (
            {"space": {"intervention.layer": {"low": 0.5, "high": 1}}},
            "search.space.intervention.layer: 0.5 is not accepted; the field takes whole numbers",
        ),
        (
            {"space": {"prompt.style": {"low": 0, "high": 1}}},
            "search.space.prompt.style: takes no numbers; give a list of choices",
        ),
        (
            {"space": {"intervention.layer": [0, 7]}},
            "search.space.intervention.layer: at 7: there is no layer 7; the model's layers are 0",
        ),
        (
            {"space": {"intervention.site": ["block", "blok"]}},
            "search.space.intervention.site: at 'blok': 'blok' is not accepted; it should be",
        ),
        (
            {"space": {"intervention.alpha": {"low": 0, "high": 1, "step": 0.4}}},
            "high 1 is not a multiple of step 0.4 above low 0; the last below it is 0.8",
        ),
        ({"space": {"intervention.layer": [0, 0]}}, "a choice is in the list twice; remove one"),
        ({"space": {}}, "search.space: {} is not accepted"),
        ({"metric": "exact_math"}, "no metric 'exact_math'; did you mean exact_match? it has"),
        ({"sampler": "tpee"}, "search.sampler: 'tpee' is no sampler; did you mean tpe? use tpe,"),
        ({"sampler": "BruteForceSampler"}, "search.sampler: 'BruteForceSampler' is no sampler;"),
        ({"sampler_options": {"sed": 1}}, "search.sampler_options: TPESampler does not take them"),
        ({"pruner": "medium"}, "search.pruner: 'medium' is no pruner; did you mean median?"),
        ({"chunk": 7}, "search.pruner: median can prune nothing: 7 validation samples in chunks"),
        (
            {"pruner_options": {"n_warmup_steps": 10}},
            "have 2 places between chunks and the first 10 are for warming up; use smaller chunks",
        ),
        ({"splits": {"validation": 100, "test": 100}}, "but there are 164 of micro_gsm8k"),
        (
            {"intervention": {**STEERING, "vector": {"file": "none.safetensors"}}},
            "search.splits.train: 8 pairs asked for, but no vector of the intervention is built",
        ),
        ({"tirals": 5}, "search.tirals: unknown key; did you mean trials?"),
        ({"intervention": None}, "intervention: missing; a search compares doses of one"),
        (
            {"intervention": {**STEERING, "vector": {"pairs": "styels"}}},
            "small.yaml:8 intervention.vector.pairs: styels is neither styles nor answers",
        ),
        ({"model": "zoo/bass"}, "model"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(tmp_path, changes, said):
    with pytest.raises(SpecError) as found:
        ready(tmp_path, **changes)
    message = str(found.value)
    assert said in message
    assert "\n" not in message
    assert message.startswith(f"{tmp_path}/small.yaml:")


def test_an_ordering_measured_on_the_task_itself_is_refused(tmp_path):
    mask = {"kind": "router_mask", "points": {"usage": "avg_last_agentic"}, "count": 0}
    changes = {"intervention": mask, "space": {"intervention.count": [0, 1]}, "model": "zoo/moe"}
    with pytest.raises(
        SpecError, match=r"intervention\.points: usage is measured on the task's own"
    ):
        ready(tmp_path, **changes, splits={"validation": 6, "test": 5})
    chosen = {"intervention.points": [{"random": 0}, {"usage": "avg_last_agentic"}]}
    changes |= {"intervention": {**mask, "points": {"random": 0}}, "space": chosen}
    with pytest.raises(SpecError, match=r"space\.intervention\.points: at .*own samples"):
        ready(tmp_path, **changes, splits={"validation": 6, "test": 5})


def test_the_limit_caps_every_split_and_keeps_the_number_of_chunks(tmp_path):
    experiment, source = read_search(write_spec(tmp_path), ["task.limit=4"])
    found = set_up(experiment, source, tmp_path)
    assert (len(found.splits.train), found.splits.validation.size) == (4, 4)
    assert (found.splits.test.size, found.settings.chunk) == (4, 2)
    assert (found.name, found.study) == ("small", "small-limit4")  # the study itself stays free
    assert found.storage.endswith("small-limit4.db")


def test_a_study_knows_a_file_by_its_content_wherever_it_lies(tmp_path):
    for number in (1.0, 2.0):
        vectors = SteeringVectors("block", {at: Array([number] * 64) for at in (0, 1)}, {})
        write_vectors(vectors, tmp_path / f"{number}.safetensors")

    def identity(folder, number, **changes):
        (tmp_path / folder).mkdir(exist_ok=True)
        shutil.copy(tmp_path / f"{number}.safetensors", tmp_path / folder / "v.safetensors")
        steering = {**STEERING, "vector": {"file": "v.safetensors"}, "units": "raw"}
        splits = {"validation": 6, "test": 5}
        return ready(tmp_path / folder, intervention=steering, splits=splits, **changes).identity

    one = identity("here", 1.0)
    assert identity("elsewhere", 1.0) == one
    assert identity("here", 2.0)["intervention"] != one["intervention"]
    assert identity("here", 1.0, engine={"dtype": "bfloat16"}) == {
        **one,
        "engine.dtype": "bfloat16",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": {"style": "completion"}},
        {"sampling": {"max_new_tokens": 65}},
        {"intervention": {**STEERING, "positions": "all"}},
        {"seed": 1},
        {"chunk": 2},
        {"direction": "minimize"},
        {"metric": "tool_call"},
        {"splits": {"train": 8, "validation": 5, "test": 6}},
        {"splits": {"train": 7, "validation": 6, "test": 5}},
        {"space": {"intervention.alpha": {"low": -2, "high": 3}}},
    ],
)
def test_what_changes_a_value_makes_another_study(tmp_path, changes):
    assert ready(tmp_path, **changes).identity != ready(tmp_path).identity


@pytest.mark.parametrize(
    ("changes", "direction"),
    [
        ({}, "maximize"),
        ({"metrics": ["fluency"]}, "minimize"),
        ({"metrics": ["length"]}, "maximize"),
        ({"metrics": [{"kind": "length", "good": "lower"}]}, "minimize"),
        ({"metrics": ["fluency"], "direction": "maximize"}, "maximize"),
    ],
)
def test_the_better_values_of_a_metric_are_searched_for(tmp_path, changes, direction):
    found = ready(tmp_path, **changes)
    assert found.settings.direction == found.identity["search.direction"] == direction


def test_what_the_engine_cannot_do_is_found_in_the_space(tmp_path, monkeypatch):
    monkeypatch.setattr(availability, "check_machine", lambda settings: None)
    engine = {"name": "vllm", "speculation": "ngram"}
    drawn = r"search\.space\.sampling\.temperature: at 0\.7: .*0\.7 with engine\.speculation: ngram"
    with pytest.raises(SpecError, match=drawn):
        space(tmp_path, {"sampling.temperature": [0, 0.7]}, engine=engine)
    wide = {"name": "vllm", "tensor_parallel_size": 3}
    with pytest.raises(SpecError, match=r"engine\.tensor_parallel_size: 3 does not go with"):
        ready(tmp_path, engine=wide)


def test_a_spec_without_a_search_is_named(tmp_path):
    path = write_spec(tmp_path)
    path.write_text(path.read_text().partition("search:")[0])
    load(path)
    with pytest.raises(SpecError, match="search: missing; this spec is run by `titrate run`"):
        read_search(path)


def test_a_search_has_no_room_for_a_second_model(tmp_path):
    with pytest.raises(SpecError, match="reference: a search has one model in memory"):
        ready(tmp_path, reference="zoo/moe")


def test_a_map_of_the_study_is_over_its_dose_and_the_layers_first(tmp_path):
    shown = ready(tmp_path).space.shown_first
    assert shown == ["intervention.alpha", "intervention.layer", "intervention.vector.layer"]
