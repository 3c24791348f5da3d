"""What is exported fits the published schema, and says what the report says."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest

import harness
from harness.report.exports import export

EXAMPLE = Path(__file__).parents[3] / "reports" / "example"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eee")
    return export(harness.load_report(EXAMPLE), "every_eval_ever", folder)


def schema(name):
    if find_spec("every_eval_ever") is None:
        pytest.skip("every-eval-ever is not installed")
    return json.loads((files("every_eval_ever") / "schemas" / name).read_text())


def test_every_case_fits_the_schema(written):
    check = jsonschema.Draft202012Validator(schema("eval.schema.json"))
    documents = [json.loads(file.read_text()) for file in written if file.suffix == ".json"]
    assert len(documents) == 16
    for document in documents:
        check.validate(document)


def test_every_sample_fits_the_schema(written):
    check = jsonschema.Draft202012Validator(schema("instance_level_eval.schema.json"))
    samples = [file for file in written if file.suffix == ".jsonl"]
    lines = [each for file in samples for each in file.read_text().split("\n") if each]
    assert len(lines) == 16 * 164
    for line in lines[::50]:
        check.validate(json.loads(line))


def test_the_numbers_are_those_of_the_report(written):
    report = harness.load_report(EXAMPLE).report
    case = report.cases[3]
    file = next(
        each
        for each in written
        if each.suffix == ".json"
        and json.loads(each.read_text())["evaluation_id"].startswith(case.id)
    )
    document = json.loads(file.read_text())
    found = {each["metric_config"]["metric_name"]: each for each in document["evaluation_results"]}
    assert found["pass@1"]["score_details"]["score"] == case.metrics["pass@1"].value
    interval = found["pass@1"]["score_details"]["uncertainty"]["confidence_interval"]
    assert (interval["lower"], interval["upper"]) == (
        case.metrics["pass@1"].ci_low,
        case.metrics["pass@1"].ci_high,
    )
    root = next(each for each in file.parents if each.name == "data").parent
    samples = root / document["detailed_evaluation_results"]["file_path"]
    digest = hashlib.sha256(samples.read_bytes()).hexdigest()
    assert document["detailed_evaluation_results"]["checksum"] == digest
    scores = [
        json.loads(line)["evaluation"]["score"] for line in samples.read_text().split("\n") if line
    ]
    assert sum(scores) / len(scores) == pytest.approx(case.metrics["pass@1"].value)
