"""Completions that outlive their process: what is found again, and what must not be."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.contract import Completion, Request
from harness.errors import StoreError
from harness.store.completions import CompletionStore, key_of, shards
from harness.store.journal import encoded

COMPLETIONS = st.builds(
    Completion,
    tokens=st.lists(st.integers(0, 2**31), max_size=5).map(tuple),
    text=st.text(st.characters(codec=None), max_size=10),
    finish_reason=st.sampled_from(["stop", "length", "non_finite"]),
    log_probabilities=st.lists(st.floats(max_value=0, allow_nan=False), max_size=5).map(tuple),
    counts=st.dictionaries(st.text(max_size=3), st.integers(0, 10), max_size=2),
)


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def completion(number: int) -> Completion:
    return Completion(
        (number, 1), f"text {number}\u2028\ud800", "stop", (-0.1, -1e-9), {"n": number}
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "a" / "store"


class Warnings(list):
    def __call__(self, text: str) -> None:
        self.append(text)


def filled(folder: Path, numbers=range(5)) -> CompletionStore:
    store = CompletionStore(folder)
    for number in numbers:
        store.put(key(number), completion(number), "engine")
    return store


def found(store: CompletionStore, numbers=range(5)) -> list[int]:
    """The numbers that are stored; each as it was put."""
    there = [number for number in numbers if store.get(key(number)) is not None]
    assert all(store.get(key(number)) == completion(number) for number in there)
    return there


# What is found again ------------------------------------------------------------------------------


@given(COMPLETIONS)
def test_a_completion_comes_back_as_it_was(tmp_path_factory, given_completion):
    folder = tmp_path_factory.mktemp("store")
    store = CompletionStore(folder)
    store.put(key(0), given_completion)
    assert store.get(key(0)) == given_completion
    store.close()
    assert CompletionStore(folder).get(key(0)) == given_completion
    assert store.get(key(1)) is None


def test_nothing_is_made_before_something_is_put(folder):
    store = CompletionStore(folder)
    assert store.get(key(0)) is None
    store.refresh()
    store.check_writable()
    store.close()
    assert not folder.parent.exists()


def test_two_processes_write_at_once_and_find_each_others_after_a_refresh(folder):
    one, other = CompletionStore(folder), CompletionStore(folder)
    one.put(key(0), completion(0))
    other.put(key(1), completion(1))
    one.put(key(2), completion(2))
    assert (found(one), found(other)) == ([0, 2], [1])
    one.refresh()
    other.refresh()
    assert found(one) == found(other) == [0, 1, 2]
    other.put(key(3), completion(3))
    one.refresh()
    assert found(one) == [0, 1, 2, 3]
    assert len(shards(folder)) == 2


def test_the_first_process_to_say_something_is_agreed_with(folder):
    first, second = CompletionStore(folder), CompletionStore(folder)
    assert first.agree(key(1), [[0, 1]], "ordering", "engine", list) == [[0, 1]]
    assert second.agree(key(1), [[1, 0]], "ordering", "engine", list) == [[0, 1]]
    assert first.agree(key(1), [[2, 2]], "ordering", "engine", list) == [[0, 1]]
    assert CompletionStore(folder).value(key(1), list) == [[0, 1]]


def test_processes_that_speak_at_once_agree(folder):
    """Each of four processes says its own number; all must hear the same one."""
    code = (
        "import sys; from harness.store.completions import CompletionStore;"
        "store = CompletionStore(sys.argv[1]); sys.stdin.read();"
        "print(store.agree(sys.argv[2], int(sys.argv[3]), 'ordering', 'engine', int))"
    )
    with ExitStack() as stack:
        speaking = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", code, str(folder), key(1), str(number)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(4)
        ]
        for each in speaking:  # all have started and wait; now let them go
            each.stdin.close()
        heard = {each.stdout.read() for each in speaking}
        assert [each.wait() for each in speaking] == [0] * 4
    assert len(heard) == 1


def test_a_fresh_store_finds_what_its_own_run_has_stored_since(folder, monkeypatch):
    """A worker that replaces a killed one needs what that one had made in this very run."""
    began = datetime.now(UTC)

    def later(seconds):
        class Clock(datetime):
            @classmethod
            def now(cls, tz=None):
                return began + timedelta(seconds=seconds)

        monkeypatch.setattr("harness.store.completions.datetime", Clock)

    later(-5)
    filled(folder, [0])
    later(5)
    worker = CompletionStore(folder, fresh=True, since=began)
    worker.put(key(1), completion(1))
    later(9)
    replacing = CompletionStore(folder, fresh=True, since=began)
    assert found(replacing, range(3)) == [1]
    assert found(CompletionStore(folder), range(3)) == [0, 1]


def test_a_fresh_store_finds_only_its_own(folder):
    filled(folder).close()
    fresh = CompletionStore(folder, fresh=True)
    assert found(fresh) == []
    fresh.put(key(7), completion(7))
    fresh.refresh()
    assert found(fresh, range(10)) == [7]
    assert found(CompletionStore(folder), range(10)) == [0, 1, 2, 3, 4, 7]


def test_other_values_are_kept_beside_completions(folder):
    store = filled(folder)
    store.put_value(key(9), [[0, 1], [2, 3]], "ordering", "engine")
    assert CompletionStore(folder).value(key(9), list) == [[0, 1], [2, 3]]


def test_memory_does_not_hold_what_is_stored(folder):
    """The index of a store of large completions stays small: they are read when asked for."""
    large = Completion(tuple(range(10_000)), "x" * 100_000, "stop")
    store = CompletionStore(folder)
    for number in range(30):
        store.put(key(number), large)
    code = (
        "import sys, tracemalloc; from harness.store.completions import CompletionStore;"
        "tracemalloc.start(); store = CompletionStore(sys.argv[1]);"
        "print(len(store), tracemalloc.get_traced_memory()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
    )
    count, held = map(int, done.stdout.split())
    assert count == 30
    assert held < 100_000
    assert store.get(key(29)) == large


# Keys ---------------------------------------------------------------------------------------------


def test_a_key_depends_on_the_engine_and_on_the_request():
    requests = [Request((1, 2), 8), Request((1, 3), 8), Request((1, 2), 9)]
    keys = {key_of(engine, request.key()) for engine in ("a", "b") for request in requests}
    assert len(keys) == 6
    assert key_of("a", requests[0].key()) == key_of("a", Request((1, 2), 8).key())
    assert key_of("ab", "c") != key_of("a", "bc")


# What is damaged ----------------------------------------------------------------------------------


def test_a_torn_last_line_is_skipped_with_one_warning(folder):
    filled(folder).close()
    (shard,) = shards(folder)
    shard.write_bytes(shard.read_bytes()[:-10])
    warnings = Warnings()
    store = CompletionStore(folder, warn=warnings)
    store.refresh()
    assert found(store) == [0, 1, 2, 3]
    (warning,) = warnings
    assert warning.startswith(f"{shard}: the record at byte ")
    assert "torn or altered; skipped, to be made again; titrate store verify " in warning
    store.put(key(4), completion(4))
    assert found(CompletionStore(folder)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_byte_is_altered_nothing_false_is_read(folder, seed):
    filled(folder).close()
    (shard,) = shards(folder)
    content = bytearray(shard.read_bytes())
    draw = random.Random(seed)
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    shard.write_bytes(content)
    warnings = Warnings()
    store = CompletionStore(folder, warn=warnings)
    assert len(found(store)) < 5  # `found` compares each with what was put
    assert len(warnings) == 1


def test_a_record_altered_after_it_was_indexed_is_not_read(folder):
    store = filled(folder)
    (shard,) = shards(folder)
    shard.write_bytes(shard.read_bytes().replace(b"text 3", b"text 8"))
    assert found(store) == [0, 1, 2, 4]
    shard.unlink()
    assert found(store) == []


def test_a_line_that_another_process_is_writing_is_no_damage(folder):
    writer = filled(folder, range(2))
    (shard,) = shards(folder)
    line = encoded({"key": key(2), "kind": "x", "engine": "e", "at": 1, "value": {}})
    with shard.open("ab") as file:
        file.write(line[:30])
    warnings = Warnings()
    store = CompletionStore(folder, warn=warnings)
    with shard.open("ab") as file:
        file.write(line[30:])
    store.refresh()
    assert store.value(key(2), dict) == {}
    assert warnings == []
    writer.close()


@pytest.mark.parametrize("version", [0, 2])
def test_a_file_of_another_version_is_passed_over_with_a_warning(folder, version):
    filled(folder).close()
    (shard,) = shards(folder)
    lines = shard.read_bytes().splitlines(keepends=True)
    head = encoded({"format": "titrate completions", "version": version})
    shard.write_bytes(b"".join([head, *lines[1:]]))
    warnings = Warnings()
    store = CompletionStore(folder, warn=warnings)
    assert found(store) == []
    (warning,) = warnings
    assert f"holds titrate completions, version {version}, not titrate completions, vers" in warning
    store.put(key(0), completion(0))
    assert found(CompletionStore(folder)) == [0]


def test_later_files_win(folder):
    for number, name in enumerate(("20260101T000000", "20260102T000000")):
        store = CompletionStore(folder)
        store.put(key(0), completion(number))
        store.close()
        (own,) = [path for path in shards(folder) if "2026010" not in path.name]
        own.rename(folder / f"completions-{name}-1-aa.jsonl")
    assert CompletionStore(folder).get(key(0)) == completion(1)


# What is refused ----------------------------------------------------------------------------------


def test_a_folder_with_other_things_is_no_store(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(StoreError, match=r"is not a completion store: it holds thesis\.tex; give "):
        CompletionStore(tmp_path, fresh=True)


def test_a_file_is_no_store(tmp_path):
    path = tmp_path / "store"
    path.write_text("")
    with pytest.raises(StoreError, match="no completion store can be read here: Not a directory; "):
        CompletionStore(path)


def test_a_store_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    store = CompletionStore(tmp_path / "file" / "store")
    for attempt in (store.check_writable, lambda: store.put(key(0), completion(0))):
        with pytest.raises(StoreError, match=r"completions cannot be stored: .*; free some space "):
            attempt()


# The death of a process ---------------------------------------------------------------------------


def test_what_was_put_survives_a_kill(folder):
    """A process that says what it has put and is then killed, in the middle of the next one."""
    code = """
import hashlib, sys
from harness.engines.contract import Completion
from harness.store.completions import CompletionStore
store = CompletionStore(sys.argv[1])
for number in range(10**9):
    key = hashlib.sha256(str(number).encode()).hexdigest()
    store.put(key, Completion((number, 1), "x" * 5000, "stop"))
    print(number, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    said = [int(process.stdout.readline()) for _ in range(50)]
    process.send_signal(signal.SIGKILL)
    said += [int(line) for line in process.communicate()[0].split()]
    warnings = Warnings()
    store = CompletionStore(folder, warn=warnings)
    assert all(store.get(key(number)).tokens == (number, 1) for number in said)
