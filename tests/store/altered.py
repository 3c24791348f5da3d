"""Documents that say something else at one place: whatever JSON can say, at any depth."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

_GONE = object()
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=4)
)
#: Nested far enough to be nested, and what Python's own parser gives up at.
JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)


def _places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    keys: Any = ()
    if isinstance(document, dict):
        keys = document
    elif isinstance(document, list):
        keys = range(len(document))
    for key in keys:
        yield from _places(document[key], (*at, key))


@st.composite
def altered(draw: st.DrawFn, document: Any) -> Any:
    """The document with one of its values, however deep, replaced or gone."""
    place = draw(st.sampled_from(list(_places(document))))
    value = draw(JSON | st.just(_GONE))
    if not place:
        return None if value is _GONE else value
    changed = copy.deepcopy(document)
    around = changed
    for key in place[:-1]:
        around = around[key]
    if value is _GONE:
        del around[place[-1]]
    else:
        around[place[-1]] = value
    return changed
