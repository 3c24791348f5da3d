import json
from dataclasses import replace

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tools.zoo import building
from tools.zoo.recipes import BASE


def test_a_member_is_a_folder_that_loads_by_itself_with_a_card(tmp_path, monkeypatch):
    measured = {"micro_gsm8k": {"assisted": 0.5}}
    monkeypatch.setattr(building, "accuracies", lambda model, tokenizer: measured)
    recipe = replace(BASE, steps=1, tokens_per_batch=300)
    seen = []
    folder = building.build_member(recipe, tmp_path / "base", seen.append)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    card = json.loads((folder / "card.json").read_text())
    assert len(seen) == 1
    assert model.dtype == torch.bfloat16
    assert tokenizer.chat_template
    assert card["accuracy"] == measured
    assert card["parameters"] == model.num_parameters()
    assert card["bytes"] == (folder / "model.safetensors").stat().st_size
    assert card["recipe"]["steps"] == 1
