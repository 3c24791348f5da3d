"""Guided inference between models of different tokens, from a spec to the samples of its report."""

from __future__ import annotations

import pytest

import harness
from harness.engines.contract import Completion
from harness.engines.decoding.translation import InexactError, Translation
from harness.models import zoo
from harness.models.loading import load_tokenizer

SMOLLM2 = "zoo/smollm2"
SPEC = """\
name: translated
model: {model}
task: {{name: micro_gsm8k, limit: 2}}
intervention:
  kind: oracle
  model: {oracle}
  tokens: text
  length: {length}
  step: 4
  trigger: {{kind: every_n, n: {n}}}
sampling: {{max_new_tokens: 24}}
axes: {{intervention.budget: [0, 2, inf]}}
dose: intervention.budget
gates: [neutral_equals_baseline]
"""
PLAIN = """\
name: plain
model: {model}
task: {{name: micro_gsm8k, limit: 2}}
sampling: {{max_new_tokens: 24}}
"""


def report(folder, name, text):
    (folder / f"{name}.yaml").write_text(text, "utf-8")
    return harness.run(
        folder / f"{name}.yaml", directory=folder / name, store=folder / "store"
    ).samples.set_index(["case", "sample"])


@pytest.mark.slow
@pytest.mark.skipif(zoo.lacking(SMOLLM2) is not None, reason=f"{zoo.lacking(SMOLLM2)}")
def test_a_real_model_and_one_of_the_zoo_write_one_answer(tmp_path):
    """Never asked it is the model's own, always asked the oracle's, and between them each has said
    what its author says.
    """
    model, oracle = SMOLLM2, "zoo/base"
    own, other = (load_tokenizer(each) for each in (model, oracle))
    helped = report(tmp_path, "translated", SPEC.format(model=model, oracle=oracle, length=6, n=2))
    always = report(tmp_path, "always", SPEC.format(model=model, oracle=oracle, length="inf", n=1))
    alone = report(tmp_path, "alone", PLAIN.format(model=oracle))
    for sample in {sample for _, sample in helped.index}:
        base = helped.loc["translated[baseline]", sample]
        neutral, some, most = (
            helped.loc[f"translated[budget={budget}]", sample] for budget in (0, 2, "inf")
        )
        assert neutral["completion"] == base["completion"]
        for each in (some, most):
            assert each["finish_reason"] in ("stop", "length"), each
            author = each["traces"]["author"]
            assert len(author) == each["tokens"] <= 24
            assert author[0] == 1  # who is asked at every second occasion is asked at the first
        assert max(some["traces"]["author"]) <= 2
        # What the oracle has said first is the beginning of its own answer, to the character.
        said = alone.loc["plain", sample]["completion"]
        first = [at for at, number in enumerate(some["traces"]["author"]) if number == 1]
        pieces = own(some["completion"], add_special_tokens=False)["input_ids"][: len(first)]
        begun = own.decode(pieces)
        assert said.startswith(begun) or begun.startswith(said), (begun, said)
        assert len(other(begun, add_special_tokens=False)["input_ids"]) <= 6 + 1
        whole = always.loc["translated[budget=inf]", sample]["completion"]
        assert whole
        assert said.startswith(whole) or whole.startswith(said), (whole, said)


def test_what_is_said_goes_on_from_what_was_there():
    own, other = load_tokenizer("zoo/base"), load_tokenizer("zoo/settled")
    translation = Translation(own, other)
    before = own("Tom has 3", add_special_tokens=False)["input_ids"]
    words = other(" pens.", add_special_tokens=False)["input_ids"]
    completion = Completion(tuple(words), " pens.", "length", (-0.5,) * len(words))
    said = translation.said(before, completion, limit=len(before) + 30)
    assert own.decode([*before, *said.tokens]) == "Tom has 3 pens."
    assert (said.finish_reason, said.log_probabilities) == ("length", ())
    cut = translation.said(before, completion, limit=len(before) + 1)
    assert (len(cut.tokens), cut.finish_reason) == (1, "length")
    assert "Tom has 3 pens.".startswith(cut.text)


class Lossy:
    """A tokenizer that writes small letters for large ones, as some do."""

    all_special_ids = ()

    def __call__(self, text, **_):
        return {"input_ids": [ord(letter) for letter in text.lower()]}

    def decode(self, tokens, **_):
        return "".join(map(chr, tokens))


def test_a_text_that_does_not_come_back_is_quoted():
    own = load_tokenizer("zoo/base")
    tokens = own("Tom has 3", add_special_tokens=False)["input_ids"]
    with pytest.raises(InexactError, match="'Tom has 3' is not read back as it is by the other"):
        Translation(own, Lossy()).to(tokens)
    completion = Completion(tuple(map(ord, "Pens")), "Pens", "length")
    with pytest.raises(InexactError, match="'Pens' is not read back"):
        Translation(Lossy(), Lossy()).said([], completion, limit=9)
