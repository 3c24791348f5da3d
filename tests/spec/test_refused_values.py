"""Every value that a spec may not have, by the exact line a user reads."""

from __future__ import annotations

import pytest

from harness.errors import SpecError
from harness.spec import load
from tests.spec.written import SPEC, message, write

pytestmark = pytest.mark.usefixtures("folder")


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
                "How many points are masked, the first ones of the list. "
                "It is the dose; 0 is neutral."
            ),
        ),
        (
            "model: zoo/moe\n",
            "",
            (
                "x.yaml:1 model: missing; it is required: "
                "What is measured: a zoo member (zoo/moe), a local folder (./x or /x), "
                "a Hugging Face id, or a server's address, http://127.0.0.1:8000/v1 "
                "(docs/served.md)."
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
                "it should consist of letters, digits and . _ + -, "
                "and begin with a letter, a digit or _"
            ),
        ),
        (
            "task:\n  name: micro_humaneval",
            "task: humaneval",
            (
                "x.yaml:3 task: 'humaneval' is not accepted; "
                "it should be a mapping with the keys name, lm_eval, limit, path, only, dataset, "
                "config, split, label, fields, answer, pattern, shots"
            ),
        ),
        (
            "kind: router_mask",
            "kind: steered",
            (
                "x.yaml:6 intervention.kind: 'steered' is not accepted; "
                "it should be one of router_mask, steering, dac, oracle, adapter; "
                "did you mean steering?"
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
                "x.yaml:8 intervention.points.usage: 'avg_lst' is not a usage; it should be "
                "avg_{all,last}_{assisted,agentic,completion}, or a difference of two of these"
            ),
        ),
        (
            "dose:",
            "gates: [neutral_equals_basline]\ndose:",
            (
                "x.yaml:14 gates[0]: 'neutral_equals_basline' is not a gate; "
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


@pytest.mark.parametrize(
    ("key", "meant"),
    [("data", "path"), ("file", "path"), ("samples", "limit")],
)
def test_a_key_that_other_tools_use_names_ours(key, meant):
    said = message(SPEC.replace("task:", f"task:\n  {key}: x"))
    assert said.startswith(f"x.yaml:4 task.{key}: unknown key; did you mean {meant}? accepted: ")


@pytest.mark.parametrize("name", [".", "..", ".hidden", "-x", "a/b", "x" * 101, "''", "+"])
def test_a_name_that_no_file_should_have_is_refused(name):
    assert message(SPEC.replace("name: x", f"name: {name}")).startswith("x.yaml:1 name: ")


def test_a_mistake_is_told_in_a_line_that_can_be_read():
    with pytest.raises(SpecError) as error:
        load(write(f"{SPEC}\n" + "".join(f'"k{n}\\n\\u202e{"y" * 80}": 1\n' for n in range(50))))
    lines = str(error.value).split("\n")
    assert len(lines) == 20
    assert lines[-1] == "... and 31 more mistakes in the same spec"
    assert all(len(line) <= 400 and line.isprintable() for line in lines)
    assert lines[0].startswith(r"x.yaml:16 k0\n\u202eyyy")
    # The remedy, which is at the end, is left.
    assert lines[0].endswith("requires, resources, search")


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
