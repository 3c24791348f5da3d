"""A document's context is read once: for all of its choices, and for all conditions of a sweep."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness.engines.contract import Request, Scoring
from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.array import Array
from harness.interventions.residual import Term
from harness.interventions.steering.description import Steering
from harness.measure.lm_eval_documents import asked_of
from harness.models.loading import load
from harness.resolve.tasks import task_of
from harness.spec import Experiment, expand
from tests.tasks.lm_eval import local


@pytest.fixture(scope="module")
def engine():
    return TransformersEngine(load("zoo/base", device="cpu"), drafts=False)


@pytest.fixture
def asked(tmp_path_factory, engine):
    """What a model is asked of the first document of a task."""
    paths = local.write(tmp_path_factory.mktemp("tasks"))

    def of(name):
        spec = {"name": "read", "model": "zoo/base", "task": {"lm_eval": str(paths[name])}}
        (case,) = expand(Experiment.model_validate(spec))
        task = task_of(case.experiment.task)
        return list(asked_of(engine.tokenizer, case, task, task.samples[0]).asked)

    return of


class Watch:
    def __init__(self):
        self.tokens = 0

    def read(self, tokens):
        self.tokens += tokens


def test_choices_of_a_context_are_one_reading_of_it(engine, asked, monkeypatch):
    (scoring,) = asked("choice_shots")
    assert isinstance(scoring, Scoring)
    assert len(scoring.continuations) == 4
    monkeypatch.setattr(engine, "watch", Watch())
    dict(engine.score([scoring]))
    behind = sum(len(continuation) - 1 for continuation in scoring.continuations)
    assert engine.watch.tokens == len(scoring.context) + behind


@pytest.mark.parametrize(("positions", "layer"), [("all", 0), ("all", -1), ("generated", 0)])
def test_conditions_of_a_prompt_are_one_reading_of_what_none_of_them_changes(
    engine, asked, positions, layer
):
    (request,) = asked("text")
    assert isinstance(request, Request)
    config = engine.loaded.model.config
    vector = Array(torch.randn(config.hidden_size, generator=torch.Generator().manual_seed(0)))
    layers = config.num_hidden_layers
    layer %= layers

    def steered(alpha):
        return Steering(terms=(Term(layer=layer, vector=vector, alpha=alpha, positions=positions),))

    conditions = 12
    requests = [replace(request, prompt=request.prompt * 2, intervention=steered(1.0 + dose))
                for dose in range(conditions)]  # fmt: skip
    fresh = TransformersEngine(engine.loaded, drafts=False)
    dict(fresh.generate(requests))
    length = len(requests[0].prompt)
    if positions == "all":  # the steered block itself is read once, and what is behind it is not
        shared = (layer + 1) / layers
        assert fresh.work.read == pytest.approx(length * (shared + conditions * (1 - shared)))
    else:
        assert fresh.work.read == length + (conditions - 1)


def test_a_template_is_compiled_once(asked):
    asked("choice")
    from lm_eval import utils

    assert utils.env.from_string("{{question}}!") is utils.env.from_string("{{question}}!")
    assert utils.apply_template("{{question}}!", {"question": "Why"}) == "Why!"
