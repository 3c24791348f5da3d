"""Specs that extend others, and what a right one becomes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import FieldError, SpecError
from harness.interventions.router_mask.section import UsagePoints
from harness.spec import engine_settings, load
from harness.spec.form import fields
from tests.spec.written import SPEC, message, write

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("extends: 3\n", "x.yaml:1 extends: 3 is not accepted; name one file"),
        (
            "name: x\nextends: base.yaml\n",
            "x.yaml:2 extends: 'base.yaml' is not accepted; there is no file base.yaml",
        ),
        ("extends: x.yaml\n", "x.yaml:1 extends: goes round in a circle: x.yaml -> x.yaml"),
        (
            "extends: other/y.yaml\n",
            "other/y.yaml:2 extends: goes round in a circle: x.yaml -> other/y.yaml -> x.yaml",
        ),
        (
            "extends: broken.yaml\n",
            "broken.yaml:2: is not YAML: mapping values are not allowed here",
        ),
        (
            "extends: wrong.yaml\nname: y\n",
            "wrong.yaml:1 seed: -1 is not accepted; it should be greater than or equal to 0",
        ),
    ],
)
def test_an_inheritance_that_fails(text, expected):
    write("name: y\nextends: ../x.yaml\n", "other/y.yaml")
    write("a\nb: 1: 2\n", "broken.yaml")
    write("seed: -1\nmodel: zoo/moe\ntask: {name: t}\n", "wrong.yaml")
    assert message(text) == expected


@pytest.mark.parametrize(
    "text", ["daemon:*:20228:0:99999:7:::\n", "root:x:0:0::/root:/bin/sh\n", "token: s3cret\n"]
)
@pytest.mark.parametrize("path", ["shadow", "secret.env", ".netrc", "."])
def test_a_file_that_is_no_spec_is_not_repeated_by_what_extends_it(text, path):
    if path != ".":
        write(text, path)
    assert message(f"name: x\nextends: {path}\n") == (
        f"x.yaml:2 extends: {path!r} is not accepted; "
        "name a spec, a file that ends in .yaml or .yml"
    )


@pytest.mark.parametrize(
    "text", ["services: {db: {password: s3cret}}\n", "s3cret: 1\nname: ci\n", "s3cret:\n"]
)
def test_the_keys_of_a_yaml_file_that_is_no_spec_are_not_repeated(text):
    write(text, "base.yaml")
    said = message("name: x\nextends: base.yaml\n")
    assert said.startswith(
        "base.yaml:1: x.yaml extends this file, which is not a spec: at least half"
    )
    assert "s3cret" not in said


def test_a_misspelt_key_of_a_base_is_named():
    write("modle: zoo/moe\ntask: {name: micro_gsm8k}\nseed: 1\n", "base.yaml")
    said = message("name: x\nextends: base.yaml\n")
    assert said.startswith("base.yaml:1 modle: unknown key; did you mean model?")


@pytest.mark.parametrize("field", ["path", "only"])
def test_a_list_where_one_path_is_wanted_is_told_as_it_is_written(field):
    said = message(f"name: x\nmodel: zoo/moe\ntask: {{name: micro_gsm8k, {field}: [a, b]}}\n")
    assert said == f'x.yaml:3 task.{field}: ["a", "b"] is not accepted; it should be text'


def test_a_child_changes_only_what_it_names():
    write(SPEC, "base/base.yaml")
    write(
        "extends: ../base/base.yaml\nintervention: {mode: replace_topk}\n", "base/../mid/mid.yaml"
    )
    experiment, source = load(write("extends: mid/mid.yaml\nname: y\naxes: {seed: [7]}\n"))
    base, _ = load("base/base.yaml")
    assert experiment.model_dump(exclude={"name", "intervention", "axes"}) == base.model_dump(
        exclude={"name", "intervention", "axes"}
    )
    assert experiment.intervention.mode == "replace_topk"
    assert experiment.axes == {"intervention.count": [0, 4], "seed": [7]}
    where = {
        "name": "x.yaml:2",
        "axes.seed[0]": "x.yaml:3",
        "intervention.mode": "mid/mid.yaml:2",
        "intervention.count": "base/base.yaml:8",
        "axes.intervention.count[1]": "base/base.yaml:12",
        "axes.seed[1]": "x.yaml:3",
        "task.limit": "base/base.yaml:3",
        "engine.slots": "x.yaml:1",
    }
    assert {field: source.origin(field).text for field in where} == where


def test_another_variant_replaces_the_inherited_one():
    write(SPEC, "base.yaml")
    child = write("extends: base.yaml\nintervention: {points: {random: 3}}\n")
    assert load(child)[0].intervention.points.random == 3
    assert load("base.yaml", ["intervention.points.random=3"])[0].intervention.points.random == 3
    samples = load(write("extends: base.yaml\nintervention: {points: {samples: 3}}\n"))[0]
    assert samples.intervention.points == UsagePoints(usage="avg_last_agentic", samples=3)


def test_paths_are_relative_to_the_file_that_names_them(folder):
    points = SPEC.replace("{usage: avg_last_agentic}", "{file: points.json}")
    write(points.replace("name: micro_humaneval", "name: t\n  path: ../data.jsonl"), "a/base.yaml")
    child = write("extends: ../a/base.yaml\nmodel: ./organism\n", "b/child.yaml")
    experiment, _ = load(child)
    assert experiment.intervention.points.file == str(folder / "a/points.json")
    assert Path(experiment.task.path).resolve() == folder / "data.jsonl"
    assert experiment.model == str(folder / "b/organism")
    changed, _ = load(child, {"task.path": "mine.jsonl", "model": "zoo/moe"})
    assert changed.task.path == str(folder / "mine.jsonl")
    assert changed.model == "zoo/moe"
    assert load(child, ["task.path=~/x"])[0].task.path == str(Path.home() / "x")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("styles", "styles"),
        ("answers", "answers"),
        ("tone", "tone"),
        ("mine.jsonl", "a/mine.jsonl"),
        ("./mine.jsonl", "a/mine.jsonl"),
        ("sub/mine", "a/sub/mine"),
        ("mine.parquet", "a/mine.parquet"),
    ],
)
def test_pairs_are_a_name_or_a_file_that_starts_at_the_spec(folder, written, read):
    text = f"""\
