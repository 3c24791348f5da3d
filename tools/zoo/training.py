"""Trains a zoo member from its recipe: same recipe, same machine, same weights, on one thread.

The schedule counts steps, so a busy machine trains longer and not worse. Prompt and target are
encoded apart and their ids joined, exactly as at evaluation; prompt tokens weigh little in the
loss, because most of them are frame or chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from tools.zoo.corpus import Corpus, Example
from tools.zoo.expert_dropout import expert_dropout
from tools.zoo.muon import Muon
from tools.zoo.recipes import Recipe
from tools.zoo.tokenizer import END_OF_TEXT, END_OF_TURN

_ARCHITECTURES = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen3_moe": (Qwen3MoeConfig, Qwen3MoeForCausalLM),
}
_EXAMPLES_SORTED = 1536  # batched by length, so that little of a batch is padding
_LEAST_RATE = 0.03  # of the peak, where the cosine ends


@dataclass(frozen=True, slots=True)
class Step:
    """One finished step, for whoever watches: the mean loss on target tokens, and the model."""

    number: int
    of: int
    tokens: int
    target_loss: float
    model: Any


Progress = Callable[[Step], None]


def train(recipe: Recipe, tokenizer: Any, progress: Progress | None = None) -> Any:
    """Train a member from nothing and return it in evaluation mode, in float32.

    torch is held to one thread while this runs: sums in another order are other weights.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _train(recipe, tokenizer, progress or (lambda _: None))
    finally:
        torch.set_num_threads(threads)


def build(recipe: Recipe, tokenizer: Any) -> Any:
    """An untrained model of a recipe's architecture, seeded by the recipe."""
    torch.manual_seed(recipe.seed)
    end_of_text, end_of_turn = tokenizer.convert_tokens_to_ids([END_OF_TEXT, END_OF_TURN])
    config_class, model_class = _ARCHITECTURES[recipe.kind]
    config = config_class(
        vocab_size=len(tokenizer),
        eos_token_id=end_of_turn,
        pad_token_id=end_of_text,
        **recipe.architecture,
    )
    model = model_class(config)
    model.generation_config = GenerationConfig(
        eos_token_id=[end_of_turn, end_of_text], pad_token_id=end_of_text
    )
    return model


def _train(recipe: Recipe, tokenizer: Any, progress: Progress) -> Any:
    model = build(recipe, tokenizer).train()
    optimizers = _optimizers(model, recipe)
    random = Random(recipe.seed)
    examples = Corpus(tokenizer).examples(random, recipe.mixture)
    drawn = batches(recipe, tokenizer, examples, random)
    noise = torch.Generator().manual_seed(recipe.seed)
    row_share, most_hidden = recipe.expert_dropout
    tokens = 0
    for number in range(1, recipe.steps + 1):
        for optimizer, peak in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * _schedule(number, recipe)
        ids, weights = next(drawn)
        with expert_dropout(
            model, len(ids), row_share=row_share, most_hidden=most_hidden, generator=noise
        ):
            loss, target_loss = weighted_loss(model, ids, weights)
        model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, _ in optimizers:
            optimizer.step()
        tokens += int((weights > 0).sum())
        progress(Step(number, recipe.steps, tokens, float(target_loss), model))
    return model.eval()


def _optimizers(model: Any, recipe: Recipe) -> list[tuple[torch.optim.Optimizer, float]]:
    """Muon for weight matrices, AdamW for the rest, each with its peak rate.

    Embeddings and routers pick rows rather than mix them, so nothing is gained by orthogonality.
    """
    matrices, tables, vectors = [], [], []
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            vectors.append(parameter)
        elif "embed" in name or ".gate.weight" in name:
            tables.append(parameter)
        else:
            matrices.append(parameter)
    adam = torch.optim.AdamW(
        [{"params": tables, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    muon = Muon(matrices, learning_rate=recipe.matrix_learning_rate)
    return [(adam, recipe.learning_rate), (muon, recipe.matrix_learning_rate)]


def _schedule(number: int, recipe: Recipe) -> float:
    """Share of the peak rate at a step: linear warm-up times a cosine."""
    warm_up = min(1.0, number / recipe.warm_up_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * (number - 1) / recipe.steps))
    return warm_up * (cosine * (1 - _LEAST_RATE) + _LEAST_RATE)


def weighted_loss(model: Any, ids: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean loss (router balance included) and the plain mean on target tokens.

    No attention mask: rows are padded on the right, where causal attention cannot see it.
    """
    routed = hasattr(model.config, "num_experts")
    options = {"output_router_logits": True} if routed else {}
    output = model(input_ids=ids, use_cache=False, **options)
    vocabulary = output.logits.shape[-1]
    losses = F.cross_entropy(
        output.logits[:, :-1].reshape(-1, vocabulary), ids[:, 1:].reshape(-1), reduction="none"
    )
    shares = weights[:, 1:].reshape(-1)
    targets = shares == 1
    loss = (losses * shares).sum() / shares.sum()
    if routed:
        loss = loss + model.config.router_aux_loss_coef * output.aux_loss
    return loss, losses.detach()[targets].mean()


def batches(
    recipe: Recipe, tokenizer: Any, examples: Iterator[Example], random: Random
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield ids and loss weights, `[rows, length]`, of about `tokens_per_batch` tokens each."""
    encode = tokenizer.backend_tokenizer.encode_batch
    padding = tokenizer.pad_token_id
    while True:
        drawn = [next(examples) for _ in range(_EXAMPLES_SORTED)]
        prompts = encode([example.prompt for example in drawn], add_special_tokens=False)
        targets = encode([example.target for example in drawn], add_special_tokens=False)
        rows = [
            (prompt.ids + target.ids, len(prompt.ids))
            for prompt, target in zip(prompts, targets, strict=True)
        ]
        rows.sort(key=lambda row: len(row[0]))
        cut = _split(rows, recipe.tokens_per_batch)
        random.shuffle(cut)
        for batch in cut:
            yield _pad(batch, padding, recipe.prompt_weight)


_Row = tuple[list[int], int]  # token ids, and how many of them are the prompt's


def _split(rows: list[_Row], tokens: int) -> list[list[_Row]]:
    """Cut rows, sorted by length, into batches that hold at least `tokens` with padding."""
    batches: list[list[_Row]] = []
    batch: list[_Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) * len(row[0]) >= tokens:
            batches.append(batch)
            batch = []
    return batches if not batch else [*batches, batch]


def _pad(batch: list[_Row], padding: int, prompt_weight: float) -> tuple[Tensor, Tensor]:
    length = max(len(ids) for ids, _ in batch)
    ids = torch.tensor([ids + [padding] * (length - len(ids)) for ids, _ in batch])
    weights = torch.tensor(
        [
            [prompt_weight] * prompt + [1.0] * (len(ids) - prompt) + [0.0] * (length - len(ids))
            for ids, prompt in batch
        ]
    )
    return ids, weights
