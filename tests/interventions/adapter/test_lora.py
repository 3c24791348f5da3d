from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.errors import FieldError
from harness.interventions.adapter.lora import described, factors
from tests.adapters import adapter, peft_model, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written(tmp_path_factory.mktemp("lora") / "own")


@pytest.fixture
def copy(folder, tmp_path):
    """The folder with another configuration, or other tensors."""

    def change(config=None, tensors=None):
        for file in ("adapter_config.json", "adapter_model.safetensors"):
            (tmp_path / file).write_bytes((folder / file).read_bytes())
        if config is not None:
            document = json.loads((tmp_path / "adapter_config.json").read_text())
            (tmp_path / "adapter_config.json").write_text(json.dumps({**document, **config}))
        if tensors is not None:
            place = tmp_path / "adapter_model.safetensors"
            save_file(tensors(load_file(place)), place)
        return tmp_path

    return change


def test_factors_are_the_deltas_of_peft(folder):
    own = adapter(folder)
    model = peft_model()
    found = own.factors()
    assert set(found) == set(own.modules())
    for name, each in found.items():
        delta = model.get_submodule(f"base_model.model.{name}").get_delta_weight("default")
        assert torch.allclose(each.b @ each.a, delta, atol=1e-6)


def test_equal_numbers_are_one_adapter_wherever_they_lie(folder, copy):
    same = copy()
    assert adapter(folder) == adapter(same)
    assert adapter(folder).fingerprint() == adapter(same).fingerprint()
    assert adapter(folder, 0.5) != adapter(folder, 1.0)
    assert adapter(folder, 0.5).neutral() == adapter(same, -0.0)
    assert adapter(folder, 0.0).is_neutral


def test_another_alpha_is_another_adapter(folder, copy):
    assert adapter(copy({"lora_alpha": 16})) != adapter(folder)


def test_a_file_that_was_written_anew_is_told(copy):
    place = copy()
    before = described(place).content
    copy({"lora_alpha": 16})
    with pytest.raises(FieldError, match="was written anew since its adapter was described"):
        factors(str(place), before)


def without(part):
    return lambda held: {name: each for name, each in held.items() if part not in name}


def shortened(held):
    name = min(name for name in held if "lora_A" in name)
    return {**held, name: held[name][:2].clone()}


def renamed(held):
    name = min(held)
    held["base_model.model.lm_head.weight"] = held.pop(name)
    return held


@pytest.mark.parametrize(
    ("config", "tensors", "words"),
    [
        ({"peft_type": "IA3"}, None, "is an adapter of type IA3; only LORA is applied"),
        ({"use_dora": True}, None, "has use_dora: true, which is not applied; train it without"),
        ({"bias": "all"}, None, 'has bias: "all", which is not applied'),
        ({"modules_to_save": ["lm_head"]}, None, r'has modules_to_save: \["lm_head"\], which'),
        ({"init_lora_weights": "pissa"}, None, "began as pissa, which changes the base's own wei"),
        ({"r": 3}, None, "has rank 4 in adapter_model.safetensors, but adapter_config.json says 3"),
        ({"lora_alpha": None}, None, "says lora_alpha None; write a number"),
        (None, without("lora_B"), "holds no lora_B of model.layers.0.mlp.down_proj; save it ag"),
        (None, shortened, r"lora_A of shape \[2, .*whose ranks differ; save it again"),
        (None, renamed, "holds base_model.model.lm_head.weight, which is no factor of a linear"),
        (None, lambda _held: {}, "holds no factors; save a trained adapter"),
    ],
)
def test_what_is_no_plain_lora_is_refused_in_one_line(copy, config, tensors, words):
    with pytest.raises(FieldError, match=words) as error:
        described(copy(config, tensors))
    assert "\n" not in str(error.value)


def test_files_that_are_missing_or_broken_are_told(tmp_path, copy):
    with pytest.raises(FieldError, match=r"holds no adapter_config.json; give a folder that PEFT"):
        described(tmp_path)
    place = copy()
    (place / "adapter_model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(FieldError, match=r"adapter_model.safetensors cannot be read"):
        described(place)
    (place / "adapter_model.safetensors").rename(place / "adapter_model.bin")
    with pytest.raises(FieldError, match=r"its adapter_model.bin is a pickle, which is never read"):
        described(place)
    (place / "adapter_config.json").write_text("[1]")
    (place / "adapter_model.bin").rename(place / "adapter_model.safetensors")
    with pytest.raises(FieldError, match="cannot be read: it is not a JSON object"):
        described(place)
