"""Nats per token of given texts beside generated answers: one value per text."""

from __future__ import annotations

import json

import pytest
import torch

from harness.engines.transformers.engine import TransformersEngine
from harness.errors import SpecError
from harness.store.records import from_json, to_json
from tests.runs.small import cases, mask, run_on

TEXTS = ["def add(a, b):\n    return a + b", "return 1", "x"]


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return path


def swept(path, **fields):
    return cases(
        metrics=["median_tokens", {"kind": "nll", "path": str(path)}],
        intervention=mask(),
        axes={"intervention.count": [0, 30]},
        **fields,
    )


@torch.no_grad()
def test_a_text_has_the_nats_of_a_plain_loop(loaded, texts):
    planned = swept(texts)
    run = run_on(TransformersEngine(loaded), planned)
    neutral, masked = (run.result(each) for each in planned)
    values = neutral.sample_metrics["nll"]
    assert list(values) == ["text 0", "text 1", "text 2"]
    for text, (nats, count) in zip(TEXTS, values.values(), strict=True):
        tokens = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
        first = loaded.tokenizer.eos_token_id
        scores = loaded.model(torch.tensor([[first, *tokens]])).logits[0].log_softmax(-1)
        own = [float(scores[at, token]) for at, token in enumerate(tokens)]
        assert (nats, count) == (pytest.approx(-sum(own), abs=1e-3), len(tokens))
    assert masked.sample_metrics["nll"] != values
    assert from_json(to_json(masked)) == masked


def test_intervals_are_over_texts_and_the_number_is_that_of_all_tokens(loaded, texts):
    planned = swept(texts, task={"name": "micro_humaneval", "limit": 5})
    run = run_on(TransformersEngine(loaded), planned)
    results = [run.result(each) for each in (planned[0].baseline, *planned)]
    entry = results[0].kind("nll")
    values = results[0].sample_metrics["nll"].values()
    assert entry.of(values) == pytest.approx(
        sum(nats for nats, _ in values) / sum(tokens for _, tokens in values)
    )
    assert len(values) == len(TEXTS)
    assert len(results[0].sample_metrics["median_tokens"]) == 5


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('{"text": " "}\n', "texts.jsonl:1: its text is empty"),
        ('{"words": "a"}\n', "texts.jsonl:1: no text in text"),
        ('{"id": 1, "text": "a"}\n{"id": 1, "text": "b"}\n', "two texts have the id '1'"),
        ("", "holds no record"),
    ],
)
def test_what_is_no_file_of_texts_is_refused_before_a_run(texts, lines, problem):
    texts.write_text(lines)
    with pytest.raises(SpecError, match=problem) as caught:
        swept(texts)
    assert "metrics[1].path" in str(caught.value)
