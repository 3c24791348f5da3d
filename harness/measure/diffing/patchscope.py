"""Patchscopes: what a vector says when it stands in place of a token of a prompt.

The prompt repeats words ("man -> man"), so that the model is about to repeat what stands last; the
vector is written there, at the output of a layer. Predictions are averaged over several prompts,
and a token counts only where it is among the most probable ones behind every one of them.

Source: Ghandeharioun et al. (2024), arXiv:2401.06102; the prompts, scales and cut are those of
science-of-finetuning/diffing-toolkit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch

from harness.engines.contract import Capture, Engine, Reading
from harness.interventions.array import Array
from harness.interventions.hidden_states import HiddenStates, PlaceRows
from harness.interventions.steering_terms import Positions
from harness.measure.diffing.activations import Difference
from harness.measure.diffing.evidence import Candidate, Evidence
from harness.measure.diffing.pair import Pair, words_of
from harness.measure.diffing.section import DiffSettings
from harness.measure.diffing.texts import Texts

_PAIRS = (("man", "1135", "hello"), ("bear", "42", "blue"), ("921", "target", "anna"))
#: Multiples of the typical norm at which a difference is written.
SCALES = (
    *(round(0.5 + 0.1 * step, 1) for step in range(16)),
    *(3.0, 4.0, 5.0, 10.0, 20.0),
    *(40.0, 60.0, 80.0, 100.0, 120.0, 140.0, 160.0, 180.0, 200.0),
)
_KEPT = 16_384
_LISTED = 20
#: Random vectors that a difference is held against, at every scale.
_RANDOM, _SEED = 1, 0


class Placed(HiddenStates):
    """The state of the last prompt token after a layer is another one."""

    kind: Literal["placed"] = "placed"
    layer: int
    vector: Array | None
    positions: Positions = "from_last_prompt_token"

    def neutral(self) -> Self:
        """Nothing is written."""
        return self.model_copy(update={"vector": None})

    def places(self) -> frozenset[tuple[int, Any]]:
        """One."""
        return frozenset({(self.layer, "block")})

    def rows(self, width: int) -> PlaceRows:
        """The vector [H], and that there is one."""
        written = torch.tensor([0.0 if self.vector is None else 1.0])
        vector = torch.zeros(width) if self.vector is None else self.vector.tensor()
        return {(self.layer, "block"): {"vector": vector, "written": written}}

    @staticmethod
    def changed(hidden: torch.Tensor, rows: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The vector, where there is one."""
        return torch.where(rows["written"] > 0, rows["vector"], hidden)


def prompts_of(tokenizer: Any) -> list[tuple[int, ...]]:
    """The prompts in tokens; the last token is the one that is replaced."""
    texts = ["\n".join(f"{word} -> {word}" for word in words) + "\n?" for words in _PAIRS]
    return [tuple(tokenizer(text)["input_ids"]) for text in texts]


def patched(engine: Engine, layer: int, vectors: torch.Tensor) -> torch.Tensor:
    """[N, V], log of the mean probabilities that vectors [N, H] say, over the prompts."""
    prompts = prompts_of(engine.tokenizer)
    readings = [
        Reading(
            prompt,
            Capture(logits=True, positions=(len(prompt) - 1,)),
            Placed(layer=layer, vector=Array(vector)),
            prompt=len(prompt),
        )
        for vector in vectors
        for prompt in prompts
    ]
    read = dict(engine.forward(readings))
    said = []
    for at in range(len(readings)):
        logits = read[at].logits
        assert logits is not None
        said.append(logits[0].double().softmax(-1))
    each = torch.stack(said).reshape(len(vectors), len(prompts), -1)
    return _agreed(each).log()


def _agreed(each: torch.Tensor) -> torch.Tensor:
    """The mean over prompts [N, prompts, V]; 0 of tokens that are not probable behind all."""
    kept = min(_KEPT, each.shape[-1])
    least = each.topk(kept, dim=-1).values[..., -1:]
    return each.mean(1) * (each >= least).all(1)


@dataclass(frozen=True)
class Patched:
    """What a vector says at each scale, and at which of them it is listened to.

    said: tokens with their probabilities, by scale. excess: by scale, how much probability the
    vector moves that random vectors of its norm do not.
    """

    said: Mapping[float, list[tuple[int, float]]]
    excess: Mapping[float, float]

    @property
    def best(self) -> float:
        """The scale at which it says most that random vectors do not; of equal ones the least."""
        return max(self.excess, key=lambda scale: (self.excess[scale], -scale))


def scales_of(
    engine: Engine, vector: torch.Tensor, layer: int, norm: float, scales: Sequence[float] = SCALES
) -> Patched:
    """What a vector [H] says at each scale times the typical norm."""
    random = torch.randn(
        _RANDOM, len(vector), generator=torch.Generator().manual_seed(_SEED), dtype=torch.double
    )
    units = torch.cat([vector.double()[None], random])
    units /= units.norm(dim=-1, keepdim=True)
    written = (units[None] * norm * torch.tensor(scales).double()[:, None, None]).float()
    said = patched(engine, layer, written.flatten(0, 1)).exp()
    said = said.reshape(len(scales), _RANDOM + 1, -1)
    own, others = said[:, 0], said[:, 1:].amax(1)
    excess = (own - others).clamp(min=0).sum(-1)
    top = own.topk(min(_LISTED, own.shape[-1]), dim=-1)
    return Patched(
        {
            scale: [
                (int(token), float(value))
                for token, value in zip(top.indices[row], top.values[row], strict=True)
                if value > 0
            ]
            for row, scale in enumerate(scales)
        },
        {scale: float(excess[row]) for row, scale in enumerate(scales)},
    )


def patchscope(pair: Pair, texts: Texts, settings: DiffSettings, found: Difference) -> Evidence:
    """What the difference says at each of the first positions, at the best of its scales.

    The tuned model reads it where it is a checkpoint; what an intervention has tuned is read by
    the model without it, since a reading has one intervention, which here is the written state.
    """
    norm = found.tuned_norm if pair.tuned is not pair.base else found.base_norm
    candidates: list[Candidate] = []
    shown = range(min(settings.read_positions, len(found.labels)))
    scales: dict[str, Any] = {}
    for at in shown:
        if not found.speaks(at):
            continue
        read = scales_of(pair.tuned, found.delta[at], found.layer, norm)
        group = f"position {found.labels[at]}"
        said = read.said[read.best]
        words = words_of(pair, [token for token, _ in said])
        candidates += [
            Candidate(token, word, value, group)
            for (token, value), word in zip(said, words, strict=True)
        ]
        scales[group] = {
            "best": read.best,
            "scales": [
                {"scale": scale, "excess": read.excess[scale], "tokens": tokens}
                for scale, tokens in read.said.items()
            ],
        }
    return Evidence(
        "patchscope",
        tuple(candidates),
        len(shown),
        sum(not found.speaks(at) for at in shown),
        len(texts),
        texts.dropped,
        {"layer": found.layer, "norm": norm, "scales": scales},
    )
