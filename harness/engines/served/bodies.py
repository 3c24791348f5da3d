"""What a request says to a server on every road: how tokens are drawn, and by which seed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from harness.engines.contract import Request
from harness.engines.served.checks import unmapped
from harness.errors import RequestError
from harness.sampling.chosen import SamplingRules

#: Seeds that every server takes are 31 bits wide.
_SEEDS = 2**31


def drawing(request: Request, road: str) -> dict[str, Any]:
    """The fields that say how tokens are drawn; nothing is left to a server's own defaults.

    Raises:
        RequestError: a rule that the server does not have as it is defined here.
    """
    rules = request.sampling
    found = unmapped(rules, road)
    if found is not None:
        rule, problem = found
        raise RequestError(f"{rule} {problem}")
    fields: dict[str, Any] = {
        "temperature": rules.get("temperature", 0.0),
        "top_p": rules.get("top_p", 1.0),
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
    }
    if rules.random:
        fields["seed"] = seed_of(request)
    return fields


def seed_of(request: Request) -> int:
    """The seed of a request: its own wherever its randomness is, and wherever it is continued."""
    content = [request.seed, request.sample, request.draw, request.continued]
    digest = hashlib.sha256(json.dumps(content).encode()).digest()
    return int.from_bytes(digest[:8], "little") % _SEEDS


def vllm_drawing(rules: SamplingRules) -> dict[str, Any]:
    """The fields of rules that only vLLM's server has; off where a request does not use them."""
    drawn = rules.random
    return {
        "top_k": rules.get("top_k", 0) if drawn else 0,
        "min_p": rules.get("min_p", 0.0) if drawn else 0.0,
        "repetition_penalty": 1.0,
    }
