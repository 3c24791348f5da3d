"""Every way a spec can be wrong, by the exact line a user reads; and what a right one becomes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import FieldError, SpecError
from harness.spec import UsagePoints, engine_settings, load
from harness.spec.form import FIELDS

SPEC = """\
name: x
model: zoo/moe
task:
  name: micro_humaneval
intervention:
  kind: router_mask
  points: {usage: avg_last_agentic}
  count: 0
axes:
  intervention.count:
    - 0
    - 4
  seed: [0, 1]
dose: intervention.count
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str | bytes, name: str = "x.yaml") -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return name


def message(text: str | bytes, *overrides: str) -> str:
    with pytest.raises(SpecError) as error:
        load(write(text), overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "x.yaml:1: is empty; a spec is a mapping such as `name: ...`"),
        ("# nothing\n", "x.yaml:1: is empty; a spec is a mapping such as `name: ...`"),
        ("- 1\n", "x.yaml:1: holds a list; a spec is a mapping such as `name: ...`"),
        ("no\n", "x.yaml:1: holds the value False; a spec is a mapping such as `name: ...`"),
        (b"name: x\nmodel: \xff\n", "x.yaml:2: is not UTF-8; save it as UTF-8"),
        ("name: x\nmodel: \x07\n", "x.yaml:2: is not YAML: special characters are not allowed"),
        (
            "a: 1\nb: [1\n",
            (
                "x.yaml:3: is not YAML: while parsing a flow sequence, "
                "expected ',' or ']', but got '<stream end>'"
            ),
        ),
        ("a: b: c\n", "x.yaml:1: is not YAML: mapping values are not allowed here"),
        (
            "a: 1\n---\nb: 2\n",
            (
                "x.yaml:2: is not YAML: expected a single document in the stream, "
                "but found another document"
            ),
        ),
        (
            "a: !!python/name:os.system x\n",
            (
                "x.yaml:1: is not YAML: could not determine a constructor for the tag "
                "'tag:yaml.org,2002:python/name:os.system'"
            ),
        ),
        ("a: !!int x\n", "x.yaml: is not YAML: invalid literal for int() with base 10: 'x'"),
        ("? [1]\n: 2\n", "x.yaml:1: a key is not text; write `key: value`"),
        ("a: &a [*a]\n", "x.yaml:1 a[0]: an alias of what contains it"),
        (
            "task:\n  name: x\n  name: y\n",
            "x.yaml:3 task.name: the key is given twice; remove one, the first is in line 2",
        ),
    ],
)
def test_a_file_that_is_no_document(text, expected):
    assert message(text) == expected


def test_a_file_that_is_not_there():
    with pytest.raises(SpecError, match=r"^specs/x\.yaml: no such file$"):
        load("specs/x.yaml")


