"""What was measured of one pair, as files: written whole, read back, so that a measurement resumes.

statistics/KEY.safetensors     numbers by layer and position, routing; always
hidden_states/KEY.safetensors  `agentic` and `assisted`, if they were asked for
hidden_states/KEY.json         what these tensors are: tokens, positions, mode, shapes
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from harness.files.atomic import replace_file
from harness.measure.usage_maps import SampleUsage
from harness.tasks.pairs.pair import VARIANTS, Variant

HiddenMode = Literal["none", "full", "canonical", "pooled"]


@dataclass(frozen=True)
class SampleForward:
    """What forward passes over one pair say. L layers that were read, P positions of the answer.

    nll: [L, P] by variant, the negative log-probability in nats of each answer token, read from
    the position before it after each layer; own_nll: [P], the model's own cross-entropy.
    divergence: [L, P], Jensen-Shannon between what the two variants predict, in nats; [0, P] where
    one was read. usage: how they route; None for one variant, and for a model without routers.
    """

    key: str
    sample: str
    nll: Mapping[Variant, torch.Tensor]
    own_nll: Mapping[Variant, torch.Tensor]
    divergence: torch.Tensor
    usage: SampleUsage | None


@dataclass(frozen=True)
class SampleFiles:
    """The files of one measurement's samples, in one folder."""

    folder: Path
    hidden: HiddenMode

    def read(self, key: str) -> SampleForward | None:
        """A sample that was measured before; None when it was not, or not completely."""
        if self.hidden != "none" and not self._hidden(key).exists():
            return None
        try:
            with safe_open(self._statistics(key), framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                sample = file.metadata()["sample"]
            return _from_tensors(key, sample, tensors)
        except (OSError, SafetensorError, KeyError):
            return None

    def write(self, measured: SampleForward) -> None:
        """Keep a sample's numbers; its hidden states must have been written before."""
        with replace_file(self._statistics(measured.key)) as part:
            save_file(_to_tensors(measured), part, metadata={"sample": measured.sample})

    def write_hidden(
        self, key: str, states: Mapping[Variant, torch.Tensor], about: Mapping[str, Any]
    ) -> None:
        """Keep a sample's hidden states, and what they are, in JSON beside and inside the file."""
        document = {
            "key": key,
            "save_mode": self.hidden,
            "shapes": {variant: list(tensor.shape) for variant, tensor in states.items()},
            **about,
        }
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        tensors = {str(variant): tensor.contiguous() for variant, tensor in states.items()}
        with replace_file(self._hidden(key).with_suffix(".json")) as part:
            part.write_text(text, encoding="utf-8")
        with replace_file(self._hidden(key)) as part:
            save_file(tensors, part, metadata={"document": text})

    def _statistics(self, key: str) -> Path:
        return self.folder / "statistics" / f"{key}.safetensors"

    def _hidden(self, key: str) -> Path:
        return self.folder / "hidden_states" / f"{key}.safetensors"


def _to_tensors(measured: SampleForward) -> dict[str, torch.Tensor]:
    tensors = {"divergence": measured.divergence}
    for variant in measured.nll:
        tensors[f"nll.{variant}"] = measured.nll[variant]
        tensors[f"own_nll.{variant}"] = measured.own_nll[variant]
    usage = measured.usage
    if usage is not None:
        tensors["usage.positions"] = torch.tensor(usage.positions)
        tensors["usage.total_variation"] = usage.total_variation
        tensors["usage.jaccard"] = usage.jaccard
        tensors["usage.intersection"] = usage.intersection
        for variant in VARIANTS:
            tensors[f"usage.total.{variant}"] = usage.total[variant]
            tensors[f"usage.last.{variant}"] = usage.last[variant]
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _from_tensors(key: str, sample: str, tensors: Mapping[str, torch.Tensor]) -> SampleForward:
    variants = [variant for variant in VARIANTS if f"nll.{variant}" in tensors]
    usage = None
    if "usage.positions" in tensors:
        usage = SampleUsage(
            positions=int(tensors["usage.positions"]),
            total={variant: tensors[f"usage.total.{variant}"] for variant in VARIANTS},
            last={variant: tensors[f"usage.last.{variant}"] for variant in VARIANTS},
            total_variation=tensors["usage.total_variation"],
            jaccard=tensors["usage.jaccard"],
            intersection=tensors["usage.intersection"],
        )
    return SampleForward(
        key,
        sample,
        nll={variant: tensors[f"nll.{variant}"] for variant in variants},
        own_nll={variant: tensors[f"own_nll.{variant}"] for variant in variants},
        divergence=tensors["divergence"],
        usage=usage,
    )
