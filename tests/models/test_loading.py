"""Models from references: folders, the hash of their content, devices, and what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging

from harness.engines.contract import Request
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import ModelError
from harness.interventions.router_mask.description import RouterMask
from harness.models import zoo
from harness.models.loading import load, load_config, load_tokenizer, pick_device
from harness.models.reference import is_local, locate
from harness.models.routers import has_routers, router_shape
from harness.models.sites import hidden_shape
from harness.models.size import weights_per_token


@pytest.fixture
def checkpoint(tmp_path):
    """A copy of zoo/moe that a test may spoil."""
    folder = tmp_path / "moe"
    shutil.copytree(zoo.resolve("moe"), folder)
    return folder


def edit(file, **values):
    """Set keys of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


# References ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["zoo/moe", "./x", "../x", "/x", "~/x"])
def test_a_zoo_member_and_a_path_are_local(reference):
    assert is_local(reference)


def test_a_hub_id_is_not_local_and_stays_as_it_is():
    assert not is_local("Qwen/Qwen3-30B-A3B")
    assert locate("Qwen/Qwen3-30B-A3B") == "Qwen/Qwen3-30B-A3B"


def test_loading_draws_no_bars_and_leaves_those_of_others_alone(capfd):
    def theirs(bar, args, options):
        return bar(*args, **options)

    before = logging.set_tqdm_hook(theirs)
    try:
        load("zoo/base")
    finally:
        assert logging.set_tqdm_hook(before) is theirs
    assert capfd.readouterr().err == ""


def test_what_transformers_warns_of_when_it_loads_comes_through(checkpoint, caplog):
    weights = load_file(checkpoint / "model.safetensors")
    save_file(
        {**weights, "stray.weight": torch.zeros(1)},
        checkpoint / "model.safetensors",
        metadata={"format": "pt"},
    )
    load(str(checkpoint))
    assert "stray.weight" in caplog.text


def test_a_folder_is_used_where_it_lies(checkpoint, monkeypatch):
    monkeypatch.setenv("HOME", str(checkpoint.parent))
    monkeypatch.chdir(checkpoint.parent)
    places = [locate(reference) for reference in (str(checkpoint), "./moe", "~/moe")]
    assert {place.resolve() for place in places} == {checkpoint.resolve()}


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path):
    missing = tmp_path / "nowhere"
    with pytest.raises(ModelError, match=f"model folder {missing} does not exist; give a "):
        load_config(str(missing))
    with pytest.raises(ModelError, match=f"model folder {tmp_path} holds no config.json; give a "):
        load(str(tmp_path))


def test_an_unknown_zoo_member_lists_the_known_ones():
    with pytest.raises(ModelError, match=r"zoo/none is not in the zoo; use one of .*zoo/moe"):
        load_config("zoo/none")


def test_a_zoo_member_without_its_zoo_is_told_before_the_hub_is_asked():
    with pytest.raises(ModelError, match=r"model 'moe' has no owner; did you mean zoo/moe\?"):
        load_config("moe")


def test_a_folder_without_its_dot_is_told_before_the_hub_is_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"model 'mine' has no owner; did you mean \./mine\?"):
        load_config("mine")


def test_a_configuration_comes_without_weights(checkpoint):
    (checkpoint / "model.safetensors").unlink()
    assert load_config(str(checkpoint)).num_experts == 16


# Errors -------------------------------------------------------------------------------------------


