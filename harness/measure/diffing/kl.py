"""`method: kl`: tokens that add most to the divergence of the two models' predictions.

Each token's part of KL(tuned || base) = sum_v p(v) (log p(v) - log q(v)), averaged over positions.
"""

from __future__ import annotations

import torch

from harness.engines.contract import Capture
from harness.measure.diffing.evidence import Candidate, Evidence
from harness.measure.diffing.pair import Pair, largest_of, words_of
from harness.measure.diffing.section import DiffSettings
from harness.measure.diffing.texts import Texts


def kl(pair: Pair, texts: Texts, settings: DiffSettings, layer: int) -> Evidence:
    """The tokens with the largest parts, and the divergence itself."""
    del layer  # read of no layer
    parts = torch.zeros(0, dtype=torch.float64)
    positions = silent = 0
    for _, own, other in pair.read(texts.texts, Capture(logits=True), len(pair.base.tokenizer)):
        assert own.logits is not None
        assert other.logits is not None
        width = min(own.logits.shape[-1], other.logits.shape[-1])
        logits = own.logits[:, :width], other.logits[:, :width]
        difference = logits[1] - logits[0]
        spread = difference.amax(-1) - difference.amin(-1)
        speaks = spread > pair.rounding * largest_of(*logits)
        base, tuned = (each[speaks].double().log_softmax(-1) for each in logits)
        part = (tuned.exp() * (tuned - base)).sum(0)
        parts = part if not len(parts) else parts + part
        positions += len(speaks)
        silent += int((~speaks).sum())
    parts = parts / max(positions, 1)
    top = parts.topk(min(settings.listed, len(parts)))
    kept = [(int(token), float(value)) for value, token in zip(*top, strict=True) if value > 0]
    words = words_of(pair, [token for token, _ in kept])
    return Evidence(
        "kl",
        tuple(
            Candidate(token, word, value) for (token, value), word in zip(kept, words, strict=True)
        ),
        positions,
        silent,
        len(texts),
        texts.dropped,
        {"divergence": float(parts.sum())},
    )
