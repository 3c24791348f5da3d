"""A store whose files are written on another disk first, and are put into it whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engines.contract import Completion
from harness.errors import StoreError
from harness.store import completions, scratch
from harness.store.completions import CompletionStore, shards
from harness.store.scratch import scratch_folder, scratch_of

MADE = Completion((1, 2), "two", "stop", (-0.5, -0.25), {})
KEYS = [f"{number:064x}" for number in range(5)]

# Puts completions until it is killed.
WRITER = """
import sys, time
from harness.engines.contract import Completion
from harness.store.completions import CompletionStore
from pathlib import Path
store = CompletionStore(sys.argv[1], scratch=Path(sys.argv[2]))
for number in range(3):
    store.put(f"{number:064x}", Completion((1, 2), "two", "stop", (-0.5, -0.25), {}))
print("written", flush=True)
time.sleep(60)
"""


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    return tmp_path / "store", tmp_path / "disk"


def test_nothing_is_in_the_store_before_its_file_is_whole(folders):
    shared, disk = folders
    store = CompletionStore(shared, scratch=disk)
    for key in KEYS:
        store.put(key, MADE)
        assert store.get(key) == MADE
    assert shards(shared) == []
    assert len(CompletionStore(shared)) == 0
    store.close()
    assert store.get(KEYS[0]) == MADE
    assert [CompletionStore(shared).get(key) for key in KEYS] == [MADE] * 5
    assert list(disk.glob("*/*")) == []


def test_what_takes_long_is_put_there_now_and_then(folders, monkeypatch):
    shared, disk = folders
    monkeypatch.setattr(completions, "PUBLISH_EVERY", -1.0)
    store = CompletionStore(shared, scratch=disk)
    for number, key in enumerate(KEYS):
        store.put(key, MADE)
        assert len(shards(shared)) == number
    store.close()
    assert len(CompletionStore(shared)) == len(KEYS)
    assert all(store.get(key) == MADE for key in KEYS)


def test_what_is_agreed_upon_is_known_to_others_at_once(tmp_path):
    shared = tmp_path / "store"
    stores = [CompletionStore(shared, scratch=tmp_path / name) for name in ("a", "b")]
    said = [store.agree(KEYS[0], at, "ordering", "e", int) for at, store in enumerate(stores)]
    assert said == [0, 0]


def test_what_a_killed_process_has_left_is_put_into_the_store_by_the_next_one(folders, monkeypatch):
    shared, disk = folders
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(shared), str(disk)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "written\n"
    monkeypatch.setattr(scratch, "_YOUNG", -1.0)
    assert len(CompletionStore(shared, scratch=disk)) == 0  # it lives, and is writing
    writer.kill()
    writer.communicate()
    assert len(CompletionStore(shared, scratch=disk)) == 3
    assert list(disk.glob("*/*")) == []


def put_many(store: CompletionStore) -> None:
    for number in range(100):
        store.put(f"{number:064x}", MADE)


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk of a few pages is mounted by root")
def test_a_full_disk_keeps_what_was_whole(folders):
    shared, disk = folders
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k", "none", disk], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        store = CompletionStore(shared, scratch=disk)
        with pytest.raises(StoreError, match="No space left on device; free some space"):
            put_many(store)
        store.close()
    finally:
        subprocess.run(["umount", disk], check=True)
    kept = CompletionStore(shared)
    assert len(kept) == len(store) > 0
    assert kept.get(KEYS[0]) == MADE


def test_stores_that_share_a_disk_do_not_meet(tmp_path):
    for name in ("one", "two"):
        store = CompletionStore(tmp_path / name, scratch=tmp_path / "disk")
        store.put(KEYS[0], MADE)
    assert scratch_of(tmp_path / "one", tmp_path) != scratch_of(tmp_path / "two", tmp_path)
    assert len(list((tmp_path / "disk").iterdir())) == 2


def test_a_folder_is_named_by_what_the_node_says(monkeypatch):
    monkeypatch.setenv("TITRATE_DISK", "/local/disk")
    assert scratch_folder("$TITRATE_DISK/runs") == Path("/local/disk/runs")
    assert scratch_folder(None) is None
    for text in ("$TITRATE_NOWHERE", "relative"):
        with pytest.raises(StoreError, match="give an absolute path, or a variable that is set"):
            scratch_folder(text)
