"""What a command would have selected, and which missing cases that explains."""

from __future__ import annotations

import pytest

from harness.bundle.selection import CommandSelection, explained

FILE = "specs/small.yaml"
NODE = "benches/bench_small.py::bench_small[small[style={}]]"
RUN = {f"small[style={style}]": NODE.format(style) for style in ("agentic", "assisted")}
PLAIN = dict.fromkeys(RUN)
MISSING = ["small[style=plain]", "small[style=none]"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pytest benches", CommandSelection()),
        ("pytest -q -k 'mask and not x' -n 2", CommandSelection("mask and not x")),
        ("pytest -kmask -k other", CommandSelection("other")),
        (
            "pytest a.py::f b.py --deselect a.py::g",
            CommandSelection(None, ("a.py::f",), ("a.py::g",)),
        ),
        ("pytest --deselect=a.py::g --titrate-set=x=a::b", CommandSelection(without=("a.py::g",))),
    ],
)
def test_a_command_line_is_read(words, expected):
    assert CommandSelection.read(words) == expected


@pytest.mark.parametrize(
    ("command", "recorded", "found"),
    [
        ("titrate run x.yaml -k 'agentic or assisted'", PLAIN, MISSING),
        ("titrate run x.yaml -k 'not plain'", PLAIN, MISSING[:1]),
        ("pytest benches -k 'bench_small and (agentic or assisted)'", RUN, MISSING),
        ("pytest benches -k 'benches and not none'", RUN, MISSING[1:]),
        (f"pytest '{NODE.format('agentic')}' '{NODE.format('assisted')}'", RUN, MISSING),
        (f"pytest benches --deselect '{NODE.format('plain')}'", RUN, MISSING[:1]),
        ("titrate run -k agentic; titrate run -k assisted", PLAIN, MISSING),
        # What has selected the missing ones as well, or not even what was recorded.
        ("pytest benches", RUN, []),
        ("pytest benches -k bench_small", RUN, []),
        ("pytest benches -k nothing_of_this", RUN, []),
        ("titrate run x.yaml -k agentic", PLAIN, []),
        ("pytest benches/bench_small.py::bench_small", RUN, []),
        ("pytest other.py::bench", RUN, []),
        # What cannot be selected again, or leaves nothing out.
        ("pytest benches -m 'not slow'", RUN, []),
        ("pytest benches -x --lf --maxfail 1", RUN, []),
        ("pytest -k 'agentic or'", RUN, []),
        ("pytest -k style=agentic", RUN, []),
        ("pytest -k 'agentic", RUN, []),
    ],
)
def test_a_command_explains_what_it_would_not_have_selected(command, recorded, found):
    assert explained(command, FILE, recorded, MISSING) == set(found)


def test_nothing_that_was_recorded_explains_nothing():
    assert explained("titrate run x.yaml -k other", FILE, {}, MISSING) == set()
