"""The zoo's tokenizer, and pairs of the study's form in the smallest words."""

from __future__ import annotations

from functools import cache

import pytest

from harness.models.loading import load_tokenizer
from harness.tasks.by_name import load as load_task
from harness.tasks.pairs.align import Aligner
from harness.tasks.pairs.making import pairs_from_task


@cache
def _tokenizer():
    return load_tokenizer("zoo/moe")


@pytest.fixture
def tokenizer():
    return _tokenizer()


@cache
def _micro():
    pairs = pairs_from_task(load_task("micro_humaneval"), _tokenizer()).pairs
    return {pair.key: (pair, Aligner(_tokenizer()).align(pair)) for pair in pairs}


@pytest.fixture(scope="session")
def micro():
    """Every pair of micro_humaneval with its alignment, by key."""
    return _micro()