def cut_weights(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def no_weights(folder):
    (folder / "model.safetensors").unlink()


def lost_tensor(folder):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    del tensors["model.layers.2.mlp.gate.weight"]
    save_file(tensors, file, metadata={"format": "pt"})


def broken_config(folder):
    (folder / "config.json").write_text("{")


def unknown_architecture(folder):
    edit(folder / "config.json", model_type="abacus")


def no_tokenizer(folder):
    """The weights are gone as well: what is told first is what was looked for first."""
    no_weights(folder)
    for file in folder.glob("tokenizer*"):
        file.unlink()


def no_tokenizer_of_a_class_that_needs_files(folder):
    no_tokenizer(folder)
    edit(folder / "config.json", model_type="llama")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_tokenizer, "has no tokenizer; its folder needs tokenizer.json"),
        (no_tokenizer_of_a_class_that_needs_files, "has no tokenizer; its folder needs"),
        (cut_weights, "cannot be loaded: "),
        (no_weights, "cannot be loaded: "),
        (lost_tensor, "lacks weights: its checkpoint does not hold model.layers.2.mlp.gate.weight"),
        (broken_config, "cannot be loaded: "),
        (unknown_architecture, "cannot be loaded: "),
    ],
)
def test_a_spoilt_checkpoint_is_one_line(checkpoint, spoil, message):
    """Also where transformers would only warn, and go on with random numbers."""
    spoil(checkpoint)
    with pytest.raises(ModelError) as error:
        load(str(checkpoint), device="cpu")
    assert str(error.value).startswith(f"model '{checkpoint}' {message}")
    assert "\n" not in str(error.value)


def test_an_unknown_id_without_a_network_is_one_line_that_names_the_zoo(tmp_path):
    code = (
        "from harness.errors import ModelError\n"
        "from harness.models.loading import load, load_config\n"
        "for function in (load, load_config):\n"
        "    try:\n"
        "        function('nobody/nothing')\n"
        "    except ModelError as error:\n"
        "        print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    loading, configuring = done.stdout.splitlines()
    assert loading == configuring
    assert loading.startswith(
        "model 'nobody/nothing' cannot be loaded: it is not in the local cache and the Hugging "
        "Face hub cannot be reached; use a zoo member ("
    )
    assert "zoo/moe" in loading


def test_quantised_weights_whose_library_is_missing_are_refused_in_one_line(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "aqlm"}
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"cannot be loaded: .*aqlm") as error:
        load(str(checkpoint), device="cpu")
    assert "\n" not in str(error.value)


# Devices and types --------------------------------------------------------------------------------


def test_a_device_that_does_not_exist_is_named():
    with pytest.raises(
        ModelError, match=r"engine\.device 'gpu' is not a torch device; use auto, cpu"
    ):
        pick_device("gpu")


def test_a_device_that_is_not_here_is_named_in_one_line():
    with pytest.raises(ModelError, match=r"engine\.device 'cuda:99' cannot be used") as error:
        load("zoo/moe", device="cuda:99")
    assert "\n" not in str(error.value)


def test_auto_finds_a_device_that_works():
    assert torch.ones(1, device=pick_device("auto")).sum() == 1
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_auto_is_float32_on_a_cpu_though_the_checkpoint_is_bfloat16(dtype, expected):
    loaded = load("zoo/moe", dtype=dtype, device="cpu")
    assert json.loads((zoo.resolve("moe") / "config.json").read_text())["dtype"] == "bfloat16"
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {expected}
    assert loaded.device == torch.device("cpu")
    assert not loaded.model.training


# What is known of a loaded model ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        (None, {"<|im_end|>"}),
        (0, {"<|im_end|>", "<|endoftext|>"}),
        ([0, 3], {"<|im_end|>", "<|endoftext|>", "<tool_call>"}),
    ],
    ids=["none", "one", "several"],
)
def test_end_tokens_are_the_tokenizers_and_the_generation_configs(configured, expected):
    loaded = load("zoo/moe", device="cpu")
    loaded.model.generation_config.eos_token_id = configured
    assert loaded.end_tokens == set(loaded.tokenizer.convert_tokens_to_ids(list(expected)))


def test_the_context_is_the_longest_sequence_it_was_made_for():
    assert load("zoo/moe", device="cpu").context == 2048


