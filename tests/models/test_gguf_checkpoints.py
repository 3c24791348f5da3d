"""GGUF files as models: what is read, kept once by content, and told of files that are no good."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM

from harness.engines import engine_inputs, open_engine
from harness.errors import ModelError, SpecError, TaskError
from harness.models import gguf_checkpoints
from harness.models.loading import load, load_config, load_tokenizer, local_files, whole_config
from harness.models.reference import check_models, check_reference, hub_file, locate
from harness.models.routers import router_sites
from harness.spec import EngineSettings, Experiment, SpecSource, expand
from harness.tasks.conversations import maths_prompt, render
from tests.models.gguf_files import gguf_of

Q8_0 = gguf.GGMLQuantizationType.Q8_0
IDS = torch.tensor([[1, 50, 60, 70, 80, 90, 2, 300]])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A working directory and a cache of each test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load_config.cache_clear()
    whole_config.cache_clear()
    return tmp_path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """zoo/base as it is, and quantised."""
    folder = tmp_path_factory.mktemp("gguf")
    return {
        "F32": gguf_of("base", folder / "base.gguf"),
        "Q8_0": gguf_of("base", folder / "base-q8.gguf", Q8_0),
    }


@torch.inference_mode()
def logits(model):
    return model(IDS).logits


def kept():
    return sorted(Path(".titrate", "models").glob("[!.]*"))


# What is read -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["base", "moe"])
def test_a_file_is_the_model_that_it_was_made_of(elsewhere, name):
    """Llama, and a mixture of experts whose inner size is not the default of its architecture."""
    gguf_of(name, elsewhere / "x.gguf")
    own, zoo = load("./x.gguf"), load(f"zoo/{name}")
    torch.testing.assert_close(logits(own.model), logits(zoo.model), atol=1e-4, rtol=0)
    assert own.tokenizer.get_vocab() == zoo.tokenizer.get_vocab()
    assert own.tokenizer.chat_template == zoo.tokenizer.chat_template
    assert own.context == zoo.context
    assert load_config("./x.gguf").architectures == zoo.model.config.architectures  # vLLM's key
    if name == "moe":
        assert len(router_sites(own.model)) == 4


def test_weights_are_those_that_transformers_dequantises(files):
    path = files["Q8_0"]
    plain = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)
    own = load(str(path)).model.state_dict()
    assert own.keys() == plain.state_dict().keys()
    assert all(torch.equal(own[name], value) for name, value in plain.state_dict().items())
    half = load(str(path), dtype="bfloat16").model.state_dict()
    assert all(torch.equal(half[name], value.bfloat16()) for name, value in own.items())


def test_a_folder_with_one_file_is_that_file(files, elsewhere):
    shutil.copy(files["F32"], elsewhere / "x.gguf")
    assert load(".").content_hash == load("./x.gguf").content_hash
    shutil.copy(files["Q8_0"], elsewhere / "y.gguf")
    with pytest.raises(ModelError, match=r"\. holds 2 GGUF files; name one, such as x.gguf"):
        locate(".")


def test_what_ends_a_turn_ends_a_completion(elsewhere):
    """Of several ends in a file, transformers reads the first alone."""
    gguf_of("base", elsewhere / "x.gguf", tokenizer__ggml__eot_token_id=7)
    assert load("./x.gguf").end_tokens == {2, 7}


def test_a_file_on_the_hub_is_named_behind_a_colon(files, elsewhere, monkeypatch):
    assert hub_file("one/two:x.gguf") == ("one/two", "x.gguf")
    assert hub_file("./a:x.gguf") is None
    assert hub_file("one/two") is None
    snapshot = elsewhere / "hub" / "models--one--two" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    shutil.copy(files["F32"], snapshot / "x.gguf")
    (elsewhere / "hub" / "models--one--two" / "refs").mkdir()
    (elsewhere / "hub" / "models--one--two" / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(elsewhere / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    check_reference("one/two:x.gguf")
    own, file = load("one/two:x.gguf"), load(str(files["F32"]))
    assert own.content_hash == file.content_hash
    assert torch.equal(logits(own.model), logits(file.model))
    assert own.tokenizer.chat_template == file.tokenizer.chat_template
    assert local_files("one/two:y.gguf") is None
    with pytest.raises(ModelError, match="it is not in the local cache and the Hugging Face hub"):
        check_reference("one/two:y.gguf")


def test_its_quantisation_and_its_content_are_in_the_engine(files, elsewhere):
    engines = {name: open_engine(str(path), EngineSettings()) for name, path in files.items()}
    assert engines["Q8_0"].determinism["quantisation"] == "Q8_0 15, F32 5 (GGUF), dequantised"
    assert engines["F32"].fingerprint != engines["Q8_0"].fingerprint
    shutil.copy(files["Q8_0"], elsewhere / "x.gguf")
    assert open_engine("./x.gguf", EngineSettings()).fingerprint == engines["Q8_0"].fingerprint
    inputs = {engine_inputs(str(path), EngineSettings()) for path in files.values()}
    assert len(inputs) == 2


# What is kept -------------------------------------------------------------------------------------


def test_it_is_unpacked_once_whatever_its_name(files, elsewhere, monkeypatch):
    load(str(files["Q8_0"]))
    first = kept()
    assert [place.name.endswith("-float32") for place in first] == [False, True]
    monkeypatch.setattr(gguf_checkpoints, "_made", lambda *_: pytest.fail("is made again"))
    shutil.copy(files["Q8_0"], elsewhere / "x.gguf")
    load("./x.gguf")
    assert kept() == first


def test_an_edited_file_is_not_known(files, elsewhere):
    """The same name and length, one byte of a weight changed."""
    file = elsewhere / "x.gguf"
    shutil.copy(files["F32"], file)
    before, state = kept(), load("./x.gguf").model.state_dict()
    first = set(kept()) - set(before)
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    edited = load("./x.gguf").model.state_dict()
    assert [name for name in state if not torch.equal(state[name], edited[name])]
    second = set(kept()) - set(before) - first
    assert [len(first), len(second)] == [2, 2]


def test_processes_that_start_together_make_it_once(files, elsewhere, monkeypatch):
    """Forked, so that both have imported what makes models, and begin at once."""
    made, together = gguf_checkpoints._dequantise, multiprocessing.get_context("fork")
    begin = together.Barrier(2)

    def counted(*given):
        (elsewhere / f"made by {os.getpid()}").touch()
        made(*given)

    def start():
        begin.wait()
        gguf_checkpoints.dequantised(files["Q8_0"], "float32")

    monkeypatch.setattr(gguf_checkpoints, "_dequantise", counted)
    processes = [together.Process(target=start) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len([*elsewhere.glob("made by *")]) == 1
    assert len(kept()) == 2


def test_what_a_process_left_behind_is_no_checkpoint(files, elsewhere):
    folder = gguf_checkpoints.described(files["F32"])
    (folder.parent / f".{folder.name}-float32.part").mkdir()
    assert load(str(files["F32"])).model.config.num_hidden_layers == 2
    assert not [*folder.parent.glob(".*.part")]


def test_where_nothing_may_be_written_it_lies_in_the_cache_or_nowhere(files, elsewhere):
    Path(".titrate").touch()  # what lies below a file cannot be made, not even by root
    load(str(files["F32"]))
    assert len([*(elsewhere / "cache" / "titrate" / "models").glob("[!.]*")]) == 2
    shutil.rmtree(elsewhere / "cache")
    (elsewhere / "cache").touch()
    assert load(str(files["F32"])).model.config.num_hidden_layers == 2


# Errors -------------------------------------------------------------------------------------------


def test_an_unknown_architecture_is_told_in_one_line(elsewhere):
    gguf_of("base", elsewhere / "x.gguf", architecture="rwkv9")
    with pytest.raises(ModelError, match=r"'./x.gguf' .* architecture rwkv9 is not") as caught:
        load_config("./x.gguf")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.001, 0.02, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_told_in_one_line(files, elsewhere, share):
    whole = files["Q8_0"].read_bytes()
    (elsewhere / "x.gguf").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelError, match=r"x.gguf: is cut off or damaged at .*; down") as caught:
        load_config("./x.gguf")
    assert "\n" not in str(caught.value)


def test_a_file_without_a_tokenizer_is_told(elsewhere):
    gguf_of("base", elsewhere / "x.gguf", tokenizer=False)
    with pytest.raises(ModelError, match=r"x.gguf: has no tokenizer; use a file that llama.cpp"):
        load_tokenizer("./x.gguf")


def test_messages_name_the_file_and_not_where_it_is_unpacked(elsewhere):
    gguf_of("base", elsewhere / "x.gguf")
    tokenizer = load_tokenizer("./x.gguf")
    tokenizer.chat_template = None
    with pytest.raises(TaskError, match=r"and the tokenizer of \./x\.gguf has none; use"):
        render(tokenizer, maths_prompt("How many?", "assisted"))


def test_a_part_of_a_model_is_told(elsewhere):
    gguf_of("base", elsewhere / "x.gguf", split__count=3)
    with pytest.raises(ModelError, match=r"x.gguf: is one of 3 parts of a model; join them with"):
        load_config("./x.gguf")


def test_a_file_of_another_kind_is_told_with_the_line_of_the_spec(elsewhere):
    (elsewhere / "x.gguf").write_bytes(b"<html>not found")
    experiment = Experiment(name="x", model="./x.gguf", task={"name": "micro_gsm8k"})
    with pytest.raises(SpecError, match=r"model: .*x.gguf: is not a GGUF file, it begins"):
        check_models(expand(experiment, SpecSource.of(experiment)))
    with pytest.raises(ModelError, match=r"model file ./y.gguf does not exist; give a GGUF file"):
        check_reference("./y.gguf")
    os.mkfifo(elsewhere / "z.gguf")
    with pytest.raises(ModelError, match=r"z\.gguf"):
        check_reference("./z.gguf")


def test_what_reads_it_may_be_missing(files, monkeypatch):
    monkeypatch.setattr(gguf_checkpoints, "find_spec", lambda name: name != "gguf" or None)
    with pytest.raises(ModelError, match=r"needs gguf; pip install 'pytest-titrate\[gguf\]'"):
        check_reference(str(files["F32"]))
