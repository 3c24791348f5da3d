"""The peer's open faults of integrity: each is not one here; what 0.4.13 does is looked at beside.

docs/lm_eval.md has the table. Where the peer is asserted on, the table says what was seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from lm_eval._cli import HarnessCLI
from lm_eval.api.model import LM
from lm_eval.caching import cache as peer_cache

import harness
from harness.claims.compare import compare
from harness.claims.saved import SavedRun
from harness.engines.transformers.engine import TransformersEngine
from harness.measure.lm_eval_documents import asked_of
from harness.models.loading import load, load_tokenizer
from harness.report.foreign import report_of
from harness.resolve.tasks import task_of
from harness.runs.lm_eval_model import TitrateLM
from harness.runs.rescore import rescored
from harness.spec import expand
from tests.tasks.lm_eval import local
from tests.tasks.lm_eval.peer import evaluated, hf

MASK = {"kind": "router_mask", "mode": "keep_topk", "points": {"random": 0}, "count": 8}


class Counting(LM):
    """Says its own name and how often it was asked; that many nats has every continuation."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.seen: list[Any] = []
        self._numbers = count()

    def _answer(self, request: Any) -> str:
        self.seen.append(request.args)
        return f"{self.name} {next(self._numbers)}"

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        return [self._answer(each) for each in requests]

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> list[Any]:
        return [(-float(self._answer(each).split()[-1]), False) for each in requests]

    loglikelihood_rolling = loglikelihood


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> dict[str, Path]:
    return local.write(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> str:
    return local.model(tmp_path_factory.mktemp("models") / "plain")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spec(task: Path, **fields: Any) -> dict[str, Any]:
    asked = {"lm_eval": str(task), "limit": 4, **fields.pop("also", {})}
    return {"name": "same", "model": "zoo/moe", "task": asked, **fields}


def written(folder: Path, plain: dict[str, Any]) -> str:
    (folder / "spec.yaml").write_text(json.dumps(plain))
    return str(folder / "spec.yaml")


def said(result: dict[str, Any], task: str) -> list[Any]:
    return [sample["resps"] for sample in result["samples"][task]]


def experiment(plain: dict[str, Any]) -> harness.Experiment:
    return harness.Experiment.model_validate(plain)


def requests(plain: dict[str, Any]) -> list[Any]:
    (case, *_) = expand(experiment(plain))
    task: Any = task_of(case.experiment.task, case.experiment.prompt)
    tokenizer = load_tokenizer("zoo/moe")
    return [
        each for sample in task.samples for each in asked_of(tokenizer, case, task, sample).asked
    ]


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_where_it_was(tasks, here, monkeypatch):
    path = written(here, spec(tasks["text"]))
    whole = TransformersEngine.generate
    made: list[int] = []

    def dying(self: Any, asked: Any) -> Iterator[Any]:
        for number, done in enumerate(whole(self, asked)):
            if number == 2:
                raise KeyboardInterrupt
            made.append(number)
            yield done

    with monkeypatch.context() as patched:
        patched.setattr(TransformersEngine, "generate", dying)
        with pytest.raises(KeyboardInterrupt):
            evaluated(TitrateLM(path), tasks["text"], limit=4)
    asked: list[int] = []

    def counted(self: Any, these: Any) -> Iterator[Any]:
        asked.extend([1] * len(these))
        yield from whole(self, these)

    monkeypatch.setattr(TransformersEngine, "generate", counted)
    evaluated(TitrateLM(path), tasks["text"], limit=4)
    assert (len(made), len(asked)) == (2, 2)
    evaluated(TitrateLM(path), tasks["text"], limit=4)
    assert len(asked) == 2


@pytest.mark.slow
def test_the_peer_starts_again_from_nothing_after_a_kill(tasks, here):
    class Dying(Counting):
        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            for each in requests[:2]:
                self._answer(each)
            raise KeyboardInterrupt

    cached = str(here / "cache")
    with pytest.raises(KeyboardInterrupt):
        evaluated(Dying("a"), tasks["text"], limit=4, use_cache=cached)
    again = Counting("a")
    evaluated(again, tasks["text"], limit=4, use_cache=cached)
    assert len(again.seen) == 4  # a model keeps what it calls `add_partial` for, and no other


@pytest.mark.slow
def test_an_answer_is_kept_under_model_and_intervention(tasks, here):
    plain = spec(tasks["text"], intervention=MASK)
    (case,) = expand(experiment(plain))
    untouched, masked = (
        TitrateLM(written(here, plain), case=each.id) for each in (case.baseline, case)
    )
    one = evaluated(untouched, tasks["text"], limit=4)
    other = evaluated(masked, tasks["text"], limit=4)
    assert said(one, "text") != said(other, "text")
    assert untouched.get_model_info() != masked.get_model_info()


@pytest.mark.slow
def test_an_answer_is_kept_under_the_content_of_its_model(tasks, here):
    said_by = []
    for name in ("zoo/base", "zoo/oracle"):
        path = written(here, {**spec(tasks["text"]), "model": name})
        said_by.append(said(evaluated(TitrateLM(path), tasks["text"], limit=4), "text"))
    assert said_by[0] != said_by[1]


@pytest.mark.slow
def test_the_peer_answers_for_one_model_with_anothers_words(tasks, here):
    cached = str(here / "cache")
    first = evaluated(Counting("a"), tasks["text"], limit=4, use_cache=cached)
    other = Counting("b")
    second = evaluated(other, tasks["text"], limit=4, use_cache=cached)
    assert said(first, "text") == said(second, "text")
    assert other.seen == []


@pytest.mark.slow
def test_repeats_stay_draws_of_their_own_when_they_come_from_the_store(tasks, here):
    path = written(here, spec(tasks["text_repeats"]))
    first = evaluated(TitrateLM(path), tasks["text_repeats"], limit=4)
    again = evaluated(TitrateLM(path), tasks["text_repeats"], limit=4)
    assert said(first, "text_repeats") == said(again, "text_repeats")
    assert any(len(set(own[0])) > 1 for own in said(again, "text_repeats"))


@pytest.mark.slow
def test_the_peers_repeats_are_one_when_they_come_from_its_cache(tasks, here):
    task = here / "warm.yaml"
    task.write_text(tasks["text_repeats"].read_text().replace("do_sample: true", "top_p: 1.0"))
    cached = str(here / "cache")
    first = evaluated(Counting("a"), task, limit=4, use_cache=cached)
    again = evaluated(Counting("a"), task, limit=4, use_cache=cached)
    assert all(len(set(own[0])) == 3 for own in said(first, "text_repeats"))
    assert all(len(set(own[0])) == 1 for own in said(again, "text_repeats"))


@pytest.mark.slow
def test_the_peer_keeps_nothing_of_draws_with_do_sample(tasks, here):
    cached = str(here / "cache")
    evaluated(Counting("a"), tasks["text_repeats"], limit=2, use_cache=cached)
    again = Counting("a")
    evaluated(again, tasks["text_repeats"], limit=2, use_cache=cached)
    assert len(again.seen) == 2 * 3


def test_what_a_task_generates_by_is_in_the_key(tasks, here):
    kept = requests(spec(tasks["text"]))
    shorter = requests(spec(tasks["text"], sampling={"max_new_tokens": 5}))
    assert {each.key() for each in kept}.isdisjoint(each.key() for each in shorter)
    assert {each.max_new_tokens for each in kept} == {12}


@pytest.mark.slow
def test_the_peers_cache_of_requests_keeps_the_first_kwargs(tasks, here, monkeypatch):
    monkeypatch.setattr(peer_cache, "PATH", str(here / "requests"))
    lengths = []
    for length in (12, 5):
        model = Counting("a")
        kwargs = {"max_gen_toks": length}
        evaluated(model, tasks["text"], limit=2, cache_requests=True, gen_kwargs=kwargs)
        lengths.append(model.seen[0][1]["max_gen_toks"])
    assert lengths == [12, 12]


def test_samples_in_any_order_are_those_that_were_asked_for(tasks, here):
    (here / "only.json").write_text(json.dumps(["text/5", "text/2"]))
    plain = spec(tasks["text"], also={"only": str(here / "only.json"), "limit": 8})
    case = expand(experiment(plain))[0].experiment
    task = task_of(case.task, case.prompt)
    documents = local.documents()
    assert [sample.id for sample in task.samples] == ["text/5", "text/2"]
    assert [sample.record["question"] for sample in task.samples] == [
        documents[5]["question"],
        documents[2]["question"],
    ]


@pytest.mark.slow
def test_the_peer_logs_wrong_ids_for_unsorted_samples(tasks):
    found = evaluated(Counting("a"), tasks["text"], samples={"text": [5, 2]})
    documents = local.documents()
    (first, second) = found["samples"]["text"]
    assert first["doc_id"] == 5
    assert first["doc"]["question"] == documents[2]["question"]
    assert second["doc"]["question"] == documents[5]["question"]


def test_a_finished_run_is_scored_again_by_a_changed_filter(tasks, here):
    own = here / "text_filters.yaml"
    own.write_text(tasks["text_filters"].read_text())
    report = harness.run(experiment(spec(own)), directory=here / "out")
    before = harness.load_report(report.directory).report.cases[0]
    assert "exact_match@flexible-extract" in before.metrics
    own.write_text(own.read_text().replace("flexible-extract", "last-number"))
    from harness.report.recorded import recorded_results

    (after,) = rescored(list(recorded_results(report.directory)))
    assert "exact_match@last-number" in after.sample_metrics
    assert after.draws[0].completion == next(recorded_results(report.directory)).draws[0].completion


def test_the_peer_has_no_command_that_scores_or_compares_what_is_there():
    commands = HarnessCLI()._subparsers.choices
    assert set(commands) == {"run", "ls", "validate"}
    options = {word for each in commands["run"]._actions for word in each.option_strings}
    assert "--log_samples" in options
    assert not [word for word in options if "score" in word or "compare" in word]


@pytest.mark.slow
def test_two_runs_are_compared_in_pairs_with_multiplicity(tasks, here):
    plain = spec(tasks["choice"], intervention=MASK, axes={"intervention.count": [0, 8, 16]})
    report = harness.run(experiment({**plain, "dose": "intervention.count"}), directory=here / "a")
    harness.run(experiment({**plain, "dose": "intervention.count"}), directory=here / "b")
    versus = [case.versus_baseline["acc"] for case in report.report.cases if case.baseline]
    assert all(each.p_holm is not None and each.p_holm >= each.p for each in versus)
    assert all(each.better + each.worse + each.unchanged == 4 for each in versus)


def test_a_seed_reaches_every_request_whatever_stands_beside_it(tasks):
    one, other = (requests(spec(tasks["text_repeats"], seed=seed)) for seed in (1, 2))
    assert {each.key() for each in one}.isdisjoint(each.key() for each in other)
    assert len({each.key() for each in one}) == len(one) == 4 * 3
    engine = TransformersEngine(load("zoo/moe", device="cpu"))
    together = dict(engine.generate(one[:4]))
    alone = dict(engine.generate(list(reversed(one[:4]))))
    assert [together[i].tokens for i in range(4)] == [alone[3 - i].tokens for i in range(4)]


@pytest.mark.slow
def test_the_peers_seed_reaches_no_request(tasks):
    seen = []
    for seed in (1, 2):
        model = Counting("a")
        evaluated(model, tasks["text_repeats"], limit=2, torch_random_seed=seed, random_seed=seed)
        seen.append(model.seen)
    assert seen[0] == seen[1]


@pytest.mark.slow
def test_the_peers_draws_depend_on_what_stands_beside_them(tasks, models):
    said_by = []
    for batch_size in (1, 4):
        found = evaluated(hf(models, batch_size), tasks["text_repeats"], limit=4)
        said_by.append(said(found, "text_repeats"))
    assert said_by[0] != said_by[1]


def test_choices_of_a_context_are_one_scoring(tasks):
    scorings = requests(spec(tasks["choice"]))
    assert [len(each.continuations) for each in scorings] == [4] * 4


@pytest.mark.slow
def test_others_results_are_compared_in_pairs(tasks, here, monkeypatch):
    from lm_eval.loggers import EvaluationTracker

    runs = []
    for name, limit in (("a", None), ("b", 5)):
        tracker = EvaluationTracker(output_path=str(here / name))
        found = evaluated(Counting(name), tasks["choice"], evaluation_tracker=tracker, limit=limit)
        samples = found.pop("samples")
        tracker.save_results_aggregated(results=found, samples=samples)
        tracker.save_results_samples("choice", samples["choice"])
        runs.append(SavedRun.of(*report_of(here / name), name=name))
    (row,) = compare(*runs).rows
    assert (row.shared, row.sizes) == (5, (8, 5))
    assert row.versus.test == "mcnemar_exact"