def test_a_spread_model_gives_the_same_tokens(tmp_path):
    """With one device here, layers are spread between memory and disk: the same hooks move them."""
    accelerate = pytest.importorskip("accelerate")
    mask = RouterMask(points=((0, 1), (2, 3), (3, 5)))
    requests = [Request(tuple(range(20, 60)), 12), Request(tuple(range(30, 50)), 12, mask)]
    whole, spread = load("zoo/moe"), load("zoo/moe", device_map="auto")
    layers = {f"model.layers.{layer}": "cpu" if layer < 2 else "disk" for layer in range(4)}
    places = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu"}
    accelerate.dispatch_model(
        spread.model, {**places, **layers, "lm_head": "cpu"}, "cpu", offload_dir=tmp_path
    )
    assert spread.devices == [torch.device("cpu")]
    first, second = (dict(TransformersEngine(x).generate(requests)) for x in (whole, spread))
    for position, completion in first.items():
        assert second[position].tokens == completion.tokens
        # Layers that accelerate moves are multiplied by torch, the others by oneDNN.
        assert second[position].log_probabilities == pytest.approx(
            completion.log_probabilities, abs=1e-5
        )
        assert second[position].counts == completion.counts


@pytest.mark.parametrize("name", zoo.names())
def test_what_the_zoo_has_is_read_as_transformers_reads_it(name):
    """Without importing what makes models, which the plain ways do."""
    written, whole = load_config(f"zoo/{name}"), AutoConfig.from_pretrained(zoo.resolve(name))
    for asked in (hidden_shape, has_routers, weights_per_token):
        assert asked(written) == asked(whole)
    assert not has_routers(whole) or router_shape(written) == router_shape(whole)
    assert written.initializer_range == whole.initializer_range
    assert not hasattr(written, "no_such_value")
    own, usual = load_tokenizer(f"zoo/{name}"), AutoTokenizer.from_pretrained(zoo.resolve(name))
    assert type(own) is type(usual)
    assert own.init_kwargs == usual.init_kwargs
    assert own.get_vocab() == usual.get_vocab()
    assert (own.chat_template, own.name_or_path) == (usual.chat_template, usual.name_or_path)


# What a checkpoint says of itself -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"num_local_experts": 12}, r"experts\.down_proj as 16 x 96 x 32, .* 12 x 96 x 32"),
        ({"num_local_experts": 20}, r"experts\.down_proj as 16 x 96 x 32, .* 20 x 96 x 32"),
        ({"vocab_size": 100}, r"embed_tokens\.weight as 768 x 96, .* 100 x 96"),
        ({"hidden_size": "x"}, "'hidden_size' expected int, got str"),
        ({"num_attention_heads": 0}, "division or modulo by zero"),
        ({"num_hidden_layers": 5}, "does not hold model.layers.4"),
    ],
)
def test_a_configuration_of_another_model_is_told_in_one_line(checkpoint, capfd, changed, told):
    edit(checkpoint / "config.json", **changed)
    with pytest.raises(ModelError, match=told) as caught:
        load(str(checkpoint))
    assert "\n" not in str(caught.value)
    assert "LOAD REPORT" not in capfd.readouterr().err


@pytest.mark.parametrize("asking", [load, load_config, load_tokenizer])
def test_a_checkpoints_own_code_never_runs_whatever_stdin_says(checkpoint, monkeypatch, asking):
    ran = checkpoint / "ran"
    for name in ("own_config", "own_model", "own_tokenizer"):
        (checkpoint / f"{name}.py").write_text(f"open({str(ran)!r}, 'w')\n")
    auto = {"AutoConfig": "own_config.C", "AutoModelForCausalLM": "own_model.M"}
    edit(checkpoint / "config.json", model_type="mine", auto_map=auto)
    edit(
        checkpoint / "tokenizer_config.json",
        tokenizer_class="Mine",
        auto_map={"AutoTokenizer": ["own_tokenizer.T", "own_tokenizer.T"]},
    )
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with suppress(ModelError):
        asking(str(checkpoint))
    assert not ran.exists()
