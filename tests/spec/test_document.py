"""Files that are no documents, and what YAML scalars become."""

from __future__ import annotations

import itertools
import os

import pytest

from harness.errors import SpecError
from harness.spec import load
from harness.spec.document import read_value
from tests.spec.written import SPEC, message, write

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
            "x.yaml:1 a: the tag !!python/name:os.system is not accepted; leave it out",
        ),
        *(
            (f"a: 1\nb: {written}\n", f"x.yaml:2 b: {problem}")
            for written, problem in (
                ("!!int x", "'x' is not a whole number, as its tag says; leave out the tag"),
                ("!!int ''", "'' is not a whole number, as its tag says; leave out the tag"),
                (
                    "!!bool maybe",
                    "'maybe' is not true or false, as its tag says; leave out the tag",
                ),
                ("!!null x", "'x' is not null, as its tag says; leave out the tag"),
                ("!!timestamp x", "the tag !!timestamp is not accepted; leave it out"),
                ("!!set {a}", "the tag !!set is not accepted; leave it out"),
                ("!own [1]", "the tag !own is not accepted; leave it out"),
                ("9" * 400, "a number of 400 characters is not accepted; it should fit 64 bits"),
                ("9" * 5000, "a number of 5000 characters is not accepted; it should fit 64 bits"),
                (2**63, "a number of 19 characters is not accepted; it should fit 64 bits"),
                ('"\\e[2J"', r"holds '\x1b', which is not text; remove it"),
                ('"\\ud83d"', r"holds '\ud83d', which is not text; remove it"),
                ("{<<: 1}", "<< takes a section, or a list of sections"),
                (
                    '{"": 1}',
                    "'' is not accepted as a key; a key has 1 to 100 characters, all of them text",
                ),
            )
        ),
        (
            'a: "\\UFFFFFFFF"\n',
            "x.yaml:1: is not YAML: Python int too large to convert to C int",
        ),
        (
            f"a: 1\nb: {'[' * 1000}{']' * 1000}\n",
            "x.yaml:2: is not YAML: more than 32 levels inside each other; a spec has a few",
        ),
        (
            "a: 1\nb:\n" + "- 1\n" * 20_000,
            "x.yaml:19999: is not YAML: more than 20,000 values; a spec has a few",
        ),
        (
            "? [1]\n: 2\n",
            "x.yaml:1: a key is not text; write `key: value`, and text with braces in quotes",
        ),
        ("a: &a [*a]\n", "x.yaml:1 a[0]: an alias of what contains it"),
        (
            "task:\n  name: x\n  name: y\n",
            "x.yaml:3 task.name: the key is given twice; remove one, the first is in line 2",
        ),
    ],
)
def test_a_file_that_is_no_document(text, expected):
    assert message(text) == expected


@pytest.mark.parametrize("section", ["[{}]", "{{<<: [{}]}}"])
def test_aliases_that_multiply_cost_no_more_than_what_a_spec_may_hold(section):
    names = "abcdefghij"
    document = "a: &a {x: 1}\n"
    for last, own in itertools.pairwise(names):
        document += f"{own}: &{own} {section.format(', '.join([f'*{last}'] * 10))}\n"
    said = message(document)
    assert said.endswith("more than 20,000 values, by aliases of aliases")
    assert len(said) < 100


def test_what_is_merged_gives_way_to_what_is_written_and_may_be_aliased_again():
    document = "a: &a {<<: [{p: 1, q: 1}, {q: 2, r: 2}], r: 3}\nb: *a\n"
    assert read_value(document, "x") == {name: {"p": 1, "q": 1, "r": 3} for name in "ab"}


def test_a_file_that_is_no_spec_is_not_repeated():
    assert message("root:x:0:0:root:/root:/bin/bash\n") == (
        "x.yaml:1: holds text; a spec is a mapping such as `name: ...`"
    )


def test_pipes_devices_and_heaps_are_no_specs(folder):
    os.mkfifo(folder / "pipe.yaml")
    os.truncate(write("", "heap.yaml"), 1 << 40)
    for path, why in {
        "/dev/zero": "is a device, not a file",
        "pipe.yaml": "is a pipe; write it to a file first",
        "heap.yaml": "is larger than 1 MiB",
    }.items():
        with pytest.raises(SpecError, match=rf"^{path}: cannot be read: {why}$"):
            load(path)
        assert message(f"name: x\nextends: {path}\n").startswith(f"x.yaml:2 extends: '{path}'")


def test_a_file_that_is_not_there():
    with pytest.raises(SpecError, match=r"^specs/x\.yaml: no such file$"):
        load("specs/x.yaml")


def test_data_in_the_place_of_a_spec_is_told_where_it_belongs():
    with pytest.raises(SpecError, match=r"^q\.jsonl: is data; name it in a spec: `task: {path: q"):
        load("q.jsonl")


def test_a_folder(tmp_path):
    (tmp_path / "specs").mkdir()
    with pytest.raises(SpecError, match=r"^specs: is a folder; name one YAML file in it$"):
        load("specs")


@pytest.mark.parametrize("content", [b"PK\x03\x04\x00\x00rest", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_text_is_no_spec(content):
    assert message(content) == "x.yaml:1: is not text; a spec is a YAML file"


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
