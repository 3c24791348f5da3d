"""Lines that check themselves: nothing that was not written is ever read."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.store.journal import (
    Format,
    Journal,
    decoded,
    encoded,
    in_use,
    line_at,
    lines,
    unusable,
)

FORM = Format("numbers", 3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.text(), JSON, max_size=4)


def bodies(path):
    return [None if line.body is None else line.record for line in lines(path)]


@given(RECORDS)
def test_a_line_says_what_was_written_and_is_json(record):
    line = encoded(record)
    assert line.endswith(b"\n")
    assert b"\n" not in line[:-1]
    assert json.loads(decoded(line)) == record
    assert json.loads(line)["record"] == record


@given(RECORDS, st.data())
def test_a_torn_line_is_none(record, data):
    line = encoded(record)
    assert decoded(line[: data.draw(st.integers(0, len(line) - 1))]) is None


@given(RECORDS, st.data())
def test_a_line_with_a_flipped_bit_is_none(record, data):
    line = bytearray(encoded(record))
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= 1 << data.draw(st.integers(0, 7))
    assert decoded(bytes(line)) is None


def test_two_lines_glued_together_are_none():
    one, other = encoded({"a": 1}), encoded({"b": 2})
    assert decoded(one[:-5] + other) is None


def test_a_file_begins_with_its_format_and_holds_what_was_appended(tmp_path):
    path = tmp_path / "file.jsonl"
    journal = Journal(path, FORM)
    offsets = [journal.append({"n": n}) for n in range(3)]
    assert bodies(path) == [{"format": "numbers", "version": 3}, {"n": 0}, {"n": 1}, {"n": 2}]
    assert [line_at(path, offset).record["n"] for offset in offsets] == [0, 1, 2]
    assert [line.offset for line in lines(path)][1:] == offsets
    assert [line.offset for line in lines(path, offsets[1])] == offsets[1:]
    journal.close()
    journal.close()


def test_a_file_is_never_written_by_two(tmp_path):
    path = tmp_path / "file.jsonl"
    Journal(path, FORM).close()
    with pytest.raises(FileExistsError):
        Journal(path, FORM)


def test_a_file_is_in_use_while_its_writer_lives(tmp_path):
    path = tmp_path / "file.jsonl"
    journal = Journal(path, FORM)
    assert in_use(path)
    journal.close()
    assert not in_use(path)
    code = (
        "import sys, pathlib; from harness.store.journal import Journal, Format;"
        "kept = Journal(pathlib.Path(sys.argv[1]), Format('numbers', 3));"
        "print('open', flush=True); sys.stdin.read()"
    )
    other = tmp_path / "other.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", code, other], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"open\n"
        assert in_use(other)
    finally:
        process.kill()
        process.communicate()
    assert not in_use(other)


@pytest.mark.parametrize(
    ("first", "problem"),
    [
        (encoded({"format": "numbers", "version": 3}), None),
        (b"", None),
        (encoded({"format": "numbers", "version": 4}), "holds numbers, version 4, not numbers, "),
        (encoded({"format": "letters", "version": 3}), "holds letters, version 3, not numbers, "),
        (encoded({"format": "numbers"}), "does not say what it holds"),
        (encoded({"format": "numbers", "version": 3})[:-4], "first line is torn or altered"),
        (b'{"format": "numbers", "version": 3}\n', "first line is torn or altered"),
    ],
    ids=["own", "empty", "newer", "other", "without version", "torn", "foreign"],
)
def test_what_is_of_another_format_is_named(tmp_path, first, problem):
    path = tmp_path / "file.jsonl"
    path.write_bytes(first + (encoded({"n": 1}) if first.endswith(b"\n") else b""))
    found = unusable(path, FORM)
    assert found is None if problem is None else problem in found


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_trace(tmp_path):
    """A file size limit in a process of its own, as a full disk: the write ends in the middle."""
    path = tmp_path / "file.jsonl"
    resource_before = resource.getrlimit(resource.RLIMIT_FSIZE)
    code = f"""
import pathlib, resource
from harness.store.journal import Journal, Format
journal = Journal(pathlib.Path({str(path)!r}), Format("numbers", 3))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    for n in range(100):
        journal.append({{"n": n, "padding": "x" * 50}})
except OSError as error:
    print(error.errno, n)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append({{"n": -1}})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    number, stopped = map(int, done.stdout.split())
    assert number == errno.EFBIG
    assert stopped > 1
    found = bodies(path)
    assert None not in found
    assert [record["n"] for record in found[1:]] == [*range(stopped), -1]
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == resource_before