def test_a_folder(tmp_path):
    (tmp_path / "specs").mkdir()
    with pytest.raises(SpecError, match=r"^specs: is a folder; name one YAML file in it$"):
        load("specs")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "count: 0",
            "cuont: 0",
            (
                "x.yaml:8 intervention.cuont: unknown key; did you mean count? "
                "accepted: kind, mode, on_empty, points, count"
            ),
        ),
        (
            "count: 0",
            "count: 0\n  zzz: 1",
            "x.yaml:9 intervention.zzz: unknown key; accepted: kind, mode, on_empty, points, count",
        ),
        (
            "count: 0",
            "mode: drop_topk\n  count: 0",
            (
                "x.yaml:8 intervention.mode: 'drop_topk' is not accepted; "
                "it should be 'keep_topk' or 'replace_topk'"
            ),
        ),
        (
            "count: 0",
            "count: '4'",
            "x.yaml:8 intervention.count: '4' is not accepted; it should be a whole number",
        ),
        (
            "count: 0",
            "count: -1",
            (
                "x.yaml:8 intervention.count: -1 is not accepted; "
                "it should be greater than or equal to 0"
            ),
        ),
        (
            "count: 0",
            "count: 0.5",
            "x.yaml:8 intervention.count: 0.5 is not accepted; it should be a whole number",
        ),
        (
            "  count: 0\n",
            "",
            (
                "x.yaml:5 intervention.count: missing; it is required: "
                "Mask the first so many points. The dose; 0 is neutral."
            ),
        ),
        (
            "model: zoo/moe\n",
            "",
            (
                "x.yaml:1 model: missing; it is required: "
                "A zoo member (zoo/moe), a local folder (./x or /x), or a Hugging Face id."
            ),
        ),
        (
            "model: zoo/moe",
            "model: ''",
            "x.yaml:2 model: '' is not accepted; it should have at least 1 character",
        ),
        (
            "model: zoo/moe",
            "model: no",
            (
                "x.yaml:2 model: false is not accepted; it should be text "
                "(in quotes, or YAML reads it as something else)"
            ),
        ),
        (
            "model: zoo/moe",
            "model: zoo/moe\nprompt: {style: on}",
            (
                "x.yaml:3 prompt.style: true is not accepted; "
                "it should be 'assisted', 'agentic' or 'completion' "
                "(in quotes, or YAML reads it as something else)"
            ),
        ),
        (
            "name: x",
            "name: x y",
            (
                "x.yaml:1 name: 'x y' is not accepted; "
                "it should consist of letters, digits and . _ + -"
            ),
        ),
        (
            "task:\n  name: micro_humaneval",
            "task: humaneval",
            (
                "x.yaml:3 task: 'humaneval' is not accepted; "
                "it should be a mapping with the keys name, limit, path, only"
            ),
        ),
        (
            "kind: router_mask",
            "kind: steered",
            (
                "x.yaml:6 intervention.kind: 'steered' is not accepted; "
                "it should be one of router_mask, steering, dac"
            ),
        ),
        (
            "{usage: avg_last_agentic}",
            "{usages: avg_last_agentic}",
            (
                'x.yaml:7 intervention.points: {"usages": "avg_last_agentic"} is not accepted; '
                "it should be a mapping with one of the keys usage, file, random"
            ),
        ),
        (
            "{usage: avg_last_agentic}",
            "avg_last_agentic",
            (
                "x.yaml:7 intervention.points: 'avg_last_agentic' is not accepted; "
                "it should be a mapping with one of the keys usage, file, random"
            ),
        ),
        (
            "{usage: avg_last_agentic}",
            "{usage: avg_last_agentic, file: x.json}",
            (
                "x.yaml:7 intervention.points.file: excludes usage, which is given too; "
                "keep one of them"
            ),
        ),
        (
            "{usage: avg_last_agentic}",
            "{usage: 3}",
            (
                "x.yaml:7 intervention.points.usage: 3 is not accepted; "
                "it should be text (in quotes, or YAML reads it as something else)"
            ),
        ),
        (
            "{usage: avg_last_agentic}",
            "\n    usage: avg_lst",
            (
                "x.yaml:8 intervention.points.usage: 'avg_lst' is no usage; it should be "
                "avg_{all,last}_{assisted,agentic,completion}, or a difference of two of these"
            ),
        ),
        (
            "dose:",
            "gates: [neutral_equals_basline]\ndose:",
            (
                "x.yaml:14 gates[0]: 'neutral_equals_basline' is no gate; "
                "did you mean neutral_equals_baseline?"
            ),
        ),
        (
            "seed: [0, 1]",
            "seed: 3",
            "x.yaml:13 axes.seed: 3 is not accepted; it should be a list",
        ),
        (
            "dose:",
            "sampling: {temperature: .nan}\ndose:",
            "x.yaml:14 sampling.temperature: NaN is not accepted; it should be a finite number",
        ),
        (
            "dose:",
            "sampling: {temperature: -1}\ndose:",
            (
                "x.yaml:14 sampling.temperature: -1 is not accepted; "
                "it should be greater than or equal to 0"
            ),
        ),
    ],
)
def test_a_value_that_the_form_refuses(old, new, expected):
    assert SPEC.count(old) == 1
    assert message(SPEC.replace(old, new)) == expected


def test_all_that_is_wrong_is_told_line_by_line_in_the_order_of_the_file():
    text = SPEC.replace("count: 0", "cuont: 0").replace("seed: [0, 1]", "seed: 3")
    with pytest.raises(SpecError) as error:
        load(write(f"{text}\nsampling: {{top_k: 0, top_p: 2}}\nmdoel: x\n"), [])
    places = [line.partition(": ")[0].split() for line in str(error.value).splitlines()]
    assert [field for _, field in places] == [
        "intervention.cuont",
        "axes.seed",
        "sampling.top_k",
        "sampling.top_p",
        "mdoel",
    ]
    lines = [int(place.rpartition(":")[2]) for place, _ in places]
    assert lines == sorted(lines)


