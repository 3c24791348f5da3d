"""Whether a model can run in rows of unequal lengths: found out on a few tokens before any request.

The engine tells a model each token's position and which keys it may see. An architecture that takes
its positions or its masks from elsewhere (ALiBi, positions counted from the cache, recurrent
states) would compute something else, and mostly without a word. So two rows are read and
continued together, and compared with what the model alone makes of each, by attention that is
written out: other kernels may leave out what a configuration says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary

import torch

from harness.engines.transformers.attention import eager_attention, grouped_attention
from harness.engines.transformers.cache_sizes import CacheSize
from harness.engines.transformers.experts import experts_as
from harness.engines.transformers.last_layer import able as cut_able
from harness.engines.transformers.last_layer import last_layer_cut
from harness.engines.transformers.passes import Alike, Passes, Work, padded
from harness.engines.transformers.products import packed_products
from harness.engines.transformers.shared_layers import able
from harness.engines.transformers.stage import Stage
from harness.errors import ModelError
from harness.models.loading import LoadedModel

#: Rows of tokens, in eighths of the vocabulary; the last of each is read in a second pass, from the
#: cache. The first tokens of a vocabulary are control tokens, which a model never saw in a row: on
#: them one of 135 million parameters is off by 60 % in bfloat16, on words by 5 %.
_EIGHTHS = ([1, 2, 3, 4, 5, 6, 7], [3, 1, 2])
#: Largest relative error of logits. In half types rows of another shape differ by a few per cent,
#: and a router may choose otherwise: there only what is wholly wrong is told from rounding.
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-6}
_TOLERANCE_OF_HALF = 0.5
#: Found by comparing every architecture of transformers with its own `generate` beyond its window.
#: GPT-Neo's local layers count their window from the cache's last column, whichever row it is of.
_OTHERWISE = {"moshi", "gpt_neo"}
_RECURRENT = {"linear_attention", "mamba", "recurrent", "conv"}


#: Models that passed, and under which policies: an engine on the same model need not try again.
_passed: WeakKeyDictionary[Any, set[bool]] = WeakKeyDictionary()


def check_model(loaded: LoadedModel, *, strict: bool) -> None:
    """Raise `ModelError`, in one line, for a model that this engine would run wrongly."""
    passed = _passed.setdefault(loaded.model, set())
    if strict not in passed:
        _check(loaded, strict=strict)
        passed.add(strict)


def _check(loaded: LoadedModel, *, strict: bool) -> None:
    model, name = loaded.model, f"{loaded.reference} ({type(loaded.model).__name__})"
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or ())
    if kinds & _RECURRENT or getattr(model, "_is_stateful", False):
        raise ModelError(
            f"{name} keeps a recurrent state, which a slot cache cannot hold; use a model with "
            "attention layers only"
        )
    if model.config.is_encoder_decoder or not _takes_positions(model):
        raise ModelError(
            f"{name} takes no positions (it counts them itself, or uses ALiBi), so that rows of "
            "unequal lengths cannot share its cache; use a model with rotary or learned positions"
        )
    if model.config.model_type in _OTHERWISE:
        raise ModelError(
            f"{name} departs in long sequences from what its configuration says of its masks; use "
            "another model"
        )
    error = _error(loaded, name, strict=strict)
    if error > _TOLERANCE.get(model.dtype, _TOLERANCE_OF_HALF):
        raise ModelError(
            f"{name} computes a row of a batch otherwise than the row alone (its logits differ by "
            f"{error:.1%}); its positions, masks or cache are not those that this engine can set"
        )


def _takes_positions(model: Any) -> bool:
    """Whether a model is told its positions; Falcon is, and does not use them with ALiBi."""
    alibi = bool(getattr(model.config.get_text_config(), "alibi", False))
    return "position_ids" in signature(model.forward).parameters and not alibi


@torch.inference_mode()
def _error(loaded: LoadedModel, name: str, *, strict: bool) -> float:
    """How far the two rows' last logits are from those of each alone, relatively.

    Rows that are not finite are left out: whatever they are, a run reports it.
    """
    vocabulary = int(loaded.model.get_input_embeddings().num_embeddings)
    rows = [[eighths * vocabulary // 8 for eighths in row] for row in _EIGHTHS]
    with _told(f"{name} cannot be run"), eager_attention(loaded.model):
        alone = [_alone(loaded, row) for row in rows]
    with (
        _told(f"{name} cannot be run in rows of unequal lengths"),
        grouped_attention(loaded.model),
        experts_as(loaded.model, strict=strict),
        packed_products(loaded.model),
    ):
        together = _together(loaded, rows)
        if not strict and _widens(loaded, rows[0], alone[0]):
            able.add(loaded.model)
        if not strict and _cuts(loaded, rows[0], alone[0]):
            cut_able.add(loaded.model)
    errors = [
        float((ours - own).norm() / (own - own.mean()).norm())
        for own, ours in zip(alone, together, strict=True)
    ]
    return max(filter(math.isfinite, errors), default=0.0)


def _alone(loaded: LoadedModel, row: list[int]) -> torch.Tensor:
    """The logits [V] after a row, as the model itself computes them."""
    tokens = torch.tensor([row], device=loaded.device)
    logits: torch.Tensor = loaded.model(tokens, use_cache=False).logits[0, -1]
    return logits.float()


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say in one line what a model's own code raises."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        why = " ".join(str(error).split())[:120]
        raise ModelError(f"{what}: {type(error).__name__}: {why}") from error


def _together(loaded: LoadedModel, rows: list[list[int]]) -> torch.Tensor:
    """The logits [rows, V] after both rows, their last tokens read from a cache."""
    stage = Stage(loaded.model, CacheSize(len(rows), 0, max(map(len, rows))))
    passes = Passes(loaded, stage, Work(), strict=False)
    starts = [len(row) - 1 for row in rows]
    first = [row[:-1] for row in rows]
    passes.forward(*padded(first, [0, 0], max(starts), align_ends=True), 0, None, last_only=True)
    last = padded([row[-1:] for row in rows], starts, 1, align_ends=False)
    return passes.forward(*last, 0, stage.cache.capacity, last_only=True)[:, -1]


def _widens(loaded: LoadedModel, row: list[int], alone: torch.Tensor) -> bool:
    """Whether the second half of a model's layers takes more rows than the first."""
    stage = Stage(loaded.model, CacheSize(2, 0, len(row)))
    passes = Passes(loaded, stage, Work(), strict=False)
    alike = Alike(rows=2, layers=passes.layers // 2)
    start = len(row) - 1
    first = padded([row[:start]], [0], start, align_ends=True)
    last = padded([row[start:]] * 2, [start] * 2, 1, align_ends=False)
    try:
        passes.forward(*first, 0, None, last_only=True, alike=alike)
        logits = passes.forward(*last, 0, stage.cache.capacity, last_only=True)[:, -1]
    except Exception:  # whatever a model's own code raises, it does not take it
        return False
    return _as_alone(loaded, logits, alone)


def _cuts(loaded: LoadedModel, row: list[int], alone: torch.Tensor) -> bool:
    """Whether a model's last layer takes fewer tokens than the others."""
    stage = Stage(loaded.model, CacheSize(2, 0, len(row)))
    passes = Passes(loaded, stage, Work(), strict=False)
    read = padded([row] * 2, [0, 0], len(row), align_ends=True)
    try:
        with last_layer_cut(loaded.model, 2):
            logits = passes.forward(*read, 0, None, last_only=True)[:, -1]
    except Exception:  # as above
        return False
    return _as_alone(loaded, logits, alone)


def _as_alone(loaded: LoadedModel, logits: torch.Tensor, alone: torch.Tensor) -> bool:
    """Whether logits [R, V] are those of a row alone."""
    errors: list[float] = ((logits - alone).norm(dim=-1) / (alone - alone.mean()).norm()).tolist()
    return max(errors) <= _TOLERANCE.get(loaded.model.dtype, _TOLERANCE_OF_HALF)
