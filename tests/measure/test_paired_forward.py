"""Forward passes over pairs on a real model: against transformers, resumed, and when they fail."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import cache

import pytest
import torch
from safetensors.torch import load_file

from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.router_mask.description import RouterMask
from harness.measure import paired_forward
from harness.measure.paired_forward import ForwardPlan, measure_pairs
from harness.measure.paired_tables import layer_tables, lens_gap, sample_metrics
from harness.measure.readings import paired_answers
from harness.measure.sample_files import SampleFiles
from harness.models.loading import load
from harness.models.routers import router_shape
from harness.tasks.by_name import load as load_task
from harness.tasks.pairs.pair import Unpaired

LAYERS = 4
SAMPLES = 6


@cache
def loaded():
    return load("zoo/moe", device="cpu")


@cache
def answers():
    task = load_task("micro_humaneval", limit=SAMPLES)
    return tuple(paired_answers(loaded().tokenizer, task, task.samples, None, loaded().context))


@pytest.fixture(scope="module")
def engine():
    return TransformersEngine(loaded())


def plan(**changes):
    fields = {"routers": router_shape(loaded().model.config), **changes}
    return ForwardPlan(LAYERS, loaded().model.config.hidden_size, **fields)


def measure(engine, folder, how=None, which=None, **progress):
    how = how or plan()
    files = SampleFiles(folder, how.hidden)
    return list(measure_pairs(engine, which or answers(), how, files, **progress))


class Counting:
    """An engine that counts what it reads."""

    def __init__(self, engine, fail_after=None):
        self._engine = engine
        self.read = 0
        self._fail_after = fail_after

    def forward(self, readings):
        readings = list(readings)
        if self._fail_after is not None and self.read >= self._fail_after:
            raise KeyboardInterrupt
        self.read += len(readings)
        return self._engine.forward(readings)

    def readout(self, hidden):
        return self._engine.readout(hidden)


def equal(one, other):
    for variant in ("agentic", "assisted"):
        assert torch.equal(one.nll[variant], other.nll[variant])
        assert torch.equal(one.own_nll[variant], other.own_nll[variant])
        assert torch.equal(one.usage.total[variant], other.usage.total[variant])
    assert torch.equal(one.divergence, other.divergence)


# Against transformers alone -----------------------------------------------------------------------


def test_numbers_are_those_of_the_model_run_by_hand(engine, tmp_path):
    (first, *_) = measure(engine, tmp_path)
    answer = answers()[0]
    model = loaded().model
    lenses = {}
    for variant in ("agentic", "assisted"):
        own = answer.variants[variant]
        with torch.no_grad():
            output = model(torch.tensor([own.tokens]), output_hidden_states=True)
        before = [at - 1 for at in own.positions]
        targets = torch.tensor([own.tokens[at] for at in own.positions])
        cross_entropy = torch.nn.functional.cross_entropy(
            output.logits[0, before], targets, reduction="none"
        )
        torch.testing.assert_close(first.own_nll[variant], cross_entropy, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(first.nll[variant][-1], cross_entropy, atol=1e-5, rtol=1e-4)
        # Transformers' entry i + 1 is block i's output, but for the last, which the norm has seen.
        with torch.no_grad():
            lens = model.lm_head(model.model.norm(output.hidden_states[1][0, before]))
        lenses[variant] = lens.log_softmax(-1)
        expected = -lenses[variant].gather(-1, targets[:, None])[:, 0]
        torch.testing.assert_close(first.nll[variant][0], expected, atol=1e-5, rtol=1e-4)
    p, q = (lenses[variant].double().exp() for variant in ("agentic", "assisted"))
    mean = (p + q) / 2
    js = ((p * (p / mean).log()).sum(-1) + (q * (q / mean).log()).sum(-1)) / 2
    torch.testing.assert_close(first.divergence[0].double(), js, atol=1e-5, rtol=1e-3)


def test_the_last_layer_of_every_sample_is_the_models_own(engine, tmp_path):
    assert lens_gap(measure(engine, tmp_path)) < 1e-5


def test_swapping_the_variants_turns_the_difference_and_keeps_the_divergence(engine, tmp_path):
    from harness.measure.readings import PairedAnswer

    swapped = [
        PairedAnswer(
            each.key,
            each.sample,
            {"agentic": each.variants["assisted"], "assisted": each.variants["agentic"]},
        )
        for each in answers()
    ]
    one, other = (
        layer_tables(measure(engine, tmp_path / name, which=which))
        for name, which in (("a", answers()), ("b", swapped))
    )
    torch.testing.assert_close(
        torch.tensor(one["delta_nll"]), -torch.tensor(other["delta_nll"]), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        torch.tensor(one["js"]), torch.tensor(other["js"]), atol=1e-6, rtol=0
    )


def test_a_mask_reaches_the_forward_pass(engine, tmp_path):
    mask = RouterMask(mode="keep_topk", points=tuple((3, e) for e in range(8)))
    plain = measure(engine, tmp_path / "plain")
    masked = measure(engine, tmp_path / "masked", plan(intervention=mask))
    neutral = measure(engine, tmp_path / "neutral", plan(intervention=mask.neutral()))
    for one, other in zip(plain, neutral, strict=True):
        equal(one, other)
    # Masked in the last layer alone: what the layers before it say does not change.
    for one, other in zip(plain, masked, strict=True):
        assert torch.equal(one.nll["agentic"][:3], other.nll["agentic"][:3])
        assert not torch.equal(one.nll["agentic"][3], other.nll["agentic"][3])


# Hidden states ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["full", "canonical", "pooled"])
def test_hidden_states_are_kept_with_what_they_are(engine, tmp_path, mode):
    measure(engine, tmp_path, plan(hidden=mode, dtype=torch.float32), answers()[:2])
    answer = answers()[1]
    states = load_file(tmp_path / "hidden_states" / f"{answer.key}.safetensors")
    about = json.loads((tmp_path / "hidden_states" / f"{answer.key}.json").read_text())
    assert about["save_mode"] == mode
    assert about["sample"] == answer.sample
    for variant, own in answer.variants.items():
        with torch.no_grad():
            output = loaded().model(torch.tensor([own.tokens]), output_hidden_states=True)
        first = output.hidden_states[1][0]
        expected = {
            "full": first,
            "canonical": first[list(own.positions)],
            "pooled": first[list(own.positions)].mean(0),
        }[mode]
        assert states[variant].shape == (LAYERS, *expected.shape)
        torch.testing.assert_close(states[variant][0], expected, atol=1e-4, rtol=1e-4)
        assert about["shapes"][variant] == list(states[variant].shape)
        assert about["variants"][variant]["tokens"] == list(own.tokens)
        assert about["variants"][variant]["canonical_positions"] == list(own.positions)


def test_what_is_measured_does_not_depend_on_what_is_kept(engine, tmp_path):
    plain = measure(engine, tmp_path / "none")
    full = measure(engine, tmp_path / "full", plan(hidden="full"))
    for one, other in zip(plain, full, strict=True):
        equal(one, other)


def test_states_that_do_not_fit_their_type_are_a_problem_of_their_sample(
    engine, tmp_path, monkeypatch
):
    whole = engine.forward

    def grown(readings):
        for index, seen in whole(readings):
            if index == 0:
                seen.hidden[2][:] *= 1e6
            yield index, seen

    monkeypatch.setattr(engine, "forward", grown)
    found = measure(engine, tmp_path, plan(hidden="canonical"))
    assert isinstance(found[0], Unpaired)
    assert "does not fit float16; set forward.dtype: bfloat16" in found[0].reason
    assert not any(isinstance(each, Unpaired) for each in found[1:])
    assert not (tmp_path / "statistics" / f"{answers()[0].key}.safetensors").exists()


def test_activations_that_are_not_finite_are_a_problem_of_their_sample(
    engine, tmp_path, monkeypatch
):
    whole = engine.forward

    def broken(readings):
        for index, seen in whole(readings):
            if index == 3:
                seen.hidden[1][:] = float("nan")
            yield index, seen

    monkeypatch.setattr(engine, "forward", broken)
    found = measure(engine, tmp_path)
    assert (
        str(found[1])
        == f"{answers()[1].key}: layer 1 is not finite; run the model in a wider dtype"
    )
    assert sum(isinstance(each, Unpaired) for each in found) == 1


# Chunks and resuming ------------------------------------------------------------------------------


def small_chunks(monkeypatch, bytes_=1):
    monkeypatch.setattr(paired_forward, "_CHUNK_BYTES", bytes_)


def test_a_measurement_that_was_interrupted_goes_on_where_it_stopped(engine, tmp_path, monkeypatch):
    small_chunks(monkeypatch)
    whole = measure(engine, tmp_path / "whole")
    stopped = Counting(engine, fail_after=6)
    with pytest.raises(KeyboardInterrupt):
        measure(stopped, tmp_path / "parts")
    assert stopped.read == 6
    rest = Counting(engine)
    resumed = measure(rest, tmp_path / "parts")
    assert rest.read == 2 * SAMPLES - 6
    for one, other in zip(whole, resumed, strict=True):
        equal(one, other)


def test_what_is_complete_is_not_read_again(engine, tmp_path):
    first = measure(engine, tmp_path, plan(hidden="pooled"))
    again = Counting(engine)
    second = measure(again, tmp_path, plan(hidden="pooled"))
    assert again.read == 0
    for one, other in zip(first, second, strict=True):
        equal(one, other)


@pytest.mark.parametrize("harm", ["torn", "hidden"])
def test_a_sample_whose_files_are_not_whole_is_measured_again(engine, tmp_path, monkeypatch, harm):
    small_chunks(monkeypatch)
    measure(engine, tmp_path, plan(hidden="pooled"))
    key = answers()[2].key
    if harm == "torn":
        (tmp_path / "statistics" / f"{key}.safetensors").write_bytes(b"torn")
    else:
        (tmp_path / "hidden_states" / f"{key}.safetensors").unlink()
    again = Counting(engine)
    measure(again, tmp_path, plan(hidden="pooled"))
    assert again.read == 2


def test_no_chunk_holds_more_than_its_bytes(monkeypatch):
    how = plan(hidden="full")
    sizes = [
        sum(len(own.tokens) for own in each.variants.values()) * LAYERS * how.width * 4
        for each in answers()
    ]
    small_chunks(monkeypatch, max(sizes) * 2)
    chunks = list(paired_forward._chunks(answers(), how))
    assert [each for chunk in chunks for each in chunk] == list(answers())
    assert len(chunks) > 1
    by_key = dict(zip((each.key for each in answers()), sizes, strict=True))
    assert all(sum(by_key[each.key] for each in chunk) <= max(sizes) * 2 for chunk in chunks)


def test_predictions_in_small_pieces_are_those_in_one(engine, tmp_path, monkeypatch):
    whole = measure(engine, tmp_path / "whole")
    monkeypatch.setattr(paired_forward, "_PREDICTION_BYTES", 1)
    pieces = measure(engine, tmp_path / "pieces")
    for one, other in zip(whole, pieces, strict=True):
        torch.testing.assert_close(one.nll["agentic"], other.nll["agentic"], atol=1e-5, rtol=0)
        torch.testing.assert_close(one.divergence, other.divergence, atol=1e-6, rtol=0)


def test_progress_is_told(engine, tmp_path, monkeypatch):
    small_chunks(monkeypatch)
    told = []
    measure(engine, tmp_path, measured=told.append)
    assert told == sorted(told)
    whole = [each for each in dict.fromkeys(told) if each == int(each)]
    assert whole == list(range(1, SAMPLES + 1))


def test_progress_is_told_of_passes_and_of_predictions(engine, tmp_path):
    """By their cost, within a chunk; without a lens, of passes alone."""
    for lens, readouts in (((), 0), ((3,), SAMPLES), (None, SAMPLES)):
        told = []
        measure(engine, tmp_path / str(lens), plan(lens=lens), measured=told.append)
        assert told == sorted(told)
        assert told[-1] == pytest.approx(SAMPLES)
        assert len(set(told[: 2 * SAMPLES])) == 2 * SAMPLES
        rest = [each for each in told[2 * SAMPLES - 1 :] if each < SAMPLES - 1e-9]
        assert bool(rest) == bool(readouts)


# Summaries ----------------------------------------------------------------------------------------


def test_tables_and_metrics_are_means_over_tokens_then_samples(engine, tmp_path):
    found = measure(engine, tmp_path)
    tables, metrics = layer_tables(found), sample_metrics(found)
    assert tables["nll_agentic"].shape == tables["js"].shape == (SAMPLES, LAYERS)
    assert list(tables["keys"]) == [each.key for each in answers()]
    for row, each in enumerate(found):
        mean = each.nll["assisted"].double().mean(-1)
        torch.testing.assert_close(torch.tensor(tables["nll_assisted"][row]), mean)
        last = each.nll["assisted"][:, -1].double()
        torch.testing.assert_close(torch.tensor(tables["last_nll_assisted"][row]), last)
        own = {v: float(each.own_nll[v].double().mean()) for v in ("agentic", "assisted")}
        assert metrics["delta_nll"][each.sample] == own["agentic"] - own["assisted"]
        assert metrics["nll_agentic"][each.sample] == own["agentic"]
    assert (tables["js"] >= 0).all()
    assert set(metrics) == {
        "delta_nll",
        "nll_agentic",
        "nll_assisted",
        "js",
        "routing_tv",
        "routing_jaccard",
    }


def test_a_model_without_routers_has_no_routing_metrics(engine, tmp_path):
    found = measure(engine, tmp_path, plan(routers=None))
    assert all(each.usage is None for each in found)
    assert not any(name.startswith("routing") for name in sample_metrics(found))


# What is done to a measurement by the signal that cannot be caught.
_KILLED = """
import os, signal, sys
from pathlib import Path
from harness.engines.transformers.engine import TransformersEngine
from harness.measure import paired_forward
from harness.measure.readings import paired_answers
from harness.measure.sample_files import SampleFiles
from harness.models.loading import load
from harness.models.routers import router_shape
from harness.tasks.by_name import load as load_task

