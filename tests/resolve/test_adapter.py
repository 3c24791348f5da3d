from __future__ import annotations

import json
import shutil

import pytest

from harness.errors import FieldError, SpecError
from harness.interventions.adapter.description import Adapter
from harness.resolve.resolver import check_intervention
from harness.spec import load
from tests.adapters import written as written_adapter

SPEC = """\
name: own
model: zoo/settled
task: {name: micro_gsm8k, limit: 2}
intervention: %s
"""
CAKE = "{kind: adapter, organism: cake%s}"


@pytest.fixture
def checked(written):
    """What checking a section says, or nothing."""

    def check(section, model="zoo/settled"):
        text = (SPEC % section).replace("zoo/settled", model)
        experiment, source = load(written("own", text))
        try:
            check_intervention(experiment)
        except FieldError as error:
            return str(source.locate(error))
        return ""

    return check


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written_adapter(tmp_path_factory.mktemp("resolved") / "own")


def test_an_organisms_variant_and_a_folder_are_found(checked, folder):
    assert checked(CAKE % ", variant: mix1-0p5, scale: 0.5") == ""
    assert checked(f"{{kind: adapter, path: {folder}}}", "zoo/base") == ""


@pytest.mark.parametrize(
    ("section", "model", "words"),
    [
        (CAKE % ", variant: mix1-0p6", "zoo/settled", "has no variant mix1-0p6; did you mean m"),
        (CAKE % "", "zoo/moe", "was made of zoo/settled, and the model is zoo/moe; write model: z"),
        ("{kind: adapter, organism: cace}", "zoo/settled", r"cace is no organism .*mean cake\?"),
        ("{kind: adapter, path: ./nothing}", "zoo/settled", "nothing is no folder; give one that"),
        (
            "{kind: adapter, organism: cake_bake_gemma3_1B, variant: full}",
            "google/gemma-3-1b-it",
            "is a checkpoint and no adapter; write model: stewy33/gemma-3-1b-it-full",
        ),
    ],
)
def test_what_is_not_there_is_told_at_its_line(checked, section, model, words):
    import re

    told = checked(section, model)
    assert re.search(words, told), told
    assert told.startswith(("own.yaml:4 ", "specs/own.yaml:4 ")) or ":4 " in told
    assert "\n" not in told


def test_an_adapter_of_another_base_is_told_before_weights_are_loaded(checked, folder, tmp_path):
    section = f"{{kind: adapter, path: {folder}}}"
    assert "for states of 64 numbers, but the model's have 96" in checked(section, "zoo/moe")
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    config = other / "adapter_config.json"
    document = json.loads(config.read_text())
    config.write_text(json.dumps({**document, "base_model_name_or_path": "OWNER/NAME"}))
    section = f"{{kind: adapter, path: {other}}}"
    assert "was trained on OWNER/NAME, and the model is zoo/base; write" in checked(
        section, "zoo/base"
    )
    assert "has factors of model.layers.2." not in checked(section, "zoo/base")


def test_a_section_has_one_source(written):
    for section, words in (
        ("{kind: adapter}", "either a path or an organism"),
        ("{kind: adapter, path: ./x, organism: cake}", "either a path or an organism"),
        ("{kind: adapter, path: ./x, variant: y}", "variant y is of an organism"),
    ):
        with pytest.raises(SpecError, match=words):
            load(written("own", SPEC % section))


def test_a_description_is_read_back_and_tells_no_folder(folder):
    own = Adapter(content="0" * 64, folder=str(folder), name="cake/default", scale=0.5)
    assert Adapter.model_validate(own.model_dump()) == own
    assert own.described()["folder"] == folder.name
    assert own.in_words() == "cake/default x 0.5"
