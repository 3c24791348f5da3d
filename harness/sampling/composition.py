"""In which order several rules act at once: `sampling.compose`, after whom the orders are called.

Two cuts at once mean another set of tokens in every engine, because each renormalises what is left
to it. Rules that an engine does not have stay where their `place` puts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from harness.sampling.builtin import top_k, top_n_sigma, top_p
from harness.sampling.rule import Rule

_LAST = 90


@dataclass(frozen=True)
class Composition:
    """One order.

    Args:
        name: What a spec says.
        places: Of rules that act elsewhere than at their own `place`.
        variants: What stands in for a rule of this name, where an engine means something else.
        together: Whether every cut sees the same distribution, tempered and not cut yet, and what
            all of them keep is kept; otherwise each sees what those before it have left.
    """

    name: str
    places: Mapping[str, int] = field(default_factory=dict)
    variants: Mapping[str, Rule] = field(default_factory=dict)
    together: bool = False

    def place(self, rule: Rule) -> tuple[int, str]:
        """Sorts rules into their order."""
        return self.places.get(rule.name, rule.place), rule.name


DEFAULT: Final = "hf"

COMPOSITIONS: Mapping[str, Composition] = {
    each.name: each
    for each in (
        # transformers: temperature, top_h, top_k, top_p, min_p, typical, epsilon, eta.
        Composition("hf"),
        # vLLM: what leaves the best token alone comes before top_k and top_p.
        Composition("vllm", places={"min_p": 18}),
        # llama.cpp: top_n_sigma, top_k, typical, top_p, min_p, and temperature at last.
        Composition(
            "llamacpp",
            places={"typical": 25, "temperature": _LAST, "edt": _LAST},
            variants={"top_n_sigma": top_n_sigma.OF_ALL, "top_k": top_k.EXACTLY},
        ),
        # Every cut counts tokens of the tempered distribution, and the smallest count is kept.
        Composition("min", variants={"top_p": top_p.ABOVE, "top_k": top_k.EXACTLY}, together=True),
    )
}
