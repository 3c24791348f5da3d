"""Pair files: back as they went, refused whole when something in them cannot be."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.errors import TaskError
from harness.tasks.pairs.files import read_prompts, read_tokens, write_prompts, write_tokens
from tests.tasks.pairs.small import pair


@pytest.fixture
def tokens(micro):
    return {key: aligned for key, (_, aligned) in list(micro.items())[:3]}


def test_prompts_come_back_as_they_went(tmp_path):
    pairs = [pair(), pair(key="humaneval_1", shared_request=False)]
    path = tmp_path / "new" / "pair_prompts.json"
    write_prompts(pairs, path)
    assert read_prompts(path) == pairs
    plain = json.loads(path.read_text())["humaneval_0"]
    assert set(plain) == {"assisted", "agentic"}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "is not an object of pairs"),
        ({}, "is not an object of pairs"),
        ({"a": 1}, "a has no assisted text"),
        ({"a": {"assisted": "x"}}, "a has no agentic text"),
        ({"a": {"assisted": "x", "agentic": "y", "shared_request": 1}}, "a has shared_request 1"),
    ],
)
def test_a_file_that_is_no_pair_prompts_is_refused(tmp_path, document, problem):
    path = tmp_path / "pair_prompts.json"
    path.write_text(json.dumps(document))
    with pytest.raises(TaskError, match=problem):
        read_prompts(path)


@pytest.mark.parametrize("cache", [False, True])
def test_tokens_come_back_as_they_went(tmp_path, tokens, cache):
    path = tmp_path / "pair_tokens.json"
    write_tokens(tokens, path, cache=cache)
    assert path.with_suffix(".npz").exists() == cache
    assert read_tokens(path) == tokens


def test_the_cache_is_what_is_read_while_it_is_the_files(tmp_path, tokens):
    path = tmp_path / "pair_tokens.json"
    write_tokens(tokens, path, cache=True)
    with np.load(path.with_suffix(".npz")) as arrays:
        changed = dict(arrays)
    changed["agentic_ids"] = changed["agentic_ids"] + 1
    np.savez(path.with_suffix(".npz"), **changed)
    key = next(iter(tokens))
    assert read_tokens(path)[key].agentic_ids != tokens[key].agentic_ids


def test_a_cache_of_another_file_and_a_broken_one_are_not_read(tmp_path, tokens):
    path = tmp_path / "pair_tokens.json"
    write_tokens(tokens, path, cache=True)
    fewer = dict(list(tokens.items())[:1])
    write_tokens(fewer, path)
    assert read_tokens(path) == fewer
    path.with_suffix(".npz").write_bytes(b"torn")
    assert read_tokens(path) == fewer


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda e: e.pop("agentic_ids"), "agentic_ids: Field required"),
        (lambda e: e["assisted_aligned_ids"].pop(), "assisted_aligned_ids has not the"),
        (lambda e: e["assisted_aligned_attention_mask"].__setitem__(-1, 2), "has mask 2"),
        (lambda e: e["assisted_aligned_attention_mask"].__setitem__(-1, 0), "has mask 0 and token"),
        (lambda e: e["canonical_non_ws_positions"].reverse(), "do not rise"),
        (lambda e: e["canonical_non_ws_positions"].append(10**6), "do not rise"),
        (lambda e: e["canonical_positions"].update(fence_start=10**6), "fence_start is outside"),
    ],
)
def test_tokens_that_break_an_identity_are_refused_whole(tmp_path, tokens, change, problem):
    path = tmp_path / "pair_tokens.json"
    write_tokens(tokens, path)
    document = json.loads(path.read_text())
    change(document["microhumaneval_1"])
    path.write_text(json.dumps(document))
    with pytest.raises(TaskError, match=problem) as caught:
        read_tokens(path)
    assert str(caught.value).startswith(f"{path}: microhumaneval_1")
    assert "\n" not in str(caught.value)


def test_prompts_given_as_tokens_are_refused(tmp_path):
    path = tmp_path / "pair_prompts.json"
    write_prompts([pair()], path)
    with pytest.raises(TaskError, match=r"expected the pair_tokens\.json of `titrate pairs align`"):
        read_tokens(path)
