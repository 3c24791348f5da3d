from __future__ import annotations

import math
from importlib import resources

import jsonschema
import pytest

from harness.errors import ReportError
from harness.report.schema import json_schema, validate


@pytest.fixture
def document(report):
    return report.model_dump(mode="json")


def test_the_published_schema_is_current():
    published = resources.files("harness.report").joinpath("report.schema.json")
    assert published.read_text("utf-8") == json_schema(), (
        "write harness.report.json_schema() to harness/report/report.schema.json"
    )


def test_the_schema_is_one(document):
    import json

    jsonschema.Draft202012Validator.check_schema(json.loads(json_schema()))
    validate(document)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.update(schema=2), r"report: schema 2 cannot be read; this version reads 1"),
        (lambda d: d.pop("schema"), r"report: schema None cannot be read"),
        (lambda d: d.pop("run"), r"report: report: 'run' is a required property"),
        (lambda d: d["cases"][1].update(status="fine"), r"cases\[1\]\.status: 'fine' is not one"),
        (lambda d: d["cases"][1].update(colour="red"), r"cases\[1\]: .*'colour' was unexpected"),
        (lambda d: d["cases"][0]["metrics"]["pass@1"].update(n=0), r"cases\[0\]\.metrics.*\.n: 0"),
        (lambda d: d["run"].update(command="x\ny", git="a\nb"), r"run\.git: "),
    ],
)
def test_what_does_not_fit_is_named_on_one_line(document, spoil, message):
    spoil(document)
    with pytest.raises(ReportError, match=message) as caught:
        validate(document)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_hold_are_refused(document, value):
    document["cases"][1]["params"]["intervention.alpha"] = value
    with pytest.raises(ReportError, match="NaN or infinity"):
        validate(document)


@pytest.mark.parametrize("document", [None, [], "report", 1])
def test_only_an_object_is_a_report(document):
    with pytest.raises(ReportError, match="not a report"):
        validate(document, "x.json")