@pytest.mark.parametrize("content", [b"PK\x03\x04\x00\x00rest", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_text_is_no_spec(content):
    assert message(content) == "x.yaml: is not text; a spec is a YAML file"


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
    ("override", "expected"),
    [
        (
            "intervention.count=-70",
            (
                "--titrate-set intervention.count=-70: -70 is not accepted; "
                "it should be greater than or equal to 0"
            ),
        ),
        (
            "intervention.cuont=1",
            ("--titrate-set intervention.cuont=1: no such field; did you mean intervention.count?"),
        ),
        ("count=1", "--titrate-set count=1: no such field; did you mean intervention.count?"),
        ("zzz=1", "--titrate-set zzz=1: no such field; `titrate schema experiment` has them all"),
        (
            "extends=y.yaml",
            (
                "--titrate-set extends=y.yaml: no such field; "
                "`titrate schema experiment` has them all"
            ),
        ),
        (
            "axes.sede=[1]",
            "--titrate-set axes.sede=[1]: no such field; did you mean seed?",
        ),
        ("seed", "--titrate-set seed: has no value; write FIELD=VALUE, such as task.limit=20"),
        ("=1", "--titrate-set =1: names no field; write FIELD=VALUE, such as task.limit=20"),
        (
            "seed=[1",
            (
                "--titrate-set seed=[1: is not YAML: while parsing a flow sequence, "
                "expected ',' or ']', but got '<stream end>'"
            ),
        ),
    ],
)
def test_an_override_that_fails(override, expected):
    assert message(SPEC, override) == expected


def test_an_override_inside_a_section_that_is_an_axis():
    spec = SPEC.replace("seed: [0, 1]", "prompt: [{style: agentic}]")
    assert message(spec, "prompt.style=assisted") == (
        "--titrate-set prompt.style=assisted: the axis prompt sets the whole section; "
        "override prompt or axes.prompt"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("1E3", 1e3), ("-.5", -0.5), ("1.", 1.0), ("2", 2.0), ("1_0.5e+1", 105.0)],
)
def test_numbers_are_read_as_numbers(text, value):
    experiment, _ = load(write(f"{SPEC}sampling: {{temperature: {abs(value)}, top_p: 1e-3}}\n"))
    assert experiment.sampling.top_p == 1e-3
    assert load("x.yaml", [f"axes.seed=[{text}]"])[0].axes["seed"] == [value]


@pytest.mark.parametrize("text", ["e5", "1e", ".", "2024-01-01", "1.2.3", "-x", "abc", ".e1"])
def test_text_stays_text(text):
    assert load(write(SPEC), [f"description={text}"])[0].description == text


def test_keys_are_text_and_aliases_are_followed():
    spec = SPEC.replace("dose:", "description: &d words\ndose:")
    assert message(spec.replace("name: x", "on: 1\nname: x")).startswith(
        "x.yaml:1 on: unknown key;"
    )
    experiment, _ = load(
        write("task: &t {name: a}\nmodel: m\nname: n\nprompt: {<<: {style: agentic}}")
    )
    assert experiment.prompt.style == "agentic"


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
    assert {field: source.place(field).text for field in where} == where


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


def test_overriding_a_swept_field_fixes_it():
    experiment, _ = load(write(SPEC), ["seed=5"])
    assert (experiment.seed, list(experiment.axes)) == (5, ["intervention.count"])


def test_overriding_the_dose_keeps_its_axis_with_one_value():
    experiment, source = load(write(SPEC), {"intervention.count": "9"})
    assert experiment.axes == {"intervention.count": [9], "seed": [0, 1]}
    assert experiment.dose == "intervention.count"
    assert source.place("axes.intervention.count[0]").text == "--titrate-set intervention.count=9"


def test_overriding_the_section_of_the_dose():
    experiment, _ = load(write(SPEC), ["intervention=null"])
    assert (experiment.intervention, experiment.dose) == (None, None)
    assert experiment.axes == {"seed": [0, 1]}
    section = "intervention={kind: router_mask, points: {random: 0}, count: 3}"
    assert load("x.yaml", [section])[0].axes == {"intervention.count": [3], "seed": [0, 1]}


def test_an_override_can_sweep_or_drop_the_dose():
    swept, _ = load(
        write(unswept(SPEC)), ["axes.intervention.count=[1, 2]", "dose=intervention.count"]
    )
    assert (swept.axes, swept.dose) == ({"intervention.count": [1, 2]}, "intervention.count")
    assert message(f"{SPEC[: SPEC.index('dose:')]}dose: [x]\n", "seed=1") == (
        'x.yaml:14 dose: ["x"] is not accepted; it should be text'
    )


def test_later_overrides_win():
    assert load(write(SPEC), ["seed=1", "seed=2"])[0].seed == 2
    assert load("x.yaml", ["seed=1", "axes.seed=[3, 4]"])[0].axes["seed"] == [3, 4]


def unswept(text: str) -> str:
    return text[: text.index("axes:")]


@pytest.mark.parametrize(
    "override",
    [
        "name=x",
        "model=zoo/moe",
        "intervention.count=0",
        "intervention.points.samples=164",
        "intervention.points={usage: avg_last_agentic}",
        "seed=0",
        "task.limit=",
        "prompt={style: assisted}",
    ],
)
def test_overriding_with_the_value_already_there_changes_nothing(override):
    path = write(unswept(SPEC))
    assert load(path, [override])[0] == load(path)[0]


def test_every_field_has_a_place():
    _, source = load(write(SPEC), ["seed=3"])
    for field in FIELDS:
        assert source.place(field).text.startswith(("x.yaml:", "--titrate-set seed=3"))


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
    }.items():
        with pytest.raises(SpecError, match=complaint):
            engine_settings([override])
