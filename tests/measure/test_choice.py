"""Choices by log-probability: against a plain loop in float64, and lm-evaluation-harness itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from harness.engines.contract import Scored, Scoring
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import SpecError, TaskError
from harness.measure.choice import TokenizedChoice, choice_of, sample_metrics
from harness.models.loading import load, load_tokenizer
from harness.spec import PromptSettings, TaskSettings
from harness.tasks.by_name import load as load_task
from harness.tasks.data.task import own_task
from tests.measure.given import PAIRS, QUESTIONS, Given
from tests.runs.small import cases, run_on

MODELS = ["zoo/base", "zoo/moe"]
TOKENIZER = load_tokenizer("zoo/base")
BOTH = [*PAIRS, *QUESTIONS]


def measured(loaded, records):
    """Every sample's metrics, by an engine."""
    task = Given.of(records)
    asked = [choice_of(loaded.tokenizer, task, each, "completion") for each in task.samples]
    scorings = [Scoring(each.context, each.continuations) for each in asked]
    found = dict(TransformersEngine(loaded).score(scorings))
    return [sample_metrics(each, found[at]) for at, each in enumerate(asked)]


# What is scored -----------------------------------------------------------------------------------


@pytest.mark.parametrize("record", BOTH)
def test_a_choice_and_its_prompt_are_encoded_as_one_text(record):
    task = Given.of([record])
    asked = choice_of(TOKENIZER, task, task.samples[0], "completion")
    for text, tokens in zip(record["choices"], asked.continuations, strict=True):
        whole = TOKENIZER(f"{record['prompt']} {text}", add_special_tokens=False)["input_ids"]
        if record["prompt"]:
            assert [*asked.context, *tokens] == whole
        else:
            assert asked.context == (TOKENIZER.eos_token_id,)
            assert list(tokens) == whole
    assert asked.lengths == tuple(map(len, record["choices"]))
    assert asked.right == record["right"]


@pytest.mark.parametrize(
    ("prompt", "choice", "whole"),
    [
        ("Answer:", "four", "Answer: four"),
        ("Answer: ", "four", "Answer: four"),
        ("Answer:\n", "four", "Answer:\nfour"),
        ("Answer:", " four", "Answer: four"),
        ("", "four", " four"),
    ],
)
def test_blanks_between_prompt_and_choice_belong_to_the_choice(prompt, choice, whole):
    task = Given.of([{"prompt": prompt, "choices": [choice, "x"], "right": 0}])
    asked = choice_of(TOKENIZER, task, task.samples[0], "completion")
    read = asked.continuations[0] if not prompt else (*asked.context, *asked.continuations[0])
    assert TOKENIZER.decode(read) == whole
    if prompt:
        assert TOKENIZER.decode(asked.context) == prompt.rstrip()


def test_a_text_that_begins_with_the_first_token_does_not_get_it_twice():
    first = TOKENIZER.eos_token
    pair = {"prompt": "", "choices": [f" {first}four", f"{first} four"], "right": 0}
    task = Given.of([{**pair, "choices": [f"{first}\nfour", f"{first} four"]}])
    asked = choice_of(TOKENIZER, task, task.samples[0], "completion")
    assert asked.context == (TOKENIZER.eos_token_id,)
    assert TOKENIZER.decode(asked.continuations[0]).count(first) == 1


def test_in_chats_choices_stand_in_their_frame():
    task = load_task("micro_humaneval", limit=3)
    tokenizer = load_tokenizer("zoo/moe")
    for sample in task.samples:
        asked = choice_of(tokenizer, task, sample, "assisted")
        texts = [tokenizer.decode((*asked.context, *each)) for each in asked.continuations]
        bodies = [task.reference(sample).answer, *task.distractors(sample)]
        for text, body in zip(texts, bodies, strict=True):
            assert text.endswith(f"```python\n{body}\n```")
        assert asked.lengths == tuple(map(len, bodies))


@pytest.mark.parametrize(
    ("choices", "problem"),
    [(["four"], "given/0: there is nothing to choose from"), (["", "x"], "choice 0 is empty")],
)
def test_what_is_no_choice_is_refused(choices, problem):
    task = Given.of([{"prompt": "Two and two make", "choices": choices, "right": 0}])
    with pytest.raises(TaskError, match=problem):
        choice_of(TOKENIZER, task, task.samples[0], "completion")


# What is made of it -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sums", "right", "expected"),
    [
        ((-4.0, -3.0, -9.0), 1, {"acc": 1.0, "acc_norm": 0.0, "margin": 1.0}),
        ((-4.0, -3.0, -9.0), 2, {"acc": 0.0, "acc_norm": 1.0, "margin": -6.0}),
        ((-4.0, -4.0, -9.0), 0, {"acc": 1.0, "acc_norm": 0.0, "margin": 0.0}),
        ((-4.0, -4.0, -9.0), 1, {"acc": 0.0, "acc_norm": 0.0, "margin": 0.0}),
    ],
)
def test_the_first_of_the_most_probable_is_chosen(sums, right, expected):
    asked = TokenizedChoice((1,), ((2, 3), (4,), (5,)), lengths=(2, 2, 9), right=right)
    scored = Scored(((sums[0] - 1.0, 1.0), (sums[1],), (sums[2],)), ())
    assert sample_metrics(asked, scored) == expected


