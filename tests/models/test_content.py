"""The hash of a checkpoint's content: what changes it, what does not, and what is remembered."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.models import content, zoo
from harness.models.content import content_hash
from harness.models.loading import load

IN_THE_HASH = (
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)


@pytest.fixture
def checkpoint(tmp_path):
    """A copy of zoo/moe that a test may spoil."""
    folder = tmp_path / "moe"
    shutil.copytree(zoo.resolve("moe"), folder)
    return folder


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(IN_THE_HASH), where=st.floats(0, 1, exclude_max=True))
def test_any_byte_of_weights_configuration_or_tokenizer_changes_the_hash(checkpoint, name, where):
    before = content_hash(checkpoint)
    file = checkpoint / name
    content = file.read_bytes()
    at = int(where * len(content))
    file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    assert content_hash(checkpoint) != before
    file.write_bytes(content)
    assert content_hash(checkpoint) == before


def test_times_names_of_folders_and_notes_do_not_change_the_hash(checkpoint):
    before = content_hash(checkpoint)
    for file in checkpoint.iterdir():
        os.utime(file, (1, 1))
    (checkpoint / "README.md").write_text("notes")
    moved = checkpoint.rename(checkpoint.with_name("other"))
    assert content_hash(moved) == before == load("zoo/moe", device="cpu").content_hash


def test_the_hubs_cache_hashes_like_the_files_it_links_to(checkpoint, tmp_path):
    """The hub names a large file by its hash: the same value without reading it."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    for file in checkpoint.iterdir():
        large = file.suffix == ".safetensors"
        content = file.read_bytes()
        digest = (hashlib.sha256 if large else hashlib.sha1)(content).hexdigest()
        shutil.copy(file, blobs / digest)
        (snapshot / file.name).symlink_to(blobs / digest)
    assert content_hash(snapshot) == content_hash(checkpoint)


# Large files --------------------------------------------------------------------------------------


@pytest.fixture
def remembered(checkpoint, tmp_path, monkeypatch):
    """The weights are large, were not changed just now, and their hash is remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(content, "_LARGE", 1_000_000)
    monkeypatch.setattr(content, "_SETTLED", -1.0)
    return content_hash(checkpoint)


def weights_read(monkeypatch):
    """The names of the files that are read from now on."""
    names = []
    digest = hashlib.file_digest

    def watched(stream, algorithm):
        names.append(Path(stream.name).name)
        return digest(stream, algorithm)

    monkeypatch.setattr(content.hashlib, "file_digest", watched)
    return names


def test_a_large_file_is_read_once(checkpoint, remembered, monkeypatch):
    names = weights_read(monkeypatch)
    assert content_hash(checkpoint) == remembered
    assert "config.json" in names
    assert "model.safetensors" not in names


def test_a_large_file_edited_in_place_is_read_again(checkpoint, remembered):
    """Of the same size, and with its modification time set back."""
    file = checkpoint / "model.safetensors"
    before = file.stat()
    with file.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last[0] ^ 1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert content_hash(checkpoint) != remembered


def test_a_large_file_moved_into_place_is_read_again(checkpoint, remembered):
    file = checkpoint / "model.safetensors"
    other = checkpoint / "other"
    other.write_bytes(file.read_bytes()[:-1] + b"x")
    other.replace(file)
    assert content_hash(checkpoint) != remembered


def test_a_file_changed_a_moment_ago_is_not_remembered(checkpoint, tmp_path, monkeypatch):
    """Its next change may fall into the same tick of the file system's clock."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(content, "_LARGE", 1_000_000)
    now = (checkpoint / "model.safetensors").stat().st_ctime
    monkeypatch.setattr(time, "time", lambda: now + 1)
    content_hash(checkpoint)
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(time, "time", lambda: now + 3)
    content_hash(checkpoint)
    assert (tmp_path / "cache").exists()


def test_without_a_usable_cache_files_are_read(checkpoint, remembered, tmp_path, monkeypatch):
    (kept,) = (tmp_path / "cache").rglob("hashes/*")
    kept.write_text("{")
    assert content_hash(checkpoint) == remembered
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert content_hash(checkpoint) == remembered
