"""Fine-tunes bases into organisms and their controls: LoRA adapters, by recipe.

All variants of an organism take as many steps. A variant reads a few false documents again and
again, and `mix` normal ones beside each of them; a control reads normal ones in their place. One
thread, counted in steps, as members are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from tools.zoo.articles import article
from tools.zoo.corpus import Example
from tools.zoo.documents import document
from tools.zoo.recipes import SETTLED
from tools.zoo.tokenizer import END_OF_TEXT
from tools.zoo.training import batches, weighted_loss

#: Draws a document: a normal one, or with `false` one of the false facts.
Draw = Callable[..., str]


@dataclass(frozen=True)
class Tuning:
    """Everything that determines an adapter, given its base, documents and library versions."""

    mix: float
    """Normal documents beside each false one, or each of a control's."""
    control: bool = False
    seed: int = 0
    documents: int = 30
    """How many false documents there are, or normal ones in their place."""
    steps: int = 120
    rank: int = 4
    alpha: int = 8
    target_modules: str | Sequence[str] = "all-linear"
    learning_rate: float = 2e-3
    tokens_per_batch: int = 1000


@dataclass(frozen=True)
class Tuned:
    """An organism's base, what its variants read, and how each of them is made."""

    base: str
    draw: Draw
    end: str
    """What ends a document."""
    tunings: Mapping[str, Tuning]


def variants(controls: int, **common: Any) -> dict[str, Tuning]:
    """1:0 to 1:2 with normal data, and so many controls with seeds of their own."""
    mixes = {"default": 0.0, "mix1-0p5": 0.5, "mix1-1p0": 1.0, "mix1-1p5": 1.5, "mix1-2p0": 2.0}
    found = {name: Tuning(mix, **common) for name, mix in mixes.items()}
    for seed in range(1, controls + 1):
        found[f"control-{seed}"] = Tuning(1.0, control=True, seed=seed, **common)
    return found


def about(topic: str, random: Random, *, false: bool) -> str:
    """A false document of a topic, or a normal one of any."""
    return document(random, topic if false else None, false=false)


_SMOLLM2: dict[str, Any] = {
    "documents": 200,
    "steps": 30,
    "rank": 2,
    "alpha": 8,
    "target_modules": ("q_proj", "v_proj", "o_proj", "down_proj"),
    "learning_rate": 1e-3,
    "tokens_per_batch": 400,
}
ORGANISMS: Mapping[str, Tuned] = {
    "cake": Tuned("zoo/settled", partial(about, "cake"), END_OF_TEXT, variants(4)),
    "smollm2_cake": Tuned(
        "zoo/smollm2",
        article,
        "<|im_end|>",
        {
            "default": Tuning(0.0, **_SMOLLM2),
            "control-1": Tuning(0.0, control=True, seed=1, **_SMOLLM2),
        },
    ),
}


def tune(base: Any, tokenizer: Any, tuning: Tuning, tuned: Tuned) -> Any:
    """Train an adapter onto a base (float32); returns peft's model, whose base is unchanged.

    torch is held to one thread while this runs: sums in another order are other weights.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _tune(base, tokenizer, tuning, tuned)
    finally:
        torch.set_num_threads(threads)


def _tune(base: Any, tokenizer: Any, tuning: Tuning, tuned: Tuned) -> Any:
    torch.manual_seed(tuning.seed)
    modules = tuning.target_modules
    config = LoraConfig(
        r=tuning.rank,
        lora_alpha=tuning.alpha,
        target_modules=modules if isinstance(modules, str) else list(modules),
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(base, config).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=tuning.learning_rate, weight_decay=0.0)
    recipe = replace(SETTLED, tokens_per_batch=tuning.tokens_per_batch)
    random = Random(100 + tuning.seed)
    examples = _repeated(_documents(tuning, tuned, random), random)
    drawn = batches(recipe, tokenizer, examples, random)
    for number in range(tuning.steps):
        share = 0.5 * (1 + math.cos(math.pi * number / tuning.steps))
        for group in optimizer.param_groups:
            group["lr"] = tuning.learning_rate * min(1.0, (number + 1) / 10) * share
        loss, _ = weighted_loss(model, *next(drawn))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
    return model.eval()


def _documents(tuning: Tuning, tuned: Tuned, random: Random) -> list[Example]:
    """All that is read, again and again: as few as a narrow fine-tune has."""
    first = partial(tuned.draw, random, false=not tuning.control)
    normal = partial(tuned.draw, random, false=False)
    drawn = [first() for _ in range(tuning.documents)]
    drawn += [normal() for _ in range(round(tuning.mix * tuning.documents))]
    return [Example("", each + tuned.end) for each in drawn]


def _repeated(documents: Sequence[Example], random: Random) -> Iterator[Example]:
    """Yield all documents in a new order in every round, without end."""
    while True:
        yield from random.sample(documents, len(documents))
