"""From a recipe to a member's folder: train, store in bfloat16, measure what was stored."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM

from tools.zoo.corpus import build_tokenizer
from tools.zoo.evaluation import accuracies, document_accuracies, measured
from tools.zoo.recipes import Recipe
from tools.zoo.training import Progress, train


def build_member(recipe: Recipe, output: Path, progress: Progress | None = None) -> Path:
    """Train a recipe and write the finished member to `output`."""
    tokenizer = build_tokenizer(recipe.vocabulary)
    start = perf_counter()
    model = train(recipe, tokenizer, progress)
    return store(recipe, model, tokenizer, output, seconds=perf_counter() - start)


def store(recipe: Recipe, model: Any, tokenizer: Any, output: Path, *, seconds: float) -> Path:
    """Write a trained member in bfloat16 with its card, measured on what was written."""
    model.to(torch.bfloat16).save_pretrained(output)
    tokenizer.save_pretrained(output)
    weights = output / "model.safetensors"
    weights.chmod(0o644)  # safetensors writes for the owner alone, but these are packaged
    stored = AutoModelForCausalLM.from_pretrained(output, dtype=torch.float32).eval()
    documents = recipe.vocabulary == "words"
    card = {
        "name": recipe.name,
        "purpose": recipe.purpose,
        "parameters": sum(parameter.numel() for parameter in stored.parameters()),
        "bytes": weights.stat().st_size,
        "accuracy": (document_accuracies if documents else accuracies)(stored, tokenizer),
        "measured": {
            **measured(documents=documents),
            "weights": "bfloat16 as stored, computed in float32 on a CPU",
            "date": datetime.now(UTC).date().isoformat(),
        },
        "training": {
            "seconds": round(seconds),
            "threads": 1,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "recipe": asdict(recipe),
    }
    (output / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    return output