name: steer
model: zoo/moe
task: {{name: micro_humaneval}}
intervention: {{kind: steering, vector: {{pairs: {written}}}, layer: 2, alpha: 1}}
"""
    (vector,) = load(write(text, "a/x.yaml"))[0].intervention.vectors
    assert vector.pairs == (str(folder / read) if "/" in read else read)


def test_every_field_has_a_place():
    _, source = load(write(SPEC), ["seed=3"])
    for field in fields():
        assert source.origin(field).text.startswith(("x.yaml:", "--titrate-set seed=3"))


def test_a_source_locates_what_later_rooms_refuse():
    _, source = load(write(SPEC))
    assert str(source.locate(FieldError("intervention.count", "70 is too many"))) == (
        "x.yaml:8 intervention.count: 70 is too many"
    )
    assert pickle.loads(pickle.dumps(source)) == source
    assert hash(source)
    with pytest.raises(AttributeError):
        source.file = "y"


def test_an_absolute_path_is_shown_relative_to_where_the_user_stands(folder):
    write(SPEC)
    assert load(folder / "x.yaml")[1].file == "x.yaml"


def test_reading_specs_needs_no_torch():
    code = "import sys, harness.spec; print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert done.stdout == b"set()\n"


def test_engine_settings_need_no_spec():
    settings = engine_settings(["engine.dtype=bfloat16", "intervention.count=4", "model=x"])
    assert (settings.dtype, settings.slots) == ("bfloat16", None)
    assert engine_settings() == engine_settings(["task.limit=2"])
    for override, complaint in {
        "engine.dtyp=bfloat16": "--titrate-set engine.dtyp=bfloat16: no such field",
        "engine.slots=0": "--titrate-set engine.slots=0: 0 is not accepted",
        "--titrate-engine=x": "--titrate-engine x: 'x' is not accepted; it should",
    }.items():
        with pytest.raises(SpecError, match=complaint):
            engine_settings([override])


@pytest.mark.parametrize(
    ("given", "name", "axis"),
    [
        ("vllm", "vllm", None),
        ("transformers,vllm", "transformers", ["transformers", "vllm"]),
    ],
)
def test_an_engine_of_the_command_line_replaces_the_specs_and_several_are_an_axis(
    given, name, axis
):
    experiment, _ = load(write(SPEC), [f"--titrate-engine={given}"])
    assert experiment.engine.name == name
    assert experiment.axes.get("engine.name") == axis


@pytest.mark.parametrize(
    "override",
    ["device=cpu", "device_map=auto", "drafts=false", "determinism=strict"],
)
def test_what_only_the_other_engine_understands_is_refused(override):
    with pytest.raises(SpecError, match="means nothing to vllm; leave it out, or use"):
        engine_settings(["engine.name=vllm", f"engine.{override}"])


def test_an_option_that_sets_a_field_is_named_as_it_was_typed(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: x\nmodel: zoo/moe\ntask: {name: a}\naxes: {task.limit: [2, 3]}\n")
    experiment, source = load(path, ["--titrate-limit=1", "--titrate-model=zoo/base"])
    assert (experiment.task.limit, experiment.axes, experiment.model) == (1, {}, "zoo/base")
    problem = FieldError("model", "is not there")
    assert str(source.locate(problem)) == "--titrate-model zoo/base: is not there"
    with pytest.raises(SpecError, match=r"^--titrate-limit 0: 0 is not"):
        load(path, ["--titrate-limit=0"])
