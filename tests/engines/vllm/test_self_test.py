"""Another model than the checkpoint's is noticed at the start, by transformers or by a record."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from harness.engines.vllm import self_test
from harness.engines.vllm.facts import ModelFacts
from harness.engines.vllm.self_test import check_untouched
from harness.errors import ModelError
from harness.models.loading import load


@pytest.fixture(scope="module")
def facts():
    return ModelFacts.of("zoo/base")


@pytest.fixture(scope="module")
def model():
    return load("zoo/base", device="cpu").model


def reading(model, off=0.0):
    """An engine that reads with a model, every token `off` nats too probable."""

    @torch.inference_mode()
    def read(tokens):
        ids = torch.tensor([tokens])
        scores = model(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
        own = scores.gather(1, ids[0, 1:, None])[:, 0]
        return torch.cat([torch.zeros(1), own + off])

    return read


def test_the_checkpoints_own_model_passes_and_another_does_not(facts, model):
    check_untouched(facts, reading(model), "any", "float32", 2000)
    message = (
        r"^vLLM serves another model than 'zoo/base': the log-probabilities of 63 tokens are "
        r"0\.001 nats from transformers' on average, and 0\.0001 at most is rounding; use"
    )
    with pytest.raises(ModelError, match=message):
        check_untouched(facts, reading(model, off=1e-3), "any", "float32", 2000)


def test_rounding_of_a_half_type_is_measured_on_the_model_itself(facts, model):
    """What is 63 tokens of one model is more of another; a fault is more than four times that."""
    half = load("zoo/base", device="cpu").model.to(torch.bfloat16)
    check_untouched(facts, reading(half), "any", "bfloat16", 2000)
    with pytest.raises(ModelError, match=r"nats from transformers' on average, and 0\.\d+ at most"):
        check_untouched(facts, reading(half, off=0.5), "any", "bfloat16", 2000)


def test_a_short_cache_is_tested_with_as_many_tokens_as_it_holds(facts, model):
    asked = []
    read = reading(model)
    check_untouched(facts, lambda t: (asked.append(t), read(t))[1], "any", "float32", 7)
    assert [len(tokens) for tokens in asked] == [7]


def test_a_large_model_is_held_against_its_first_start(facts, model, monkeypatch, tmp_path):
    monkeypatch.setattr(self_test, "LARGEST", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    check_untouched(facts, reading(model), "one", "float32", 50)
    check_untouched(facts, reading(model, off=1e-6), "one", "float32", 50)
    for off, most in ((0.01, 50), (0.0, 40)):
        with pytest.raises(ModelError, match=r"not serve 'zoo/base' as at its first.*one\.json on"):
            check_untouched(facts, reading(model, off), "one", "float32", most)
    check_untouched(facts, reading(model, off=0.01), "another engine", "float32", 50)


def test_a_cache_that_cannot_be_written_is_no_reason_not_to_start(
    facts, model, monkeypatch, tmp_path
):
    monkeypatch.setattr(self_test, "LARGEST", 0)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    check_untouched(facts, reading(model), "one", "float32", 50)


def test_a_model_that_transformers_cannot_load_is_held_against_its_first_start(
    facts, model, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    missing = replace(facts, reference="./missing", content_hash="missing")
    check_untouched(missing, reading(model), "one", "float32", 50)
    with pytest.raises(ModelError, match="as at its first start here"):
        check_untouched(missing, reading(model, off=1.0), "one", "float32", 50)


def test_numbers_that_are_not_finite_are_another_models(facts, model):
    with pytest.raises(ModelError, match=r"tokens are (nan|inf) nats"):
        check_untouched(facts, reading(model, off=math.inf), "any", "float32", 50)


def test_a_model_that_raises_when_it_runs_is_told_in_one_line(facts):
    def read(tokens):
        raise KeyError("'gate'\nand more")

    message = r"^model 'zoo/base' was started in vLLM and cannot run there: KeyError .*gate[^\n]*$"
    with pytest.raises(ModelError, match=message):
        check_untouched(facts, read, "any", "float32", 50)
