"""The kind of metric that docs/metrics.md adds in a conftest.py is what the page says of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness import registry
from harness.errors import MetricError
from harness.metrics.entry import Answer, Seen
from harness.metrics.kind import entry_of
from harness.spec.metric import items_of

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
CONFTEST = re.search(r"^`conftest\.py`:\n\n```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def shouting():
    # Else this file's __future__ holds for it, too.
    exec(compile(CONFTEST[1], "conftest.py", "exec", dont_inherit=True), {"__name__": "conftest"})
    yield
    registry.metrics.unregister("shouting")


@pytest.mark.usefixtures("shouting")
def test_it_counts_capitals_and_fails_where_it_says_so():
    (settings,) = items_of([{"kind": "shouting", "least": 4}])

    def value(text):
        return entry_of(settings).value(Seen("s", {}, "prompt", (Answer((), text),)))

    assert value("LOUd") == 0.75
    with pytest.raises(MetricError, match="3 letters are too few"):
        value("a b c")
