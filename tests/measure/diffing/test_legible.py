"""The layer at which a model can be read, found on the model alone."""

from __future__ import annotations

import pytest

from harness.engines import open_engine
from harness.measure.diffing.legible import agreements, first_legible
from harness.measure.diffing.texts import Text, Texts
from harness.spec import EngineSettings


def test_the_last_layer_says_what_its_model_says():
    engine = open_engine("zoo/base", EngineSettings())
    ids = tuple(engine.tokenizer("A loaf of bread needs flour, and the river rises.")["input_ids"])
    texts = Texts((Text("t", ids, tuple(range(len(ids)))),), tuple(range(len(ids))), 0)
    try:
        shares = agreements(engine, texts, 2)
    finally:
        engine.close()
    assert shares[-1] == 1
    assert 0 <= shares[0] <= 1


@pytest.mark.parametrize(
    ("shares", "layer"), [([0.1, 0.5, 0.4, 1], 1), ([0.1, 0.2], 1), ([0.9, 1], 0)]
)
def test_the_first_that_says_half_is_read_and_the_last_where_none_does(shares, layer):
    assert first_legible(shares) == layer
