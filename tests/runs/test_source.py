"""Cases that ask more after they saw replies: fluency, under the run's own model or another."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

import harness
from harness.engines.contract import Completion, Request, Scored, Scoring
from harness.engines.transformers.engine import TransformersEngine
from harness.engines.vllm.fitting import check_experiment
from harness.errors import FieldError, SpecError
from harness.models.loading import load, local_files
from harness.runs.forecast import forecast
from harness.runs.forecast_table import forecast_table
from harness.runs.plan import Address, Plan
from harness.runs.rescore import rescored
from harness.runs.session import Session
from harness.runs.source import CaseSource, follow
from harness.store.completions import CompletionStore
from harness.store.records import from_json, to_json
from tests.runs.small import cases, content, experiment, run_on, start

SWEEP = {"axes": {"intervention.count": [0, 30]}}
FLUENCY = {**SWEEP, "metrics": ["fluency"]}
BY_BASE = {**FLUENCY, "reference": "zoo/base"}


@pytest.fixture(scope="module")
def base():
    return load("zoo/base", device="cpu")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def run(asked, store):
    """The counts of a whole session with a store in this folder, and its results."""
    session = Session(store=CompletionStore(store))
    session.plan(asked)
    for case in asked:
        session.outcome(case)
    results = session.results()
    session.close()
    return session.counts, results


@torch.no_grad()
def nats(model, tokenizer, draw):
    """`[nats, tokens]` of a completion by a plain loop."""
    prompt = tokenizer(draw.prompt, add_special_tokens=False)["input_ids"]
    tokens = draw.completion.tokens
    scores = model(torch.tensor([[*prompt, *tokens]])).logits[0].log_softmax(-1)
    found = [float(scores[at - 1, token]) for at, token in enumerate(tokens, start=len(prompt))]
    return [-sum(found), len(tokens)]


def read_of(result, number):
    """The log-probabilities of a completion's tokens under the model that has read it."""
    (reply,) = result.replies["fluency"][result.draws[number].sample]
    return next(iter(reply.log_probabilities), ())


@pytest.mark.parametrize("fields", [FLUENCY, BY_BASE], ids=["itself", "another"])
def test_fluency_is_what_a_plain_loop_finds(loaded, base, fields):
    asked = cases(**fields)
    others = {"zoo/base": TransformersEngine(base)}
    run = run_on(TransformersEngine(loaded), asked, others=others)
    reader = base if fields is BY_BASE else loaded
    for result in [run.result(each) for each in (asked[0].baseline, *asked)]:
        assert result.status == "complete"
        for draw in result.draws:
            own = result.sample_metrics["fluency"][draw.sample]
            assert own == pytest.approx(nats(reader.model, loaded.tokenizer, draw), abs=1e-3)
        total, tokens = map(sum, zip(*result.sample_metrics["fluency"].values(), strict=True))
        found = result.kind("fluency").of(result.sample_metrics["fluency"].values())
        assert found == pytest.approx(total / tokens)
        assert from_json(to_json(result)) == result
    masked = run.result(asked[1])
    assert read_of(masked, 0) != pytest.approx(masked.draws[0].completion.log_probabilities)


def test_what_a_case_asks_later_changes_nothing_else(loaded):
    plain, more = cases(**SWEEP), cases(**FLUENCY)
    without, having = start(loaded, plain), start(loaded, more)
    for each, other in reversed([*zip(more, plain, strict=True)]):
        own, expected = content(having.result(each)), content(without.result(other))
        assert own["metrics"].pop("fluency")
        assert own == expected


def test_equal_completions_are_read_once(loaded, store):
    """The neutral dose says what the baseline has said."""
    counts, results = run(cases(**FLUENCY), store)
    said = [{(draw.sample, draw.completion.tokens) for draw in each.draws} for each in results]
    assert said[0] == said[1]
    assert counts.requests_total == counts.requests_done == 9 + len(set.union(*said))
    assert counts.requests_stored == 0


