"""The mean difference of activations by position, and what it says (activation difference lens).

delta[j] = mean over texts of h_tuned[j] - h_base[j], at the output of a layer, in float64. A
difference that rounding may leave says nothing of any token.

Shapes: J positions, H the width of hidden states, V tokens.

Source: Minder et al. (2025), arXiv:2510.13900; science-of-finetuning/diffing-toolkit, method
activation_difference_lens.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from harness.engines.contract import Capture, Engine
from harness.errors import FieldError, ModelError
from harness.files.atomic import write_file
from harness.measure.diffing.evidence import Candidate, Evidence
from harness.measure.diffing.pair import Pair, words_of
from harness.measure.diffing.section import DiffSettings
from harness.measure.diffing.texts import Texts

#: Numbers that a chunk of texts is sized by, for each position; widths of models are below it.
_WIDTH = 8192


@dataclass(frozen=True)
class Difference:
    """What a layer of both models holds on the same texts.

    base, tuned: [J, H] means over texts, float64. base_norm, tuned_norm: the mean norm of a hidden
    state, first positions left out. labels: the names of the positions. least: the norm below which
    a difference is rounding.
    """

    base: torch.Tensor
    tuned: torch.Tensor
    base_norm: float
    tuned_norm: float
    labels: tuple[int, ...]
    layer: int
    least: float

    @property
    def delta(self) -> torch.Tensor:
        """[J, H], the mean difference."""
        return self.tuned - self.base

    def speaks(self, at: int) -> bool:
        """Whether the difference at a position is more than rounding."""
        return float(self.delta[at].norm()) > self.least

    def kept(self, file: Path) -> None:
        """Write it, to be read by `of`."""
        stream = io.BytesIO()
        arrays: dict[str, Any] = {**self.arrays(), "least": np.array(self.least)}
        np.savez(stream, **arrays)
        write_file(file, stream.getvalue())

    @classmethod
    def of(cls, file: Path) -> Self:
        """What `kept` has written. Raises OSError, KeyError or ValueError for anything else."""
        with np.load(file) as read:
            base_norm, tuned_norm = map(float, read["norms"])
            return cls(
                torch.from_numpy(read["base_mean"]),
                torch.from_numpy(read["tuned_mean"]),
                base_norm,
                tuned_norm,
                tuple(map(int, read["positions"])),
                int(read["layer"]),
                float(read["least"]),
            )

    def arrays(self) -> Mapping[str, NDArray[np.float64]]:
        """All of it as arrays, by name."""
        return {
            "base_mean": self.base.numpy(),
            "tuned_mean": self.tuned.numpy(),
            "difference": self.delta.numpy(),
            "norms": np.array([self.base_norm, self.tuned_norm]),
            "positions": np.array(self.labels),
            "layer": np.array(self.layer),
        }


def difference_of(pair: Pair, texts: Texts, settings: DiffSettings, layer: int) -> Difference:
    """Read all texts; what is kept is a sum for each position.

    Raises:
        FieldError: no position is left to take the typical norm of.
        ModelError: the layer has another width in the other model.
    """
    if len(texts.labels) <= settings.skipped:
        raise FieldError(
            "diff.positions",
            f"{len(texts.labels)} are no more than the {settings.skipped} that the typical norm "
            "leaves out; raise it, or lower diff.skipped",
        )
    sums: list[torch.Tensor] = []
    norms = [0.0, 0.0]
    for _, own, other in pair.read(texts.texts, Capture(hidden_layers=(layer,)), _WIDTH):
        states = [each.hidden[layer].double() for each in (own, other)]
        if states[0].shape != states[1].shape:
            raise ModelError(
                f"layer {layer} is {states[0].shape[-1]} wide in the one model and "
                f"{states[1].shape[-1]} in the other; compare models of one architecture"
            )
        if not sums:
            sums = [torch.zeros_like(each) for each in states]
        for at, each in enumerate(states):
            sums[at] += each
            norms[at] += float(each[settings.skipped :].norm(dim=-1).mean())
    base_norm, tuned_norm = (each / len(texts) for each in norms)
    return Difference(
        sums[0] / len(texts),
        sums[1] / len(texts),
        base_norm,
        tuned_norm,
        texts.labels,
        layer,
        pair.rounding * max(base_norm, tuned_norm),
    )


def adl(pair: Pair, texts: Texts, settings: DiffSettings, found: Difference) -> Evidence:
    """The tokens that the difference says at each of the first positions, by probability."""
    shown = range(min(settings.read_positions, len(found.labels)))
    speaking = [at for at in shown if found.speaks(at)]
    candidates = [each for at in speaking for each in _said(pair, found, at, settings.listed)]
    return Evidence(
        "adl",
        tuple(candidates),
        len(shown),
        sum(not found.speaks(at) for at in shown),
        len(texts),
        texts.dropped,
        {
            "layer": found.layer,
            "norms": [found.base_norm, found.tuned_norm],
            "difference_norms": [float(found.delta[at].norm()) for at in shown],
            "lenses": {
                _named(found, at): _lenses(pair, found, at, settings.listed) for at in speaking
            },
        },
    )


def lens(engine: Engine, vectors: torch.Tensor) -> torch.Tensor:
    """[..., V], log-probabilities that vectors [..., H] say through an engine's norm and head."""
    return engine.readout(vectors.float()).cpu().double()


def inverse_lens(engine: Engine, vectors: torch.Tensor) -> torch.Tensor:
    """[..., V], what the head says of the negative of the normed vector: softmax(-logits)."""
    return (-lens(engine, vectors)).log_softmax(-1)


def _named(found: Difference, at: int) -> str:
    return f"position {found.labels[at]}"


def _lenses(pair: Pair, found: Difference, at: int, count: int) -> dict[str, Any]:
    """Of the difference and of both means, by the tuned model: the most probable tokens."""
    vectors = {"difference": found.delta[at], "base": found.base[at], "tuned": found.tuned[at]}
    return {
        name: {
            side: [[int(token), float(value)] for value, token in zip(*top, strict=True)]
            for side, read in (("top", lens), ("inverse", inverse_lens))
            for top in [read(pair.tuned, vector).exp().topk(min(count, pair.words))]
        }
        for name, vector in vectors.items()
    }


def _said(pair: Pair, found: Difference, at: int, count: int) -> list[Candidate]:
    engine = pair.tuned
    said = lens(engine, found.delta[at]).exp()
    others = {
        "inverse": inverse_lens(engine, found.delta[at]).exp(),
        "base": lens(pair.base, found.base[at]).exp(),
        "tuned": lens(engine, found.tuned[at]).exp(),
    }
    top = said.topk(min(count, len(said)))
    words = words_of(pair, top.indices.tolist())
    return [
        Candidate(
            token,
            word,
            weight,
            _named(found, at),
            {name: float(values[token]) for name, values in others.items()},
        )
        for token, word, weight in zip(
            top.indices.tolist(), words, top.values.tolist(), strict=True
        )
    ]
