"""A function of one's own as a metric: consent, one import, and what it does not say is failed."""

from __future__ import annotations

import pytest

from harness.errors import FieldError, MetricError
from harness.metrics.entry import Answer, Seen
from harness.metrics.kind import Checking, content_of, entry_of
from harness.registry import metrics
from harness.spec.metric import items_of

CODE = """\
runs = []
runs.append(1)

def vowels(sample, completion):
    assert sample.record["q"] == "?", "another record"
    return sum(completion.text.count(each) for each in "aeiou")

def times(sample, completion):
    return len(runs)

def says(sample, completion):
    return eval(completion.text)

value = 3
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "own.py").write_text(CODE)
    return tmp_path / "own.py"


def metric(file, name, **settings):
    (found,) = items_of([{"kind": "python", "function": f"{file}:{name}", **settings}])
    return found


def value(settings, text, record=None):
    seen = Seen("s", {"q": "?"} if record is None else record, "prompt", (Answer((), text),))
    return entry_of(settings).value(seen)


def check(settings, *, unsafe_code):
    metrics.get("python").check(settings, Checking(unsafe_code, None, (), lambda: None))


def test_it_sees_sample_and_completion(file):
    assert value(metric(file, "vowels"), "banana") == 3
    with pytest.raises(AssertionError, match="another record"):
        value(metric(file, "vowels"), "banana", {"q": "!"})


def test_it_needs_consent_before_its_file_is_run(file):
    file.write_text("raise SystemError('it was run')")
    with pytest.raises(FieldError, match=r"own\.py would be run .* add --titrate-unsafe-code"):
        check(metric(file, "vowels"), unsafe_code=False)
    with pytest.raises(FieldError, match="cannot be run: SystemError: it was run"):
        check(metric(file, "vowels"), unsafe_code=True)
    file.write_text("import sys\nsys.exit(0)")
    with pytest.raises(FieldError, match="cannot be run: SystemExit: 0"):
        check(metric(file, "vowels"), unsafe_code=True)


@pytest.mark.parametrize(("name", "why"), [("vowel", "has no vowel"), ("value", "is no function")])
def test_what_is_no_function_is_told(file, name, why):
    with pytest.raises(FieldError, match=why):
        check(metric(file, name), unsafe_code=True)


def test_its_file_is_run_once_for_each_content(file):
    for _ in range(3):
        assert value(metric(file, "times"), "") == 1
    before = content_of(metric(file, "times"))
    file.write_text(CODE + "runs.append(2)\n")
    assert value(metric(file, "times"), "") == 2
    assert content_of(metric(file, "times")) != before
    assert content_of(metric(file, "times")) != content_of(metric(file, "vowels"))


@pytest.mark.parametrize("said", ["float('nan')", "float('inf')", "None", "'1'", "[1]"])
def test_what_is_no_finite_number_is_failed(file, said):
    with pytest.raises(MetricError, match="which is no finite number"):
        value(metric(file, "says"), said)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_numbers_of_libraries_are_numbers(file, library):
    one = {"numpy": "float32(0.5)", "torch": "tensor(0.5)"}[library]
    assert value(metric(file, "says"), f"__import__('{library}').{one}") == 0.5
    many = {"numpy": "ones(2)", "torch": "ones(2)"}[library]
    with pytest.raises(MetricError, match="which is no finite number"):
        value(metric(file, "says"), f"__import__('{library}').{many}")


def test_a_share_is_true_or_false_or_between(file):
    share = metric(file, "says", share=True)
    assert entry_of(share).share
    assert value(share, "True") == 1
    assert value(share, "0.25") == 0.25
    with pytest.raises(MetricError, match="no share from 0 to 1"):
        value(share, "2")