@torch.no_grad()
@pytest.mark.parametrize("model", MODELS)
def test_metrics_are_those_of_a_plain_loop_in_float64(model):
    loaded = load(model, device="cpu")
    exact = load(model, device="cpu", dtype="float64").model
    exact.set_experts_implementation("eager")  # the only one in float64
    for record, own in zip(BOTH, measured(loaded, BOTH), strict=True):
        sums = []
        for text in record["choices"]:
            prompt = loaded.tokenizer(record["prompt"])["input_ids"] or [TOKENIZER.eos_token_id]
            text = loaded.tokenizer(record["prompt"] + " " + text)["input_ids"]
            tokens = [*prompt, *text[len(prompt) if record["prompt"] else 0 :]]
            scores = exact(torch.tensor([tokens])).logits[0].log_softmax(-1)
            places = range(len(prompt), len(tokens))
            sums.append(sum(float(scores[at - 1, tokens[at]]) for at in places))
        by_length = [s / len(text) for s, text in zip(sums, record["choices"], strict=True)]
        right = record["right"]
        others = [each for at, each in enumerate(sums) if at != right]
        assert own["margin"] == pytest.approx(sums[right] - max(others), abs=1e-3)
        assert own["acc"] == float(sums.index(max(sums)) == right)
        assert own["acc_norm"] == float(by_length.index(max(by_length)) == right)


@pytest.mark.parametrize("model", MODELS)
def test_metrics_are_those_that_lm_eval_has_given(model):
    """What lm-eval 0.4.13 said of the same records, by the test below; here without it."""
    lines = Path(__file__).with_name("lm_eval_sums.jsonl").read_text("utf-8").splitlines()
    theirs = [each for each in map(json.loads, lines) if each["model"] == model]
    for each, own, record in zip(
        theirs, measured(load(model, device="cpu"), BOTH), BOTH, strict=True
    ):
        assert (own["acc"], own["acc_norm"]) == (each["acc"], each["acc_norm"])
        others = [each["sums"][at] for at in range(len(each["sums"])) if at != record["right"]]
        margin = each["sums"][record["right"]] - max(others)
        assert own["margin"] == pytest.approx(margin, abs=1e-2)


def test_minimal_pairs_of_ones_own_file_are_asked_in_the_same_way(tmp_path):
    pairs = [
        {"good": good, "bad": bad, "answer": 0} for good, bad in (each["choices"] for each in PAIRS)
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    settings = TaskSettings.model_validate(
        {
            "path": str(tmp_path / "pairs.jsonl"),
            "answer": "choice",
            "fields": {"choices": ["good", "bad"]},
        }
    )
    task = own_task(settings, PromptSettings(style="completion", template=""))
    given = Given.of(PAIRS)
    for own, sample in zip(task.samples, given.samples, strict=True):
        asked, expected = (
            choice_of(TOKENIZER, each, of, "completion")
            for each, of in ((task, own), (given, sample))
        )
        assert asked == expected


@pytest.mark.slow
@pytest.mark.parametrize("records", [PAIRS, QUESTIONS], ids=["minimal pairs", "questions"])
@pytest.mark.parametrize("model", MODELS)
def test_metrics_are_those_of_lm_eval(model, records, tmp_path):
    """Sample by sample, on its own backend of transformers.

    pip install --no-deps --target peers lm-eval==0.4.13, and what it imports; PYTHONPATH=peers
    """
    evaluator = pytest.importorskip("lm_eval.evaluator")
    from lm_eval.models.huggingface import HFLM

    loaded = load(model, device="cpu")
    data = tmp_path / "given.jsonl"
    data.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    task = {
        "task": "given",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{prompt}}",
        "doc_to_choice": "choices",
        "doc_to_target": "right",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }
    peer = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=4)
    found = evaluator.simple_evaluate(
        model=peer, tasks=[task], bootstrap_iters=0, log_samples=True, num_fewshot=0
    )
    logged = sorted(found["samples"]["given"], key=lambda each: each["doc_id"])
    ours = measured(loaded, records)
    for theirs, own, record in zip(logged, ours, records, strict=True):
        assert theirs["doc"]["prompt"] == record["prompt"]
        assert (own["acc"], own["acc_norm"]) == (theirs["acc"], theirs["acc_norm"])
        sums = [float(response[0]) for (response, *_) in theirs["resps"]]
        others = [each for at, each in enumerate(sums) if at != record["right"]]
        assert own["margin"] == pytest.approx(sums[record["right"]] - max(others), abs=1e-3)
    for metric in ("acc", "acc_norm"):
        mean = sum(own[metric] for own in ours) / len(ours)
        assert mean == pytest.approx(found["results"]["given"][f"{metric},none"])


# As a case ----------------------------------------------------------------------------------------


def test_a_sweep_of_choices_is_one_run(loaded):
    planned = cases(measure="choice", axes={"intervention.count": [0, 30]})
    run = run_on(TransformersEngine(loaded), planned)
    neutral, masked = (run.result(each) for each in planned)
    assert planned[0].metrics == ["acc", "acc_norm", "margin"]
    assert [check.holds for check in neutral.checks] == [True]
    assert "margin of 3 samples" in neutral.checks[0].detail
    assert masked.sample_metrics["margin"] != neutral.sample_metrics["margin"]


def test_a_task_without_choices_is_refused_before_a_run():
    with pytest.raises(SpecError, match=r"measure: choice .* nothing to choose from"):
        cases(measure="choice", task={"name": "micro_gsm8k", "limit": 2})