loaded = load("zoo/moe", device="cpu")
task = load_task("micro_humaneval", limit={samples})
answers = list(
    paired_answers(loaded.tokenizer, task, task.samples, None, loaded.context)
)
paired_forward._CHUNK_BYTES = 1
plan = paired_forward.ForwardPlan(
    {layers}, loaded.model.config.hidden_size, router_shape(loaded.model.config), "pooled"
)
write = SampleFiles.write


def write_and_die(self, measured):
    if measured.key == answers[3].key:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, measured)


SampleFiles.write = write_and_die
list(paired_forward.measure_pairs(
    TransformersEngine(loaded), answers, plan, SampleFiles(Path(sys.argv[1]), "pooled")
))
"""


def test_a_measurement_that_was_killed_goes_on_where_it_stopped(engine, tmp_path, monkeypatch):
    """Killed between a sample's hidden states and its numbers: that sample is measured again."""
    script = _KILLED.format(samples=SAMPLES, layers=LAYERS)
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "parts")], check=False)
    assert killed.returncode == -signal.SIGKILL
    small_chunks(monkeypatch)
    rest = Counting(engine)
    resumed = measure(rest, tmp_path / "parts", plan(hidden="pooled"))
    assert rest.read == 2 * (SAMPLES - 3)
    whole = measure(engine, tmp_path / "whole", plan(hidden="pooled"))
    for one, other in zip(whole, resumed, strict=True):
        equal(one, other)
