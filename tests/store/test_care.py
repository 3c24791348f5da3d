"""Stores that are looked after: what is in them, what is damaged, what is taken out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.engines.contract import Completion, Scored, Scoring
from harness.errors import StoreError
from harness.store import completions as store_module
from harness.store.care import by_age_and_model, contents, existing_shards, prune, verify
from harness.store.completions import CompletionStore, shards
from harness.store.journal import encoded
from tests.store.test_completions import key

DAY = 86_400
PLAINLY = {"other_formats": False, "damaged": False, "really": True}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two files: engine `a` made 0-3 on day 1, and 6 on day 3; engine `b` made 4-5 on day 3."""
    folder = tmp_path / "store"
    for day, numbers in ((1, {"a": range(4)}), (3, {"b": (4, 5), "a": (6,)})):
        monkeypatch.setattr(store_module.time, "time", lambda day=day: day * DAY + 0.5)
        store = CompletionStore(folder)
        for engine, chosen in numbers.items():
            value = {"model": f"zoo/{engine}", "determinism": {"torch": "2"}, "fingerprint": "x"}
            fingerprint = engine * 64
            if key(f"engine {engine}") not in store:
                store.put_value(key(f"engine {engine}"), value, "engine", fingerprint)
            for number in chosen:
                store.put(key(number), Completion((1, 2), "text", "stop"), fingerprint)
        store.close()
        (own,) = [path for path in shards(folder) if "-day" not in path.name]
        own.rename(folder / f"completions-day{day}-x.jsonl")
    return folder


def stored(folder):
    store = CompletionStore(folder)
    return [number for number in range(7) if store.get(key(number)) is not None]


def take(folder, *, before=None, model=None, really=True, formats=False, damaged=False):
    chosen = by_age_and_model(before, model, contents(folder))
    return prune(folder, chosen, other_formats=formats, damaged=damaged, really=really)


def first(folder):
    return shards(folder)[0]


# Looking ------------------------------------------------------------------------------------------


def test_contents_are_told_by_engine_the_latest_first(folder):
    a, b = sorted(contents(folder), key=lambda each: each.model)
    assert (a.model, a.completions, a.tokens, a.newest) == ("zoo/a", 5, 10, 3 * DAY)
    assert (b.model, b.completions, b.tokens) == ("zoo/b", 2, 4)
    assert a.settings == {"torch": "2"}
    assert contents(folder)[0].newest == 3 * DAY
    heads = 2 * len(encoded({"format": "titrate completions", "version": 1}))
    assert a.size + b.size + heads == sum(path.stat().st_size for path in shards(folder))


def test_scorings_are_counted_beside_completions_and_are_whole(folder):
    store = CompletionStore(folder)
    scored = Scored(((-0.5,),), ((True,),))
    store.put_reply(key(8), scored, contents(folder)[0].fingerprint)
    assert store.reply(key(8), Scoring((), ())) == scored
    store.close()
    assert [each.scorings for each in contents(folder)] == [1, 0]
    assert verify(folder)[1] == []


def test_a_whole_store_has_no_damage(folder):
    assert verify(folder) == (9, [])


def test_damage_is_told_by_file_and_byte(folder):
    path = first(folder)
    content = path.read_bytes()
    at = content.index(b'"text":"text"')
    path.write_bytes(content[:at] + b'"text":"tixt"' + content[at + 13 :][:-7])
    whole, damages = verify(folder)
    assert whole == 7
    assert [damage.path for damage in damages] == [path, path]
    assert all("is torn or altered" in damage.problem for damage in damages)


def test_a_record_of_another_make_is_damage(folder):
    path = first(folder)
    path.write_bytes(path.read_bytes() + encoded({"key": "xyz", "value": 1}))
    (damage,) = verify(folder)[1]
    assert damage.problem.endswith("is not a store's")


def test_a_file_of_another_version_is_told(folder):
    other = folder / "completions-other.jsonl"
    other.write_bytes(encoded({"format": "titrate completions", "version": 9}))
    (damage,) = verify(folder)[1]
    assert damage.problem.startswith("holds titrate completions, version 9, not ")


def unreadable(path):
    path.write_bytes(encoded({"format": "titrate completions", "version": 1}))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads what nobody may")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (Path.mkdir, "Is a directory"),
        (lambda path: path.symlink_to("nothing"), "No such file or directory"),
        (lambda path: path.symlink_to("/dev/zero"), "Not a regular file"),
        (os.mkfifo, "Not a regular file"),
        (unreadable, "Permission denied"),
    ],
    ids=["directory", "link to nothing", "device", "pipe", "unreadable"],
)
def test_what_has_a_file_s_name_and_is_none_is_told_and_left_alone(folder, make, told):
    path = folder / "completions-day2-x.jsonl"
    make(path)
    whole, (damage,) = verify(folder)
    assert (whole, damage.path) == (9, path)
    assert damage.problem == f"cannot be read: {told}; take it away, or let it be read"
    assert sum(each.completions for each in contents(folder)) == 7
    warnings = []
    assert CompletionStore(folder, warn=warnings.append).get(key(6)) is not None
    assert [told in warning for warning in warnings] == [True]
    take(folder, formats=True, damaged=True)
    assert path.is_symlink() or path.exists()
    assert main(["store", "list", "--store", str(folder)]) == 0
    assert main(["store", "verify", "--store", str(folder)]) == 1


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nothing")])
def test_hidden_states_that_are_no_file_are_told(folder, make):
    (folder / ".activations").mkdir()
    make(folder / ".activations" / "x.safetensors")
    assert main(["store", "list", "--store", str(folder)]) == 0
    assert main(["store", "verify", "--store", str(folder)]) == 1


