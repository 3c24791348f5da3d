"""Tiny models of every routing setting and rotary kind: equal on both engines, or refused by name.

What is equal was compared twice: by the engine's own self-test when it started, and here on prompts
of other lengths. In 16 bits the self-test alone can tell rounding from a fault.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    OPTConfig,
    Phi3Config,
    Qwen3MoeConfig,
)

from harness.engines import open_engine
from harness.engines.contract import Request
from harness.engines.vllm.engine import VllmEngine
from harness.errors import FieldError, ModelError
from harness.invariants import tiny_models
from harness.spec import EngineSettings

_SIZES: dict[str, Any] = {**tiny_models._SIZES, "max_position_embeddings": 256}
_YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
_LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0, 1.2, 1.4, 1.6],
    "long_factor": [4.0, 5.0, 6.0, 7.0],
    "original_max_position_embeddings": 64,
}


def _llama(**rotary: Any) -> Any:
    return LlamaConfig(**_SIZES, rope_parameters={"rope_theta": 10000.0, **rotary})


def _phi3() -> Any:
    return Phi3Config(**_SIZES, original_max_position_embeddings=64, rope_parameters=_LONG)


CONFIGS: Mapping[str, Callable[[], Any]] = {
    **{name: partial(tiny_models.tiny_config, name) for name in tiny_models.CONFIGS},
    "linear": lambda: _llama(rope_type="linear", factor=4.0),
    "dynamic": lambda: _llama(rope_type="dynamic", factor=4.0),
    "yarn": lambda: _llama(**_YARN),
    "yarn-mscale": lambda: _llama(**_YARN, mscale=0.7, mscale_all_dim=0.5, truncate=False),
    "yarn-factor": lambda: _llama(**_YARN, attention_factor=0.7, beta_fast=16.0, beta_slow=2.0),
    "llama3": lambda: _llama(
        rope_type="llama3",
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=64,
    ),
    "longrope": _phi3,
    "partial": lambda: GPTNeoXConfig(**_SIZES, rotary_pct=0.5),
    "learned": lambda: OPTConfig(
        vocab_size=257,
        hidden_size=32,
        ffn_dim=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        word_embed_proj_dim=32,
        eos_token_id=256,
        bos_token_id=0,
        pad_token_id=1,
    ),
    "window": lambda: MistralConfig(**_SIZES, sliding_window=7),
    # vLLM runs it through transformers' own modules.
    "olmo2": lambda: Olmo2Config(**_SIZES),
    "stray": lambda: Qwen3MoeConfig(**tiny_models._QWEN, shared_expert_intermediate_size=32),
    "soft cap": lambda: Gemma2Config(**_SIZES, sliding_window=64, query_pre_attn_scalar=8),
}
REFUSED = {
    "gpt_oss": "its rotary embedding is 'default', and vLLM's gpt_oss has YaRN alone",
    "stray": "32 as the width of shared experts of its router, and the configuration says 0",
}
# What is mended, and one that vLLM leaves to transformers' modules; the others take minutes.
QUICK = ("olmoe-normalised", "olmo2")


def _written(name: str, folder: Path, dtype: torch.dtype = torch.float32) -> str:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[name](), dtype=torch.float32)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.1 * noise if "norm" in key else 0.4 * noise)
    model.generation_config.eos_token_id = 256
    model.to(dtype).save_pretrained(folder)
    tiny_models._tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in CONFIGS],
)
def test_a_model_is_equal_on_both_engines_or_refused_by_name(name, vllm_installed, tmp_path):
    folder = _written(name, tmp_path)
    settings = EngineSettings(name="vllm", slots=4, columns=64)
    if name in REFUSED:
        with pytest.raises(ModelError, match=REFUSED[name]):
            VllmEngine(folder, settings)
        return
    vllm = VllmEngine(folder, settings)
    draw = torch.Generator().manual_seed(2)
    prompts = [torch.randint(1, 256, (count,), generator=draw).tolist() for count in (3, 57, 20)]
    queue = [Request(tuple(prompt), 6) for prompt in prompts]
    completions = dict(vllm.generate(queue))
    vllm.close()
    transformers = open_engine(folder, EngineSettings(dtype="float32", slots=1))
    for position, request in enumerate(queue):
        ((_, other),) = transformers.generate([request])
        assert completions[position].tokens == other.tokens
        assert completions[position].log_probabilities == pytest.approx(
            other.log_probabilities, abs=1e-4
        )


@pytest.mark.slow
def test_long_rope_is_refused_beyond_its_short_context(vllm_installed, tmp_path):
    folder = _written("longrope", tmp_path)
    with pytest.raises(FieldError, match=r"engine\.columns: .*has LongRoPE.*to at most 64"):
        VllmEngine(folder, EngineSettings(name="vllm", slots=4))


# In a process of its own each: a kernel that cannot take a size ends the process.
_HEADS = """\
import json, sys
from harness.engines.vllm.engine import VllmEngine
from harness.spec import EngineSettings
if __name__ == "__main__":
    settings = EngineSettings(name="vllm", slots=2, columns=64, dtype=sys.argv[2])
    VllmEngine(sys.argv[1], settings).close()
"""


@pytest.mark.parametrize("dtype", ["bfloat16", pytest.param("float16", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "size", [24, *(pytest.param(each, marks=pytest.mark.slow) for each in (8, 40, 72, 88, 136))]
)
def test_heads_of_any_size_pass_the_self_test_in_16_bits(size, dtype, vllm_installed, tmp_path):
    config = LlamaConfig(**{**_SIZES, "head_dim": size, "num_hidden_layers": 1})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(tmp_path)
    tiny_models._tokenizer().save_pretrained(tmp_path)
    (tmp_path / "heads.py").write_text(_HEADS)
    done = subprocess.run(
        [sys.executable, tmp_path / "heads.py", tmp_path, dtype],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, json.dumps([done.returncode, done.stderr[-2000:]])
