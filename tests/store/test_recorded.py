"""Results whose draws stay on disk: equal to those in memory, and written as the bytes they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StoreError
from harness.runs.agreement import with_one_baseline
from harness.store.journal import encoded
from harness.store.recorded import RecordReader
from harness.store.records import FORMAT, portable_json, read_records, record_lines, to_json
from tests.store.test_records import RESULTS


def stored(folder, results, as_json=to_json):
    """The results in a file, and read from it."""
    path = folder / "records.jsonl"
    head = encoded({"format": FORMAT.name, "version": FORMAT.version})
    path.write_bytes(head + b"".join(encoded(as_json(each)) for each in results))
    return path, list(read_records(path, RecordReader().result))


@given(
    st.lists(RESULTS, max_size=3, unique_by=lambda result: result.case.id),
    st.sampled_from([to_json, portable_json]),
)
def test_they_equal_those_in_memory_and_are_recorded_alike(tmp_path_factory, results, as_json):
    """Also what is computed of them: lengths, agreement, and another report's records."""
    results = [
        replace(each, baseline=results[0].case.id if at else None)
        for at, each in enumerate(results)
    ]
    _, read = stored(tmp_path_factory.mktemp("records"), results, as_json)
    assert read == results
    assert [list(each.lengths) for each in read] == [list(each.lengths) for each in results]
    assert b"".join(record_lines(read)) == b"".join(record_lines(results))
    compared = with_one_baseline(read)
    assert compared == with_one_baseline(results)
    assert b"".join(record_lines(compared)) == b"".join(record_lines(with_one_baseline(results)))


@given(RESULTS.filter(lambda result: result.draws))
def test_what_a_record_says_is_not_written_anew(tmp_path_factory, result):
    path, (read,) = stored(tmp_path_factory.mktemp("records"), [result])
    draws = read.draws.recorded()
    assert draws is not None
    assert draws in path.read_bytes()
    other = [1000 + at for at, _ in enumerate(read.draws)]
    assert read.draws.agreeing(other).recorded() is None
    assert [draw.agreement for draw in read.draws.agreeing(other)] == other


@given(RESULTS.filter(lambda result: result.draws))
def test_a_file_that_changes_meanwhile_is_one_line(tmp_path_factory, result):
    path, (read,) = stored(tmp_path_factory.mktemp("records"), [result])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StoreError, match=r"the record at byte \d+ was whole a moment ago; let"):
        list(read.draws)
