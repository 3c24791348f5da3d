"""Reads models on given tokens inside vLLM: one request per sequence, which generates one token.

Nothing is taken from the prefix cache, so that every position is computed, and what is to be kept
is copied out of the passes in which it is. Log-probabilities are vLLM's own of the prompt's tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.engines.contract import Activations, Capture, Reading
from harness.engines.declared import Declared
from harness.engines.vllm.conditions import Lease
from harness.engines.vllm.worker.scheduled import KEY
from harness.errors import RequestError


def needed(readings: Sequence[Reading]) -> Declared:
    """What the workers must have for these readings, interventions included."""
    declared = Declared.of(reading.intervention for reading in readings)
    for reading in readings:
        capture = reading.capture
        places = frozenset((layer, capture.hidden_site) for layer in capture.hidden_layers)
        declared |= Declared(router_logits=capture.router_logits, read=places)
    return declared


def check(position: int, reading: Reading, longest: int, layers: int, vocabulary: int) -> None:
    """Raise RequestError for a reading that cannot be."""
    capture = reading.capture
    if not 0 < len(reading.tokens) < longest:
        raise RequestError(
            f"reading {position} has {len(reading.tokens)} tokens; vllm reads 1 to {longest - 1}"
        )
    outside = next((token for token in reading.tokens if not 0 <= token < vocabulary), None)
    if outside is not None:
        raise RequestError(f"reading {position}: token id {outside} is outside 0..{vocabulary - 1}")
    last = len(reading.tokens) - 1
    beyond = next((at for at in capture.positions or () if not 0 <= at <= last), None)
    if beyond is not None:
        raise RequestError(f"reading {position}: position {beyond} is outside 0..{last}")
    if capture.attention_layers:
        raise RequestError(
            "vllm's kernels do not give attention weights away; use engine.name: transformers"
        )
    if capture.logits:
        raise RequestError("vllm does not give logits away; use engine.name: transformers")
    wrong = next((layer for layer in capture.hidden_layers if not 0 <= layer < layers), None)
    if wrong is not None:
        raise RequestError(f"layer {wrong} does not exist; the model has 0..{layers - 1}")


def _asked(capture: Capture) -> int | None:
    """How many log-probabilities vLLM is asked for at each position; None for none."""
    if capture.top_log_probabilities or capture.token_log_probabilities:
        return capture.top_log_probabilities
    return None


def captures(capture: Capture) -> bool:
    """Whether anything is read inside the model."""
    return capture.router_logits or bool(capture.hidden_layers)


def parameters(reading: Reading, lease: Lease) -> Any:
    """The `SamplingParams` of a reading: one token, and nothing from the prefix cache."""
    from vllm import SamplingParams

    scores = _asked(reading.capture)
    return SamplingParams(
        temperature=0.0,
        max_tokens=1,
        ignore_eos=True,
        detokenize=False,
        prompt_logprobs=scores,
        logprobs=scores,
        skip_reading_prefix_cache=True,
        extra_args={KEY: lease.payload} if lease.payload else None,
    )


def activations(reading: Reading, output: Any, read: Mapping[str, torch.Tensor]) -> Activations:
    """What was captured, at the positions asked for.

    `output` is vLLM's of the request, and `read` what its workers kept: {name: [S, width]}.
    """
    capture, length = reading.capture, len(reading.tokens)
    positions = range(length) if capture.positions is None else capture.positions
    at = torch.tensor(positions, dtype=torch.int64)
    routers = scores = tokens = tops = None
    if capture.router_logits:
        names = sorted(
            (n for n in read if n.startswith("router ")), key=lambda n: int(n.split()[1])
        )
        routers = torch.stack([read[name][:length][at] for name in names])
    if _asked(capture) is not None:
        # Position p of vLLM's list is of the token at p, given those before it; the generated
        # token's entry is of what follows the last one.
        entries = [*output.prompt_logprobs, *output.outputs[0].logprobs]
        if capture.token_log_probabilities:
            own = [0.0] + [
                entries[place][token].logprob
                for place, token in enumerate(reading.tokens[1:], start=1)
            ]
            scores = torch.tensor(own)[at]
        if capture.top_log_probabilities:
            best = [
                _best(entries[place + 1], capture.top_log_probabilities) for place in at.tolist()
            ]
            shape = len(best), capture.top_log_probabilities
            tokens = torch.tensor([[token for token, _ in row] for row in best]).view(shape)
            tops = torch.tensor([[score for _, score in row] for row in best]).view(shape)
    return Activations(
        router_logits=routers,
        hidden={
            layer: read[f"hidden {layer} {capture.hidden_site}"][:length][at]
            for layer in capture.hidden_layers
        },
        token_log_probabilities=scores,
        top_tokens=tokens,
        top_log_probabilities=tops,
    )


def _best(entry: Mapping[int, Any], count: int) -> list[tuple[int, float]]:
    """The `count` most probable tokens of one position, best first."""
    ranked = sorted(entry.items(), key=lambda pair: pair[1].rank)
    return [(token, found.logprob) for token, found in ranked[:count]]
