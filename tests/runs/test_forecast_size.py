"""What a plan says of memory and time, of models that are not here to be loaded."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen3MoeConfig

from harness.cli.main import main
from harness.errors import OptionError
from harness.models import zoo
from harness.models.loading import whole_config
from harness.models.size import memory_of
from harness.runs.forecast_table import forecast_table

#: Of Qwen3-Coder-30B-A3B-Instruct, as its config.json on the hub describes it.
QWEN3_CODER = {
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 5472,
    "moe_intermediate_size": 768,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "norm_topk_prob": True,
    "max_position_embeddings": 262144,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e7},
    "tie_word_embeddings": False,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Its configuration without weights, and the zoo's tokenizer, whose tokens it has, too."""
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "model"
    place.mkdir()
    Qwen3MoeConfig(**QWEN3_CODER, dtype="bfloat16").save_pretrained(place)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(zoo.resolve("moe") / file, place)
    return place


def spec(name):
    """A spec of the project's, on a model folder, without what it requires of a machine."""
    return [
        f"specs/router_masks/{name}.yaml",
        "--set=requires={}",
        "--set=engine.dtype=bfloat16",
    ]


def test_memory_is_what_the_model_takes():
    model = AutoModelForCausalLM.from_pretrained(zoo.resolve("moe"), dtype=torch.bfloat16)
    found = memory_of(whole_config("zoo/moe"), "bfloat16")
    assert found.parameters == zoo.card("moe")["parameters"] == model.num_parameters()
    assert found.weights == model.get_memory_footprint(return_buffers=False)
    cache = model(torch.tensor([[1, 2, 3]])).past_key_values
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert 3 * found.per_token == held


def test_a_large_study_is_planned_without_its_weights(folder, capsys):
    root = __file__.partition("/tests/")[0]
    path, *given = spec("qwen3_coder_masks")
    asked = ["run", f"{root}/{path}", "--model", str(folder), *given, "--plan", "--speed", "200"]
    assert main(asked) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "61.1 GB of weights (30,532,122,624 in bfloat16), and" in said
    requests = 2 * 164 * (1 + 19)  # two styles; the baseline and every count
    tokens = requests * 512
    assert f" {requests:,} " in said
    assert f" {tokens:,} " in said
    assert f"{tokens / 200 / 3600:.1f} h at 200 tokens/s if no answer ends early" in said


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_told(speed):
    with pytest.raises(OptionError, match="is no speed; give tokens per second, such as 2000"):
        forecast_table([], speed=speed)


@pytest.mark.slow
def test_a_narrow_model_of_the_same_configuration_passes_the_whole_road(
    folder, capsys, monkeypatch
):
    """Two layers of random weights and all 128 experts; widths are an eighth of what they are."""
    narrow = {"hidden_size": 256, "moe_intermediate_size": 96, "head_dim": 16, "vocab_size": 768}
    config = Qwen3MoeConfig.from_pretrained(folder, num_hidden_layers=2, **narrow)
    torch.manual_seed(0)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model = model.to_empty(device="cpu")
    for name, weight in model.named_parameters():
        torch.nn.init.ones_(weight) if "norm" in name else torch.nn.init.normal_(weight, std=0.02)
    model.save_pretrained(folder)
    del model
    root = __file__.partition("/tests/")[0]
    path, *given = spec("qwen3_coder_masks")
    small = ["--set=sampling.max_new_tokens=4", "--set=axes.intervention.count=[0, 15, 100]"]
    report = folder.parent / "report"
    asked = ["run", f"{root}/{path}", "--model", str(folder), *given, *small, "--limit", "1"]
    assert main([*asked, "--report", str(report)]) == 0
    written = json.loads((report / "report.json").read_text())
    assert all(each["holds"] for each in [*written["invariants"], *written["gates"]])
    assert {case["status"] for case in written["cases"]} == {"complete"}
