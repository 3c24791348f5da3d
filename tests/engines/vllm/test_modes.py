"""Every way to run vLLM gives the transformers engine's tokens, counts and log-probabilities.

Each in a process of its own; what is compared is in `parity.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
MODES = {
    "dense": ("zoo/base", {}),
    "separate-process": ("zoo/moe", {"separate_process": True}),
    "tensor-parallel": ("zoo/moe", {"tensor_parallel_size": 2}),
    "compiled": ("zoo/moe", {"enforce_eager": False}),
    "v2": ("zoo/moe", {"model_runner": "v2"}),
    "ngram": ("zoo/moe", {"speculation": "ngram"}),
    "suffix": ("zoo/moe", {"speculation": "suffix"}),
}


@pytest.mark.parametrize("name", MODES)
def test_a_mode_of_vllm_equals_transformers(name, vllm_installed, tmp_path):
    model, settings = MODES[name]
    if name == "suffix":
        pytest.importorskip("arctic_inference", reason="pip install arctic-inference==0.1.1")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))),
        "OMP_NUM_THREADS": "1",
    }
    if name == "v2":
        environment["TRITON_INTERPRET"] = "1"
    if name == "compiled":  # a cache of compiled models that no other run has written
        environment["VLLM_CACHE_ROOT"] = str(tmp_path)
    script = Path(__file__).with_name("parity.py")
    done = subprocess.run(
        [sys.executable, script, model, json.dumps(settings)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["requests"] > 10
    assert found["different"] == found["different again"] == []
    assert found["gap"] < 1e-4
    assert found["reading"] < 1e-4
    if found["runner"] is not None:
        package = "gpu" if name == "v2" else "gpu_model_runner"
        assert found["runner"].startswith(f"vllm.v1.worker.{package}")
    assert (found["drafts"] > 0) == ("speculation" in settings)
    assert found["forward"] == ("compiled" if settings.get("enforce_eager") is False else "eager")
