"""Starts that fail: one line each, early where possible, and the next one works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from harness.engines.contract import Request
from harness.engines.declared import Declared
from harness.engines.vllm import start
from harness.engines.vllm.conditions import Conditions
from harness.engines.vllm.engine import VllmEngine
from harness.engines.vllm.facts import ModelFacts
from harness.errors import ModelError
from harness.interventions.array import Array
from harness.interventions.residual import Term
from harness.interventions.steering.description import Steering
from harness.models.loading import local_files
from harness.spec import EngineSettings

_ROOT = Path(__file__).parents[3]
_SPEC = """\
name: {name}
model: {model}
task: {{name: micro_humaneval, limit: 1}}
engine: {engine}
sampling: {{max_new_tokens: 4}}
"""


def _checkpoint(folder: Path, *, weights: bool = True, **changes: object) -> Path:
    """zoo/moe with changes to its configuration."""
    shutil.copytree(local_files("zoo/moe"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    if not weights:
        (folder / "model.safetensors").unlink()
    return folder


def test_a_run_goes_on_with_the_next_model_after_some_that_do_not_start(vllm_installed, tmp_path):
    """Of one process, and of several, whose tracebacks are not for users; numba is imported."""
    broken = _checkpoint(tmp_path / "broken", hidden_size=128)  # its weights have 96
    engines = {
        "here": {"name": "vllm", "speculation": "ngram"},
        "apart": {"name": "vllm", "separate_process": True},
        "good": {"name": "vllm"},
    }
    for name, engine in engines.items():
        model = "zoo/moe" if name == "good" else broken
        spec = _SPEC.format(name=name, model=model, engine=json.dumps(engine))
        (tmp_path / f"{name}.yaml").write_text(spec)
    specs = [f"{name}.yaml" for name in engines]
    done = subprocess.run(
        [Path(sys.executable).with_name("titrate"), "run", *specs, "--report", "report"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    cases = {case["id"]: case for case in report["cases"]}
    assert cases["good"]["status"] == "complete"
    for name in ("here", "apart"):
        assert cases[name]["status"] == "failed"
        assert "The size of tensor a (128) must match" in cases[name]["error"]


def test_a_kernel_that_routes_by_itself_is_refused_before_weights_are_read(
    vllm_installed, monkeypatch, tmp_path
):
    """A real one: 4-bit experts, which vLLM has for Arm. The checkpoint has no weights at all."""
    from vllm.model_executor.layers.fused_moe.experts.cpu_int4_moe import CPUExpertsInt4

    monkeypatch.setattr(CPUExpertsInt4, "is_supported_config", lambda *_: (True, None))
    scheme = {
        "targets": ["Linear"],
        "weights": {"num_bits": 4, "type": "int", "strategy": "channel", "dynamic": False},
        "input_activations": {"num_bits": 8, "type": "int", "strategy": "token", "dynamic": True},
    }
    quantized = {
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "quantization_status": "compressed",
        "config_groups": {"experts": scheme},
        "ignore": ["lm_head", "re:.*self_attn.*", "re:.*mlp.gate$"],
    }
    folder = str(_checkpoint(tmp_path / "int4", weights=False, quantization_config=quantized))
    settings = EngineSettings(name="vllm", slots=2)
    with pytest.raises(ModelError, match="kernel CPUExpertsInt4 routes tokens by itself, where no"):
        VllmEngine(folder, settings, Declared(masks=True))
    # Whoever does nothing to routers may use it, and here is only told of the weights.
    with pytest.raises(ModelError, match="Cannot find any model weights"):
        VllmEngine(folder, settings, Declared())


def test_settings_that_vllm_itself_refuses_are_told_in_its_words(vllm_installed):
    settings = EngineSettings(name="vllm", slots=4, max_num_batched_tokens=2)
    with pytest.raises(ModelError, match=r"started in vLLM: max_num_batched_tokens \(2\) must be"):
        VllmEngine("zoo/moe", settings)


def test_an_engine_whose_canary_fails_is_stopped(vllm_installed, monkeypatch):
    from harness.engines.vllm import abilities

    stopped = []
    close = VllmEngine.close

    def refusing(*_):
        raise ModelError("not felt")

    monkeypatch.setattr(abilities, "check_reached", refusing)
    monkeypatch.setattr(VllmEngine, "close", lambda self: (stopped.append(self), close(self)))
    with pytest.raises(ModelError, match="not felt"):
        VllmEngine("zoo/moe", EngineSettings(name="vllm", slots=2), Declared(masks=True))
    assert len(stopped) == 1


@pytest.mark.parametrize(("slots", "columns"), [(1, None), (1, 128), (3, 40)])
def test_a_small_cache_has_the_block_that_vllm_keeps_for_itself(vllm_installed, slots, columns):
    engine = VllmEngine("zoo/base", EngineSettings(name="vllm", slots=slots, columns=columns))
    ((_, own),) = engine.generate([Request((5, 6, 7), 4)])
    engine.close()
    assert own.finish_reason == "length"


def test_an_engine_is_compiled_after_one_that_was_not(vllm_installed, monkeypatch):
    """And finds the cores of a machine after one that was spread over them."""
    import torch._dynamo

    monkeypatch.setattr(start, "cores", lambda: [0, 1])
    monkeypatch.setattr(start, "check_machine", lambda settings: None)
    monkeypatch.setattr(start, "_GIVEN", dict.fromkeys(start._GIVEN))
    for name in start._GIVEN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch._dynamo.config, "disable", False)
    start.prepare(EngineSettings(name="vllm", tensor_parallel_size=2))
    assert torch._dynamo.config.disable
    assert os.environ["TORCH_COMPILE_DISABLE"] == "1"
    assert os.environ["VLLM_CPU_OMP_THREADS_BIND"] == "0|1"
    start.prepare(EngineSettings(name="vllm", enforce_eager=False))
    assert not torch._dynamo.config.disable
    assert not {"TORCH_COMPILE_DISABLE", "VLLM_CPU_OMP_THREADS_BIND"} & set(os.environ)


def test_what_is_put_into_a_model_is_in_the_key_of_its_compiled_form(vllm_installed):
    from vllm import EngineArgs

    term = Term(layer=1, vector=Array(torch.ones(96)), alpha=1.0)
    keys = set()
    for declared in (Declared(), Declared(masks=True), Declared.of([Steering(terms=(term,))])):
        conditions = Conditions(rows=9)
        conditions.declare(declared)
        settings = EngineSettings(name="vllm", enforce_eager=False, slots=2)
        arguments = start._arguments(ModelFacts.of("zoo/moe"), settings, conditions)
        keys.add(EngineArgs(**arguments).create_engine_config().compute_hash())
    assert len(keys) == 3
