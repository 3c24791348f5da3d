"""The layer that is read where none is chosen: the first whose lens says what its model says.

A lens reads a layer by the final norm and head, which were trained on the last one. How far up it
can be believed is a question to the model before the tuning alone, so that its answer has not seen
what is looked for (nostalgebraist 2020, Interpreting GPT: the logit lens).
"""

from __future__ import annotations

import numpy as np

from harness.engines.contract import Capture, Engine, Reading
from harness.measure.diffing.texts import Texts

#: The share of positions at which a legible layer says the model's own next token.
HALF = 0.5
#: Texts that are read for it at most.
_TEXTS = 64


def agreements(engine: Engine, texts: Texts, layers: int) -> list[float]:
    """Of each layer's output the share of positions at which its lens says the model's own most
    probable next token; 1 of the last.
    """
    agreed, positions = np.zeros(layers), 0
    for text in texts.texts[:_TEXTS]:
        capture = Capture(hidden_layers=tuple(range(layers)), logits=True, positions=text.positions)
        ((_, read),) = engine.forward([Reading(text.tokens, capture)])
        assert read.logits is not None
        own = read.logits.argmax(-1)
        positions += len(own)
        for layer in range(layers):
            said = engine.readout(read.hidden[layer].float()).cpu().argmax(-1)
            agreed[layer] += int((said == own).sum())
    return [float(each) for each in agreed / positions]


def first_legible(shares: list[float]) -> int:
    """The first layer that says it at half of the positions; the last where none does."""
    return next((at for at, share in enumerate(shares) if share >= HALF), len(shares) - 1)
