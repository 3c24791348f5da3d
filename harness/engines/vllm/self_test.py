"""A self-test after every start: the untouched model must be the one that the checkpoint says.

vLLM has code of its own for every architecture, and what that code leaves out changes numbers in
silence, the baseline's too (`ignored.py`, `worker/conformity.py` know some of it). So the engine
reads `TOKENS` random tokens, and their log-probabilities are held against

- transformers' own, in float32 on the CPU, where the checkpoint's weights take at most `LARGEST`
  bytes and a quarter of the free memory holds them twice over: seconds at most;
- else what an engine of the same fingerprint answered at its first start on this machine, which is
  kept in the user's cache folder.

Compared is the mean distance, in nats, because a token whose experts all but tie may be routed
otherwise by rounding alone. In float32 at most `FLOAT32` is rounding: the zoo and tiny models of
twelve architectures stay below 1e-5. In half types rounding is a matter of the model: as much is
allowed as `HALF` times the distance at which transformers itself is, in this type, from its own
float32, and `HALF_FLOOR` at least, for sums in another order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil
import torch

from harness.engines.vllm.facts import ModelFacts
from harness.engines.vllm.start import first_line
from harness.errors import ModelError
from harness.files.atomic import write_file
from harness.models.loading import load

TOKENS = 64
LARGEST = 2**30
FLOAT32 = 1e-4
HALF = 4.0
HALF_FLOOR = 0.02
_WEIGHTS = {".safetensors", ".bin"}
# Of the free memory, for the weights in float32 and once more in a half type.
_MEMORY_SHARE = 0.25

Read = Callable[[tuple[int, ...]], torch.Tensor]
"""The engine's log-probabilities [n] of each of n tokens given those before it."""


def check_untouched(facts: ModelFacts, read: Read, fingerprint: str, dtype: str, most: int) -> None:
    """Raise `ModelError` where an engine that has just started serves another model.

    Args:
        facts: The model.
        read: Reads tokens with the engine.
        fingerprint: The engine's.
        dtype: The type that the engine computes in, by torch's name.
        most: Tokens that a reading may have.
    """
    generator = torch.Generator().manual_seed(0)
    count = min(TOKENS, most)
    tokens = tuple(torch.randint(facts.vocabulary, (count,), generator=generator).tolist())
    try:
        own = read(tokens)[1:].tolist()
    except ModelError:
        raise
    except Exception as error:  # whatever a model's code or a kernel finds wrong when it runs
        raise ModelError(
            f"model {facts.reference!r} was started in vLLM and cannot run there: "
            f"{first_line(error)}; use engine.name: transformers"
        ) from error
    reference = _reference(facts, tokens, dtype)
    if reference is None:
        _check_recorded(facts, own, fingerprint, dtype)
        return
    expected, rounding = reference
    allowed = FLOAT32 if dtype == "float32" else max(HALF * rounding, HALF_FLOOR)
    distance = _distance(own, expected)
    if not distance <= allowed:
        raise ModelError(
            f"vLLM serves another model than {facts.reference!r}: the log-probabilities of "
            f"{len(own)} tokens are {distance:.2g} nats from transformers' on average, and "
            f"{allowed:.2g} at most is rounding; use engine.name: transformers"
        )


def _reference(
    facts: ModelFacts, tokens: tuple[int, ...], dtype: str
) -> tuple[list[float], float] | None:
    """Log-probabilities by transformers in float32, and how far those in `dtype` are from them.

    None for a model that is too large, or that transformers cannot load here.
    """
    size = sum(file.stat().st_size for file in facts.folder.iterdir() if file.suffix in _WEIGHTS)
    # Weights of 16 bits are twice as large in float32.
    if size > LARGEST or 3 * size > _MEMORY_SHARE * psutil.virtual_memory().available:
        return None
    try:
        return _computed(facts.reference, facts.content_hash, tokens, dtype)
    except ModelError:
        return None


@cache
def _computed(
    reference: str,
    _content: str,  # another content under the same name is computed again
    tokens: tuple[int, ...],
    dtype: str,
) -> tuple[list[float], float]:
    model = load(reference, dtype="float32", device="cpu").model
    # The kernel that is written out in a model's own file: others drop what they have no word for,
    # as torch's scaled_dot_product_attention drops the soft cap of Gemma 2.
    model.set_attn_implementation("eager")
    expected = _scores(model, tokens)
    if dtype == "float32":
        return expected, 0.0
    return expected, _distance(_scores(model.to(getattr(torch, dtype)), tokens), expected)


@torch.inference_mode()
def _scores(model: torch.nn.Module, tokens: tuple[int, ...]) -> list[float]:
    ids = torch.tensor([tokens])
    logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    scores = logits[0, :-1].float().log_softmax(dim=-1).gather(1, ids[0, 1:, None])
    found: list[float] = scores[:, 0].tolist()
    return found


def _check_recorded(facts: ModelFacts, own: list[float], fingerprint: str, dtype: str) -> None:
    """Compare with what the first start of such an engine recorded; the first one records."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(base, "titrate", "self-tests", f"{fingerprint}.json")
    try:
        recorded = json.loads(place.read_text("utf-8"))["log_probabilities"]
    except (OSError, ValueError, KeyError, TypeError):
        with suppress(OSError):  # without a writable cache there is nothing to compare with
            write_file(place, json.dumps({"model": facts.reference, "log_probabilities": own}))
        return
    distance = _distance(own, recorded) if len(own) == len(recorded) else float("nan")
    allowed = FLOAT32 if dtype == "float32" else HALF_FLOOR
    if not distance <= allowed:
        raise ModelError(
            f"vLLM does not serve {facts.reference!r} as at its first start here: the "
            f"log-probabilities of {len(own)} tokens are {distance:.2g} nats from those of {place} "
            f"on average, and {allowed:.2g} at most is rounding; delete that file if this is meant"
        )


def _distance(own: Sequence[float], other: Sequence[float]) -> float:
    """Mean distance of log-probabilities; two that are not finite are the same."""
    pair = torch.tensor([own, other], dtype=torch.float64)
    broken = ~pair.isfinite()
    distance = (pair[0] - pair[1]).abs().masked_fill(broken.all(dim=0), 0.0)
    return float(distance.mean())
