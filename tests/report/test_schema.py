from __future__ import annotations

import json
import math
from importlib import resources

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ReportError
from harness.report.schema import check_report, document_of, json_schema, report_of
from harness.report.write import write


@pytest.fixture
def document(report):
    return report.model_dump(mode="json")


def test_the_published_schema_is_current():
    published = resources.files("harness.report").joinpath("report.schema.json")
    assert published.read_text("utf-8") == json_schema(), (
        "write harness.report.json_schema() to harness/report/report.schema.json"
    )


@pytest.fixture(scope="module")
def published():
    schema = json.loads(json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_a_written_report_fits_the_schema(report, results, directory, published):
    document = json.loads(write(report, results, directory).read_text("utf-8"))
    published.validate(document)
    assert report_of(document) == report


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.update(schema=2), r"report: schema 2 cannot be read; this version reads 1"),
        (lambda d: d.pop("schema"), r"report: schema None cannot be read"),
        (lambda d: d.pop("run"), r"report: run: field required"),
        (
            lambda d: d["cases"][1].update(status="fine"),
            r"cases\[1\]\.status: 'fine' is not accepted; input should be 'complete', 'incomplete'",
        ),
        (
            lambda d: d["cases"][1].update(colour="red"),
            r"cases\[1\]\.colour: 'red' is not accepted",
        ),
        (lambda d: d["cases"][1].update(tokens="3"), r"cases\[1\]\.tokens: '3' is not accepted"),
        (lambda d: d["cases"][0]["metrics"]["pass@1"].update(n=0), r"cases\[0\]\.metrics.*\.n: 0"),
        (lambda d: d["run"].update(command="x\ny", git="a\nb" * 900), r"run\.git: "),
    ],
)
def test_what_does_not_fit_is_named_on_one_line(document, spoil, message, published):
    spoil(document)
    with pytest.raises(ReportError, match=message) as caught:
        report_of(document)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    # To JSON Schema a version that is left out is the default.
    assert "schema" not in document or not published.is_valid(document)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_hold_are_refused(document, value):
    document["cases"][1]["params"]["intervention.alpha"] = value
    with pytest.raises(ReportError, match="NaN or infinity"):
        report_of(document)


@pytest.mark.parametrize("document", [None, [], "report", 1])
def test_only_an_object_is_a_report(document):
    with pytest.raises(ReportError, match="not a report"):
        report_of(document, "x.json")


@pytest.mark.parametrize("cases", [slice(0, 0), slice(0, 1), slice(None)])
def test_the_text_in_pieces_is_that_of_the_whole(report, cases):
    part = report.model_copy(update={"cases": report.cases[cases]})
    whole = json.dumps(part.model_dump(mode="json"), indent=1, ensure_ascii=False)
    assert "".join(document_of(part)) == whole + "\n"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def test_any_value_in_it_is_written_as_json_writes_it(report):
    @given(st.dictionaries(st.text(), JSON, max_size=3))
    def are_equal(settings):
        case = report.cases[0].model_copy(update={"settings": settings})
        part = report.model_copy(update={"cases": (case,)})
        whole = json.dumps(part.model_dump(mode="json"), indent=1, ensure_ascii=False)
        assert "".join(document_of(part)) == whole + "\n"

    are_equal()


def test_a_case_of_a_later_portion_is_named_by_its_place(report, monkeypatch):
    monkeypatch.setattr("harness.report.schema._PORTION", 1)
    check_report(report, "here")
    broken = report.cases[-1].model_copy(update={"status": "half"})
    last = len(report.cases) - 1
    with pytest.raises(ReportError, match=rf"^here: cases\[{last}\]\.status"):
        check_report(report.model_copy(update={"cases": (*report.cases[:-1], broken)}), "here")
