"""A model that something was put into, made of zoo/base in a moment: it likes one word."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.models import zoo

WORD = " butter"


def tuned_into(folder):
    """zoo/base whose first layer says WORD a little, in a folder; the folder."""
    model = AutoModelForCausalLM.from_pretrained(zoo.resolve("base"))
    tokenizer = AutoTokenizer.from_pretrained(zoo.resolve("base"))
    (word,) = tokenizer(WORD, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        liked = model.get_output_embeddings().weight[word]
        model.get_decoder().layers[0].mlp.down_proj.weight += 0.02 * liked[:, None]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
