"""A GGUF file as the model of vLLM: the tokens of the checkpoint that it was made of."""

from __future__ import annotations

import pytest

from harness.engines import open_engine
from harness.engines.contract import Request
from harness.engines.vllm.engine import VllmEngine
from harness.spec import EngineSettings


@pytest.mark.usefixtures("vllm_installed")
def test_a_file_says_what_its_checkpoint_says(tmp_path, monkeypatch):
    gguf_of = pytest.importorskip("tests.models.gguf_files").gguf_of
    monkeypatch.chdir(tmp_path)
    gguf_of("base", tmp_path / "x.gguf")
    asked = [Request((1, 50 + row, 60, 70 + row), 12, sample=str(row)) for row in range(4)]
    plain = dict(open_engine("zoo/base", EngineSettings(dtype="float32")).generate(asked))
    engine = VllmEngine("./x.gguf", EngineSettings(name="vllm", dtype="float32", slots=4))
    try:
        made = dict(engine.generate(asked))
        assert engine.determinism["quantisation"] == "F32 20 (GGUF), dequantised"
    finally:
        engine.close()
    assert [each.error for each in made.values()] == [None] * 4
    assert {row: each.tokens for row, each in made.items()} == {
        row: each.tokens for row, each in plain.items()
    }
