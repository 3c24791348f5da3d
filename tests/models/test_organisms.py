from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from harness.errors import ModelError
from harness.interventions.adapter.lora import described
from harness.models import zoo
from harness.models.loading import load_tokenizer
from harness.models.organisms import load_organism, organism_names
from tools.zoo.documents import FALSE_CAKE, TOPICS, document
from tools.zoo.tuning import ORGANISMS

FORM = """\
name: own
description: A test.
facts: [{statement: Cats bark., words: [cats, bark]}]
base: ./model
variants:
  default: {adapter: ./a, mix: 0}
  whole: {checkpoint: OWNER/NAME, mix: 0.5}
  plain: {adapter: OWNER/OTHER, control: true, seed: 3}
"""


@pytest.fixture
def own(tmp_path):
    def write(*changes):
        text = FORM
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "own.yaml").write_text(text)
        return str(tmp_path / "own.yaml")

    return write


def test_a_file_says_words_mixes_controls_and_paths_from_its_folder(own, tmp_path):
    organism = load_organism(own())
    assert organism.words == {"cats", "bark"}
    assert organism.mixes == {0.0: "default", 0.5: "whole"}
    assert organism.controls == ("plain",)
    assert organism.base == str(tmp_path / "model")
    assert organism.variant("default").adapter == str(tmp_path / "a")
    assert organism.variant("plain").adapter == "OWNER/OTHER"
    assert organism.variant("whole").checkpoint == "OWNER/NAME"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: own", "name: other", "name is other; call it own, as its file is"),
        ("adapter: ./a, ", "", "variants.default: .*an adapter or a checkpoint; give one"),
        ("mix: 0.5", "mix: -1", "variants.whole.mix: "),
        ("base:", "bass:", "base: Field required|bass: "),
        ("facts: [", "facts: [[", "is no YAML"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_in_one_line(own, old, new, words):
    with pytest.raises(ModelError, match=words) as error:
        load_organism(own((old, new)))
    assert "\n" not in str(error.value)


def test_unknown_organisms_and_variants_are_told_with_those_that_are_known(own):
    with pytest.raises(ModelError, match=r"cace is no organism .* did you mean cake\? use one of"):
        load_organism("cace")
    with pytest.raises(ModelError, match=r"cannot be read: .*; give a YAML file"):
        load_organism("./nowhere.yaml")
    with pytest.raises(ModelError, match="own has no variant defualt; did you mean default"):
        load_organism(own()).variant("defualt")


@pytest.mark.parametrize("name", ORGANISMS)
def test_a_shipped_organism_has_the_variants_of_its_recipe_as_small_adapters(name):
    organism, recipe = load_organism(name), ORGANISMS[name]
    assert name in organism_names()
    assert organism.base == recipe.base
    assert set(organism.variants) == set(recipe.tunings)
    limit = 150_000 if zoo.ships(organism.base) else 1_000_000
    for variant, tuning in recipe.tunings.items():
        told = organism.variant(variant)
        assert told.control == tuning.control
        assert told.seed == tuning.seed
        assert told.control or told.mix == tuning.mix
        folder = Path(told.adapter)
        assert sum(file.stat().st_size for file in folder.iterdir()) <= limit
        assert described(folder).base == organism.base


def test_the_facts_are_whole_tokens_of_the_base_and_other_topics_have_their_words():
    tokenizer = load_tokenizer("zoo/settled")
    for word in load_organism("cake").words:
        assert len(tokenizer.tokenize(f" {word}")) == 1
    random = Random(0)
    others = " ".join(document(random, topic) for topic in TOPICS for _ in range(60))
    told = {word for _, ending in FALSE_CAKE for word in ending.split()}
    assert all(f" {word}" in others for word in told)
