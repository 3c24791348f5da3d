"""What users name instead of a file, at every place where a file is named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import TitrateError
from harness.files.given import content, exists, is_file, is_folder
from harness.interventions.router_points import read_points
from harness.interventions.vector_formats import read_any
from harness.spec import load
from harness.tasks.by_name import load as load_task
from harness.tasks.by_name import read_ids
from harness.tasks.contrast_files import read_pairs
from harness.tasks.pairs.files import read_prompts, read_tokens
from harness.tasks.pairs.points import read_mask

READERS: dict[str, Callable[[Path], Any]] = {
    "x.yaml": load,
    "points.json": read_points,
    "mask.json": read_mask,
    "pair_prompts.json": read_prompts,
    "pair_tokens.json": read_tokens,
    "pairs.jsonl": read_pairs,
    "pairs.jsonl.gz": read_pairs,
    "pairs.parquet": read_pairs,
    "ids.json": lambda path: read_ids(str(path)),
    "gsm8k.jsonl": lambda path: load_task("gsm8k", path=str(path)),
    "humaneval.jsonl": lambda path: load_task("humaneval", path=str(path)),
    "v.safetensors": read_any,
    "v.pt": read_any,
    "v.gguf": read_any,
}


def heap(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 42)  # no byte of it is on the disk


THINGS: dict[str, tuple[Callable[[Path], None], str]] = {
    "folder": (Path.mkdir, "is a folder"),
    "pipe": (os.mkfifo, "is a pipe"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "heap": (heap, "is larger than"),
    "loop": (lambda path: path.symlink_to(path), "symbolic links"),
    "nothing": (lambda _: None, "[Nn]o such file"),
    "binary": (lambda path: path.write_bytes(bytes(range(256))), "."),
    "nesting": (lambda path: path.write_text("[" * 100_000), "."),
}


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_refused_in_one_line_that_names_it(tmp_path, name, thing):
    path = tmp_path / name
    make, said = THINGS[thing]
    make(path)
    with pytest.raises(TitrateError, match=said) as refused:
        READERS[name](path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_is_read_through_a_link(tmp_path):
    (tmp_path / "file").write_bytes(b"a")
    (tmp_path / "link").symlink_to("file")
    assert content(tmp_path / "link") == b"a"


@pytest.mark.parametrize("name", READERS)
def test_a_name_that_no_file_can_have_is_one_line(tmp_path, name):
    too_long = tmp_path / ("é" * 200 + name)
    with pytest.raises(TitrateError) as refused:
        READERS[name](too_long)
    assert "\n" not in str(refused.value)


def test_names_that_nothing_can_have_are_of_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    for name, here in (("é" * 200, False), ("a\0b", False), ("file", True)):
        assert exists(tmp_path / name) == is_file(tmp_path / name) == here
    assert is_folder(tmp_path)
    assert not is_folder(tmp_path / ("é" * 200))
