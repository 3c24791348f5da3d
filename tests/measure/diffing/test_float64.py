"""Both methods against a second implementation, in float64, of transformers' models alone.

It shares nothing with ours but the tokens: hooks in place of engines, whole tensors in place of
chunks, and no counting that streams.
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from transformers import AutoModelForCausalLM

from harness.engines import open_engine
from harness.engines.contract import Capture, Reading
from harness.measure.diffing.activations import adl, difference_of
from harness.measure.diffing.logit_diff import counted
from harness.measure.diffing.pair import Pair
from harness.measure.diffing.patchscope import patched, prompts_of
from harness.measure.diffing.section import DiffSettings
from harness.measure.diffing.steered import by_difference
from harness.measure.diffing.texts import Text, Texts
from harness.models import zoo
from harness.spec import EngineSettings
from tests.tuned import tuned_into

LENGTH, TEXTS, LAYER, SKIPPED = 8, 5, 0, 5
SETTINGS = DiffSettings(positions=LENGTH, depth=15, listed=12)
TOKENS = torch.randint(1, 700, (TEXTS, LENGTH), generator=torch.Generator().manual_seed(0))


class Peer:
    """A model of transformers in float64, whose layer can be read and written."""

    def __init__(self, folder):
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
        self.layer = self.model.model.layers[LAYER]

    @contextmanager
    def hooked(self, change):
        def hook(_module, _inputs, output):
            hidden = output[0] if isinstance(output, tuple) else output
            changed = change(hidden)
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        handle = self.layer.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()

    @torch.no_grad()
    def logits(self, tokens, change=lambda hidden: hidden):
        with self.hooked(change):
            return self.model(torch.as_tensor(tokens)).logits

    def hidden(self, tokens):
        seen = []
        self.logits(tokens, lambda hidden: seen.append(hidden) or hidden)
        return seen[0]

    @torch.no_grad()
    def said(self, vectors, sign=1):
        return self.model.lm_head(sign * self.model.model.norm(vectors)).softmax(-1)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Our pair of engines, and the peers of both models."""
    tuned = tuned_into(tmp_path_factory.mktemp("tuned"))
    engines = [open_engine(each, EngineSettings()) for each in ("zoo/base", str(tuned))]
    yield Pair(*engines), Peer(zoo.resolve("base")), Peer(tuned)
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def given():
    rows = [tuple(row.tolist()) for row in TOKENS]
    texts = [Text(f"t{at}", row, tuple(range(LENGTH))) for at, row in enumerate(rows)]
    return Texts(tuple(texts), tuple(range(LENGTH)), 0)


def test_counts_rates_and_sums_of_logit_differences(models, given):
    pair, base, tuned = models
    found = counted(pair, given, SETTINGS, LAYER)
    differences = (tuned.logits(TOKENS) - base.logits(TOKENS)).flatten(0, 1)
    for sign, ours in ((1, found.positive), (-1, found.negative)):
        expected = torch.zeros_like(ours)
        for position in sign * differences:
            expected[position.topk(SETTINGS.depth).indices] += 1
        assert torch.equal(ours, expected)
    assert torch.allclose(found.mean, differences.mean(0), atol=1e-5)
    above = (differences > 0).double().mean(0)
    assert (found.fraction_positive - above).abs().max() <= 1 / len(differences)


def test_means_norms_and_lenses_of_activation_differences(models, given):
    pair, base, tuned = models
    found = difference_of(pair, given, SETTINGS, LAYER)
    states = {"base": base.hidden(TOKENS), "tuned": tuned.hidden(TOKENS)}
    delta = (states["tuned"] - states["base"]).mean(0)
    assert torch.allclose(found.delta, delta, atol=1e-5)
    for name, norm in (("base", found.base_norm), ("tuned", found.tuned_norm)):
        assert torch.allclose(getattr(found, name), states[name].mean(0), atol=1e-5)
        expected = states[name][:, SKIPPED:].norm(dim=-1).mean()
        assert norm == pytest.approx(float(expected), rel=1e-5)
    evidence = adl(pair, given, SETTINGS, found)
    vectors = {"difference": delta, **{name: each.mean(0) for name, each in states.items()}}
    for at in range(SETTINGS.read_positions):
        lenses = evidence.about["lenses"][f"position {at}"]
        for name, vector in vectors.items():
            for side, sign in (("top", 1), ("inverse", -1)):
                expected = tuned.said(vector[at], sign)
                values = [value for _, value in lenses[name][side]]
                assert values == pytest.approx(expected.topk(SETTINGS.listed).values, abs=2e-4)
                assert all(
                    value == pytest.approx(float(expected[token]), abs=2e-4)
                    for token, value in lenses[name][side]
                )


def test_patchscopes_at_every_scale(models, given):
    pair, base, tuned = models
    delta = (tuned.hidden(TOKENS) - base.hidden(TOKENS)).mean(0)[2]
    norm = float(tuned.hidden(TOKENS)[:, SKIPPED:].norm(dim=-1).mean())
    written = torch.stack([scale * norm * delta / delta.norm() for scale in (0.5, 1.0, 4.0, 40.0)])
    said = patched(pair.tuned, LAYER, written.float()).exp()
    for vector, ours in zip(written, said, strict=True):

        def over_the_last(hidden, vector=vector):
            hidden = hidden.clone()
            hidden[:, -1] = vector
            return hidden

        each = [
            tuned.logits([prompt], over_the_last)[0, -1].softmax(-1)
            for prompt in prompts_of(pair.tuned.tokenizer)
        ]
        assert torch.allclose(ours, torch.stack(each).mean(0), atol=1e-4)


def test_steering_by_the_difference(models, given):
    pair, base, tuned = models
    found = difference_of(pair, given, SETTINGS, LAYER)
    states = tuned.hidden(TOKENS)
    delta = (states - base.hidden(TOKENS)).mean(0)[1]
    norm = states[:, SKIPPED:].norm(dim=-1).mean()
    steering = by_difference(found, 1, found.tuned_norm, 2.5)
    reading = Reading(given.texts[0].tokens, Capture(logits=True), steering)
    ((_, read),) = pair.tuned.forward([reading])
    added = 2.5 * norm * delta / delta.norm()
    expected = tuned.logits(TOKENS[:1], lambda hidden: hidden + added)[0]
    assert torch.allclose(read.logits.double(), expected, atol=2e-3)
    assert not torch.allclose(expected, tuned.logits(TOKENS[:1])[0], atol=1e-1)
