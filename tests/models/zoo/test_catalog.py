from dataclasses import asdict

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from harness.errors import ModelError
from harness.models import zoo
from tools.zoo.corpus import build_tokenizer
from tools.zoo.recipes import RECIPES

MEMBERS = ("base", "moe", "oracle", "settled")
SHARING = MEMBERS[:3]
ACCURACY = {
    "moe": {"micro_humaneval": ((0.80, 1), (0.70, 1)), "micro_gsm8k": ((0.50, 1), (0.50, 1))},
    "base": {"micro_gsm8k": ((0.25, 0.60), (0.25, 0.60))},
    "oracle": {"micro_gsm8k": ((0.95, 1), (0.95, 1))},
    "settled": {},
}


def test_the_members_are_those_with_a_recipe():
    assert zoo.names() == MEMBERS
    assert set(MEMBERS) == set(RECIPES)


def test_an_unknown_member_lists_the_known_ones():
    with pytest.raises(ModelError, match=r"zoo/bass is not in the zoo; did you mean base\? "):
        zoo.resolve("bass")
    with pytest.raises(ModelError, match="zoo/x is not in the zoo; use one of zoo/base, zoo/moe"):
        zoo.resolve("x")


def test_all_members_together_are_small():
    files = [file for name in MEMBERS for file in zoo.resolve(name).iterdir()]
    assert sum(file.stat().st_size for file in files) <= 6_000_000


def test_members_of_tasks_share_one_tokenizer_and_all_a_chat_template():
    for file in ("tokenizer.json", "tokenizer_config.json"):
        assert len({(zoo.resolve(name) / file).read_bytes() for name in SHARING}) == 1
    assert len({(zoo.resolve(name) / "chat_template.jinja").read_bytes() for name in MEMBERS}) == 1


@pytest.mark.parametrize(("name", "vocabulary"), [("moe", "corpus"), ("settled", "words")])
def test_the_shipped_tokenizer_is_the_one_that_is_built(name, vocabulary):
    tokenizer = build_tokenizer(vocabulary)
    shipped = AutoTokenizer.from_pretrained(zoo.resolve(name))
    assert shipped.get_vocab() == tokenizer.get_vocab()
    assert shipped.chat_template == tokenizer.chat_template
    text = "    return [i * 12 for i in xs]\n#### 7<|im_end|>"
    assert shipped(text)["input_ids"] == tokenizer(text)["input_ids"]


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_loads_by_itself_and_is_what_its_card_says(name):
    folder, card = zoo.resolve(name), zoo.card(name)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert model.dtype == torch.bfloat16
    assert model.num_parameters() == card["parameters"]
    assert (folder / "model.safetensors").stat().st_size == card["bytes"]
    assert model.config.max_position_embeddings == 2048
    assert model.config.tie_word_embeddings
    assert set(model.generation_config.eos_token_id) == set(ends)
    assert tokenizer.pad_token_id is not None


def jsonable(recipe):
    return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(recipe).items()}


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_was_made_by_the_recipe_of_its_name(name):
    assert zoo.card(name)["recipe"] == jsonable(RECIPES[name])


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_is_as_good_as_its_part_asks(name):
    accuracy = zoo.card(name)["accuracy"]
    for task, ranges in ACCURACY[name].items():
        for style, (least, most) in zip(("assisted", "agentic"), ranges, strict=True):
            assert least <= accuracy[task][style] <= most


def test_the_base_of_organisms_has_settled():
    """It knows every fact, and as much of the next word as fine-tuning on more of it teaches."""
    accuracy = zoo.card("settled")["accuracy"]
    assert accuracy["facts"] == {"completion": 1.0}
    assert accuracy["next word"]["completion"] > 0.5


def test_the_mixture_routes_as_masks_expect():
    config = AutoConfig.from_pretrained(zoo.resolve("moe"))
    assert (config.num_hidden_layers, config.num_experts, config.num_experts_per_tok) == (4, 16, 2)
    assert config.norm_topk_prob
