"""Adapters as PEFT writes them, onto a model of the zoo, of random factors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from harness.interventions.adapter.description import Adapter
from harness.interventions.adapter.lora import described
from harness.models import zoo

BASE = "base"


def base_model(name: str = BASE) -> Any:
    return AutoModelForCausalLM.from_pretrained(zoo.resolve(name), dtype=torch.float32).eval()


def peft_model(seed: int = 0, base: Any = None, **config: Any) -> Any:
    """PEFT's model, whose factors are all other than 0."""
    torch.manual_seed(seed)
    given = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    model = get_peft_model(base or base_model(), LoraConfig(**{**given, **config}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    return model.eval()


def written(folder: Path, seed: int = 0, base: Any = None, **config: Any) -> Path:
    """A folder that PEFT wrote."""
    peft_model(seed, base, **config).save_pretrained(folder)
    return folder


def adapter(folder: Path, scale: float = 1.0) -> Adapter:
    return Adapter(content=described(folder).content, folder=str(folder), scale=scale)
