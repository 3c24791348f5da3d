"""The map of asking equals asking everywhere and going on, and costs a part of it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

import harness
from harness.engines.contract import Request, Stop
from harness.engines.transformers.drafts import DraftLength
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import SpecError
from harness.models.loading import load, load_config
from harness.models.size import weights_per_token
from harness.resolve.tasks import task_of
from harness.runs.checks import planned
from harness.sampling.chosen import SamplingRules
from harness.spec import TaskSettings, expand
from harness.spec import load as load_spec
from harness.tasks.conversations import render

ROOT = Path(__file__).parents[2]
_BENCH = importlib.util.spec_from_file_location("positions", ROOT / "benches/asking_positions.py")
positions = importlib.util.module_from_spec(_BENCH)
_BENCH.loader.exec_module(positions)
GREEDY = SamplingRules()
LIMIT, LENGTH, SAMPLES = 40, 10, 6
SPEC = f"""\
name: asked
model: zoo/base
task: {{name: micro_gsm8k, limit: {SAMPLES}}}
measure: value_of_asking
value_of_asking: {{model: zoo/oracle, length: {LENGTH}, hindsight: 2}}
sampling: {{max_new_tokens: {LIMIT}}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A report, and how many token positions passed through each model for it."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "spec.yaml").write_text(SPEC, "utf-8")
    with positions.passing() as passed:
        report = harness.run(
            folder / "spec.yaml", directory=folder / "report", store=folder / "store"
        )
    return report, passed


@pytest.fixture(scope="module")
def report(run):
    return run[0]


def naive(samples=SAMPLES, **rules):
    """v(t) by asking at every position and going on from there, sample by sample."""
    base, oracle = (
        TransformersEngine(load(f"zoo/{name}", device="cpu")) for name in ("base", "oracle")
    )
    task = task_of(TaskSettings(name="micro_gsm8k", limit=samples))
    drawing = SamplingRules(**rules)

    def made(engine, requests):
        found = dict(engine.generate(requests))
        return [found[at] for at in range(len(requests))]

    for sample in task.samples:
        prompt = tuple(render(base.tokenizer, task.prompt(sample, "assisted")))

        def asked(before, left, rules=GREEDY, prompt=prompt, name=sample.id):
            return Request(
                (*prompt, *before),
                left,
                sampling=rules,
                stop=Stop(),
                sample=name,
                continued=len(before),
            )

        (own,) = made(base, [asked((), LIMIT, drawing)])
        starts = [own.tokens[:at] for at in range(len(own.tokens))]
        said = made(oracle, [asked(b, min(LENGTH, LIMIT - len(b))) for b in starts])
        texts = []
        for before, help_ in zip(starts, said, strict=True):
            whole = (*before, *help_.tokens)
            text = help_.text
            if help_.finish_reason == "length" and len(whole) < LIMIT:
                ((_, rest),) = base.generate([asked(whole, LIMIT - len(whole), drawing)])
                text = rest.text
            texts.append(text)
        scores = task.score([(sample, "assisted", text) for text in [own.text, *texts]])
        right = [int(bool(score.correct)) for score in scores]
        yield sample.id, [each - right[0] for each in right[1:]]


def maps_of(report):
    return {
        sample: traces["worth"]
        for sample, traces in zip(report.samples["sample"], report.samples["traces"], strict=True)
    }


def test_the_map_is_that_of_asking_everywhere(report):
    maps = maps_of(report)
    expected = dict(naive())
    assert maps == expected
    assert any(value > 0 for values in expected.values() for value in values)


def test_a_model_that_draws_goes_on_by_the_same_noise_as_everywhere(tmp_path, report):
    drawing = SPEC
    changes = {"max_new": "temperature: 1, max_new", f"limit: {SAMPLES}": "limit: 2"}
    for old, new in (changes | {"hindsight: 2": "hindsight: 1"}).items():
        drawing = drawing.replace(old, new)
    (tmp_path / "spec.yaml").write_text(drawing, "utf-8")
    drawn = harness.run(
        tmp_path / "spec.yaml", directory=tmp_path / "report", store=tmp_path / "store"
    )
    maps = maps_of(drawn)
    assert maps == dict(naive(2, temperature=1.0))
    greedy = maps_of(report)
    assert any(maps[sample] != greedy[sample] for sample in maps)


def test_what_the_oracle_says_instead_stands_at_the_tokens_that_it_would_not_say(report):
    lines = (report.directory / "samples.jsonl").read_text("utf-8").splitlines()
    for line in map(json.loads, lines):
        starts = [at for at, _ in line.get("instead", [])]
        assert starts == sorted(set(starts))
        # Help that begins further ahead than it is long comes to nothing.
        worth = line["traces"]["worth"]
        assert all(any(0 <= p - at < LENGTH for p in starts) for at, v in enumerate(worth) if v)
    assert any("instead" in line for line in lines)


def test_it_computes_at_most_a_quarter(report):
    counts = report.report.cases[0].counts
    for model in ("oracle", "model"):
        assert counts[f"{model} positions"] <= 0.25 * counts[f"{model} positions, naive"]


@pytest.fixture
def steady(monkeypatch):
    """Drafts whose lengths do not go by the clock, so that what passes is the same in every run."""
    observe = DraftLength.observe_pass

    def observed(self, tokens, seconds):
        del seconds
        observe(self, tokens, 1e-3 + 2e-5 * tokens)

    monkeypatch.setattr(DraftLength, "observe_pass", observed)


def test_all_that_passes_is_at_most_a_quarter_of_what_naive_questions_take(steady):
    """Of base and oracle, apart and by their weights, at as many slots: prompts, padding, drafts,
    the base's own answers and their statistics included.
    """
    del steady
    ours, _ = positions.maps(SAMPLES, 5)
    naive = positions.Naive(SAMPLES, 5)
    assert naive.asked_alone(1) == naive.alone(1)
    for model in ("base", "oracle"):
        assert 0 < ours[model] <= 0.25 * naive.shared[model], (ours, naive.shared)
    computed, asked = (
        sum(each[model] * positions.WEIGHTS[model] for model in positions.WEIGHTS)
        for each in (ours, naive.shared)
    )
    assert computed <= 0.25 * asked


def test_the_oracle_reads_no_token_twice(run):
    """All of a prompt and an answer once, padded to each other, and what it says itself."""
    report, passed = run
    tokenizer = load("zoo/oracle", device="cpu").tokenizer
    lines = (report.directory / "samples.jsonl").read_text("utf-8").splitlines()
    texts = [line["prompt"] for line in map(json.loads, lines)]
    read = sum(len(ids) for ids in tokenizer(texts, add_special_tokens=False).input_ids)
    said = report.report.cases[0].counts["oracle positions"]
    assert read + said <= passed["oracle"] <= 1.25 * (read + said)


@pytest.mark.slow
def test_it_computes_at_most_a_quarter_of_either_model_s_on_64_samples_with_hindsight(tmp_path):
    """Base and oracle apart, and together by the weights that each reads for a token."""
    spec = ROOT / "specs/guided/guided_value.yaml"
    report = harness.run(spec, directory=tmp_path / "report", store=tmp_path / "store")
    (case,) = report.report.cases
    assert case.metrics["hindsight_0"].n == 64
    weights = {
        name: weights_per_token(load_config(f"zoo/{member}"))
        for name, member in (("model", "base"), ("oracle", "oracle"))
    }
    shares = {
        name: case.counts[f"{name} positions"] / case.counts[f"{name} positions, naive"]
        for name in weights
    }
    assert all(share <= 0.25 for share in shares.values()), shares
    computed, naive = (
        sum(case.counts[f"{name} positions{what}"] * weights[name] for name in weights)
        for what in ("", ", naive")
    )
    assert computed <= 0.25 * naive


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "zoo/oracle",
            "zoo/settled",
            r"yaml:5 value_of_asking.model: zoo/settled has other tokens than zoo/base: .*; use",
        ),
        ("zoo/oracle", "zoo/nothing", r"yaml:5 value_of_asking.model: .*zoo/nothing"),
        (
            "measure: v",
            "intervention: {kind: router_mask, points: {random: 0}, count: 0}\nmeasure: v",
            r"yaml:4 intervention: value_of_asking asks behind the model as it is, .*leave it out",
        ),
        (
            "max_new",
            "temperature: 1, draws: 2, max_new",
            "yaml:6 sampling.draws: 2 answers to a sample, of which value_of_asking has one; use 1",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_before_any_sample(tmp_path, old, new, told):
    (tmp_path / "spec.yaml").write_text(SPEC.replace(old, new), "utf-8")
    (case,) = expand(*load_spec(tmp_path / "spec.yaml"))
    with pytest.raises(SpecError, match=told):
        planned(case)


def test_hindsight_helps_and_more_of_it_no_less(report):
    case = report.report.cases[0]
    values = [case.metrics[f"hindsight_{calls}"].value for calls in range(3)]
    assert values == sorted(values)
    assert values[0] < values[1]
    assert case.metrics["hindsight_tokens_1"].value < 0.3