def test_a_store_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(StoreError, match="nowhere: there is no completion store; give one with"):
        existing_shards(tmp_path / "nowhere")


# Taking out ---------------------------------------------------------------------------------------


def test_nothing_is_changed_unless_it_is_meant(folder):
    before = {path: path.read_bytes() for path in shards(folder)}
    told = take(folder, before=2 * DAY, really=False)
    assert [(each.path.name, each.records, each.whole) for each in told] == [
        ("completions-day1-x.jsonl", 4, False)
    ]
    assert {path: path.read_bytes() for path in shards(folder)} == before


def test_old_records_go(folder):
    size = sum(each.size for each in take(folder, before=2 * DAY))
    assert size > 0
    assert stored(folder) == [4, 5, 6]
    assert sorted(each.model for each in contents(folder)) == ["zoo/a", "zoo/b"]
    assert not list(folder.glob(".*"))


def test_what_an_engine_is_stays_as_long_as_something_of_it_is_stored(folder):
    """It is written once: without it nobody knows a stored completion's key, or its model."""
    take(folder, before=2 * DAY)
    assert key("engine a") in CompletionStore(folder)
    take(folder, before=4 * DAY)
    assert shards(folder) == []


def test_the_records_of_a_model_go(folder):
    take(folder, model="zoo/b")
    assert stored(folder) == [0, 1, 2, 3, 6]
    assert [each.model for each in contents(folder)] == ["zoo/a"]
    take(folder, model="a" * 10)
    assert stored(folder) == []
    assert shards(folder) == []


def test_age_and_model_are_asked_together(folder):
    take(folder, model="zoo/a", before=2 * DAY)
    assert stored(folder) == [4, 5, 6]


def test_an_unknown_model_is_one_line(folder):
    with pytest.raises(StoreError, match="zoo/c: nothing is stored of this model; stored are zoo"):
        take(folder, model="zoo/c")


def test_damaged_records_go_when_asked(folder):
    path = first(folder)
    path.write_bytes(path.read_bytes()[:-7])
    assert take(folder) == []
    assert len(verify(folder)[1]) == 1
    take(folder, damaged=True)
    assert verify(folder) == (8, [])
    assert stored(folder) == [0, 1, 2, 4, 5, 6]


def test_files_of_other_formats_go_when_asked(folder):
    other = folder / "completions-other.jsonl"
    other.write_bytes(encoded({"format": "titrate completions", "version": 9}))
    take(folder, before=10 * DAY, model="zoo/b")
    assert other.exists()
    take(folder, formats=True)
    assert not other.exists()
    assert stored(folder) == [0, 1, 2, 3, 6]


def test_a_file_that_is_being_written_stays(folder):
    writer = CompletionStore(folder)
    writer.put(key(0), Completion((), "", "stop"), "a" * 64)
    told = take(folder, model="zoo/a")
    assert sorted(each.in_use for each in told) == [False, False, True]
    assert stored(folder) == [0, 4, 5]
    writer.put(key(1), Completion((), "", "stop"), "a" * 64)
    assert stored(folder) == [0, 1, 4, 5]
    writer.close()


def test_a_file_that_cannot_be_written_anew_stays_as_it_was(folder, monkeypatch):
    def fsync(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.store.care.os.fsync", fsync)
    with pytest.raises(StoreError, match="cannot be written anew: No space left on device; it is"):
        take(folder, model="zoo/b")
    assert stored(folder) == [0, 1, 2, 3, 4, 5, 6]
    assert not list(folder.glob(".*"))


def test_whoever_reads_meanwhile_finds_nothing_false(folder):
    """Behind what was taken out, other records stand where a reader has noted the old ones."""
    reader = CompletionStore(folder)
    writer = CompletionStore(folder)
    for number in range(20, 24):
        writer.put(key(number), Completion((number,), "text", "stop"), "cd"[number % 2] * 64)
    writer.close()
    reader.refresh()
    prune(folder, lambda record: record["engine"] == "c" * 64, **PLAINLY)
    found = {number: reader.get(key(number)) for number in range(20, 24)}
    assert all(each is None or each.tokens == (number,) for number, each in found.items())
    assert {number for number, each in found.items() if each is not None} <= {21, 23}
    again = CompletionStore(folder)
    assert [number for number in found if again.get(key(number)) is not None] == [21, 23]
