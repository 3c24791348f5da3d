"""Files that are no documents, and what YAML scalars become."""

from __future__ import annotations

import pytest

from harness.errors import SpecError
from harness.spec import load

from .written import SPEC, message, write

pytestmark = pytest.mark.usefixtures("folder")


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


@pytest.mark.parametrize("content", [b"PK\x03\x04\x00\x00rest", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_text_is_no_spec(content):
    assert message(content) == "x.yaml: is not text; a spec is a YAML file"


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