def test_a_reference_leaves_what_is_stored_and_a_rerun_makes_nothing(store):
    counts, _ = run(cases(**SWEEP), store)
    assert (counts.requests_stored, counts.loads) == (0, 1)
    counts, first = run(cases(**BY_BASE), store)
    assert counts.loads == 1, "the reference alone is loaded"
    assert counts.requests_stored >= 9
    counts, again = run(cases(**BY_BASE), store)
    assert (counts.requests_stored, counts.loads) == (counts.requests_total, 0)
    assert [content(each) for each in again] == [content(each) for each in first]


def test_a_model_reads_its_own_completions_without_a_second_one(store):
    counts, itself = run(cases(**FLUENCY), store)
    assert counts.loads == 1
    counts, named = run(cases(**FLUENCY, reference="zoo/moe"), store)
    assert (counts.requests_stored, counts.loads) == (counts.requests_total, 0)
    assert named[0].sample_metrics == itself[0].sample_metrics


@pytest.mark.parametrize("ended", [1, 5, 10, 12])
def test_a_run_that_was_cut_off_is_resumed(loaded, store, ended):
    """After so many replies, whatever they are to."""
    asked = cases(**FLUENCY)
    cut = run_on(TransformersEngine(loaded), asked, store=CompletionStore(store))
    for _ in range(ended):
        cut._stream.advance()
    cut.leave()
    resumed = run_on(TransformersEngine(loaded), asked, store=CompletionStore(store))
    whole = start(loaded, asked)
    for case in asked:
        assert content(resumed.result(case))["draws"] == content(whole.result(case))["draws"]
    assert resumed._counts.requests_stored >= ended


def test_workers_share_what_is_read_of_their_baselines(loaded, store):
    parts = dict(enumerate([[case] for case in cases(**FLUENCY)]))
    shared = CompletionStore(store)
    runs = [
        run_on(TransformersEngine(loaded), part, store=shared, parts=parts, part=number)
        for number, part in parts.items()
    ]
    results = [run.result(parts[number][0]) for number, run in enumerate(runs)]
    alone = start(loaded, [case for part in parts.values() for case in part])
    for result, part in zip(results, parts.values(), strict=True):
        expected = alone.result(part[0])
        assert read_of(result, 0) == pytest.approx(read_of(expected, 0), abs=1e-4)


def test_completions_that_are_scored_again_keep_what_was_read(loaded):
    asked = cases(**FLUENCY)
    run = start(loaded, asked)
    before = [run.result(each) for each in (asked[0].baseline, *asked)]
    after = rescored(before)
    assert [each.sample_metrics for each in after] == [each.sample_metrics for each in before]


def test_a_forecast_says_what_it_cannot_know(store):
    asked = cases(**BY_BASE)
    for stored in (0, 9):
        (told,) = forecast(asked, CompletionStore(store))
        assert (told.requests, told.stored, told.dependent) == (9, stored, 9)
        assert "up to 9 completions are read once more" in forecast_table([told], width=200)
        if not stored:
            run(asked, store)
    (plain,) = forecast(cases(**SWEEP), CompletionStore(store))
    assert plain.dependent == 0


def test_a_source_asks_about_what_came_and_has_tokens(loaded):
    """Of refused and empty completions there is nothing to read."""
    (case, _) = cases(**BY_BASE)
    source = CaseSource(case, Plan(loaded.tokenizer), None)
    first = dict(source.next(0, {}))
    assert all(isinstance(asked, Request) and place.step == 0 for place, asked in first.items())
    replies = [Completion((7, 8), "x", "stop"), Completion((), "", "error", error="no")]
    seen = dict(zip(first, [*replies, Completion((), "", "stop")], strict=True))
    ((place, asked),) = source.next(1, seen)
    (request, *_) = first.values()
    assert place == Address(case.id, case.task.samples[0].id, 0, step=1, metric="fluency")
    assert asked == Scoring(request.prompt, ((7, 8),), engine="zoo/base")
    assert source.next(2, {place: Scored(((-1.0, -2.0),))}) == []


