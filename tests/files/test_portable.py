"""Paths in a report: relative to the run's start or to the home, and never anything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.files.portable import local, place_forms, portable

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,5}", fullmatch=True)
PATHS = st.lists(NAMES, max_size=3).map(lambda names: "".join(f"/{name}" for name in names))


@pytest.fixture(scope="module", autouse=True)
def home():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", "/home/me")
        yield


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/home/me/work/specs/x.yaml:3 model: no", "./specs/x.yaml:3 model: no"),
        ("/home/me/work", "."),
        ("/home/me/models/x", "~/models/x"),
        (
            "titrate run /home/me/work/a.yaml --store='/home/me/s'",
            "titrate run ./a.yaml --store='~/s'",
        ),
        ("--report=/home/me/work/out", "--report=./out"),
        ("/home/me2/x and /srv/home/me/x", "/home/me2/x and /srv/home/me/x"),
        ("/home/me/workshop/x", "~/workshop/x"),
        ("/data/models/x", "/data/models/x"),
        ("https://example.org/home/me/x", "https://example.org/home/me/x"),
    ],
)
def test_the_start_and_the_home_are_named_by_their_signs(said, shown):
    assert portable(said, Path("/home/me/work")) == shown
    assert portable({"a": [said, 1, None]}, Path("/home/me/work")) == {"a": [shown, 1, None]}


@given(root=PATHS, path=PATHS)
def test_a_path_comes_back(root, path):
    root = Path(f"/home/me{root}" if len(root) % 2 else root or "/")
    for whole in (f"{root}{path}".replace("//", "/"), f"/home/me{path}", path or "/"):
        assert local(portable(whole, root), root) == whole


VALUES = st.recursive(st.text(max_size=3) | PATHS, lambda inner: st.lists(inner, max_size=3))


@given(value=VALUES, below=PATHS, escaped=st.booleans())
def test_a_text_without_forms_of_places_is_of_values_that_stay(value, below, escaped):
    document = [value, f"/home/me{below}", {f"/höme/{below}": "/home/you"}]
    with pytest.MonkeyPatch.context() as patch:
        for home in ("/home/me", "/höme", '/ho"me'):
            patch.setenv("HOME", home)
            text = json.dumps([*document, home], ensure_ascii=escaped).encode(errors="replace")
            assert any(form in text for form in place_forms())
            text = json.dumps(document, ensure_ascii=escaped).encode(errors="replace")
            if not any(form in text for form in place_forms()):
                assert portable(document) == document
