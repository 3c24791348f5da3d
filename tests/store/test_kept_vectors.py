"""Kept vectors: the first that was measured is everybody's, now and in later runs."""

from __future__ import annotations

from harness.store.completions import CompletionStore
from harness.store.kept_vectors import KeptVectors

KEY = "0" * 64


class Measured:
    """What is asked of an engine here."""

    fingerprint = "of some engine"


def kept(folder, decode=tuple):
    return KeptVectors(Measured(), CompletionStore(folder) if folder else None, decode)


def test_what_one_run_keeps_the_next_one_has(tmp_path):
    assert kept(tmp_path / "store").get(KEY) is None
    assert kept(tmp_path / "store").keep(KEY, [1, 2]) == (1, 2)
    assert kept(tmp_path / "store").get(KEY) == (1, 2)


def test_the_first_of_two_that_measured_at_once_is_kept(tmp_path):
    one, other = kept(tmp_path / "store"), kept(tmp_path / "store")
    assert one.get(KEY) is other.get(KEY) is None
    assert one.keep(KEY, [1]) == (1,)
    assert other.keep(KEY, [2]) == (1,)
    assert other.get(KEY) == (1,)


def test_without_a_store_they_last_as_long_as_the_object():
    one = kept(None)
    assert one.keep(KEY, [1]) == one.get(KEY) == (1,)
    assert kept(None).get(KEY) is None


def test_a_value_is_decoded_once(tmp_path):
    kept(tmp_path / "store").keep(KEY, [1])
    decoded = []
    one = kept(tmp_path / "store", decode=lambda value: decoded.append(value) or tuple(value))
    assert one.get(KEY) == one.get(KEY) == (1,)
    assert decoded == [[1]]