def copied(folder, name, **changes):
    """zoo/base in a folder, with one of its JSON files changed."""
    found = local_files("zoo/base")
    target = folder / "copy"
    shutil.copytree(found, target)
    document = json.loads((target / name).read_text())
    document.update(changes)
    (target / name).write_text(json.dumps(document))
    return target


def test_what_the_reference_cannot_read_is_left_out_and_told(tmp_path, store):
    short = copied(tmp_path, "config.json", max_position_embeddings=64)
    fields = {**FLUENCY, "metric": "pass@1", "reference": str(short)}
    fields["sampling"] = {"max_new_tokens": 48}
    _, results = run(cases(**fields), store)
    for result in results:
        failed = result.failures.get("fluency", {})
        assert not failed.keys() & result.sample_metrics.get("fluency", {}).keys()
        if failed:
            (told,) = [each for each in result.warnings if "left out of it" in each]
            assert told.startswith(f"fluency failed for {len(failed)} of 3 samples")
            assert told.endswith("the model scores at most 65")
        assert from_json(to_json(result)) == result
    assert any(result.failures for result in results)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {**SWEEP, "reference": "zoo/base"},
            "reference: zoo/base reads completions, and no metric",
        ),
        (
            {**FLUENCY, "reference": "./nowhere"},
            r"reference: model folder \./nowhere does not exist",
        ),
    ],
)
def test_what_cannot_be_read_by_it_is_refused(fields, told):
    with pytest.raises(SpecError, match=told):
        cases(**fields)


def test_vllm_has_room_for_one_model():
    asked = experiment(**BY_BASE, engine={"name": "vllm"})
    with pytest.raises(FieldError, match="vllm gives a device's memory to one model"):
        check_experiment(asked)


def test_a_model_of_other_tokens_is_refused(tmp_path):
    folder = copied(tmp_path, "tokenizer.json")
    document = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = document["model"]["vocab"]
    one, two = list(vocabulary)[-2:]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    (folder / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(SpecError, match=r"reference: .* has another tokenizer than zoo/moe"):
        cases(**FLUENCY, reference=str(folder))


def test_a_run_reports_it_and_both_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fluent.yaml").write_text(
        "name: fluent\nmodel: zoo/moe\nreference: zoo/base\nmetrics: [fluency]\n"
        "task: {name: micro_gsm8k, limit: 3}\nsampling: {max_new_tokens: 16}\n"
        "intervention: {kind: router_mask, points: {random: 0}, count: 0}\n"
        "axes: {intervention.count: [0, 30]}\ngates: [fluency <= 20]\n"
    )
    report = harness.run(tmp_path / "fluent.yaml", directory=tmp_path / "report")
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    assert all(gate["holds"] for gate in written["gates"])
    assert {"fingerprint of zoo/moe", "fingerprint of zoo/base"} <= set(
        written["run"]["determinism"]
    )
    assert written["run"]["cost"]["model_loads"] == 2
    assert report.report.cases[-1].metrics["fluency"].value > 0


class Doubling:
    """Asks one more case at each step than there were results, until there are three."""

    def __init__(self, cases):
        self.cases = cases
        self.seen = []

    def next(self, step, observations):
        self.seen.append((step, list(observations)))
        return [] if len(observations) == 3 else self.cases[: len(observations) + 1]


def test_a_source_of_cases_sees_the_results_of_each_step_and_their_baselines(loaded):
    asked = cases(axes={"intervention.count": [0, 30, 60]})
    source = Doubling(asked)
    follow(source, lambda some: [start(loaded, some).result(each) for each in some])
    ids = [case.id for case in asked]
    assert source.seen == [(step, ids[:step]) for step in range(4)]
