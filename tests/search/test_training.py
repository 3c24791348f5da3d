"""What any configuration of a space could train on is in neither of the other splits."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, IntDistribution

from harness.errors import SpecError, TaskError, TitrateError
from harness.interventions.dac.section import DacSettings
from harness.interventions.steering.section import FileVector
from harness.resolve.contrast_pairs import pairs_for
from harness.resolve.resolver import check_intervention
from harness.search.setup import read_search, set_up
from harness.search.splits import pair_contents, sample_contents
from harness.search.training import check_trained
from harness.tasks.micro_gsm8k import MicroGSM8K
from tests.search.small import SPEC, write_spec

ASKED = [sample.record["question"] for sample in MicroGSM8K.load().samples]
STEERING = SPEC["intervention"]
DAC = {"kind": "dac", "properties": [{"pairs": "styles"}], "strongest": 0}
TEN = {"validation": 10, "test": 10}
PAIRS, VECTOR = "intervention.vector.pairs", "intervention.vector"


def write_pairs(path, questions):
    """A file of pairs that ask these questions."""
    sides = {"positive": " Yes.", "negative": " No."}
    lines = [json.dumps({"prompt": question, **sides}) + "\n" for question in questions]
    path.write_text("".join(lines))
    return str(path)


@pytest.fixture
def leaking(tmp_path):
    """Pairs that ask the first 100 of the task's 164 problems."""
    return write_pairs(tmp_path / "leaking.jsonl", ASKED[:100])


def ready(folder, **changes):
    experiment, source = read_search(write_spec(folder, **changes))
    return set_up(experiment, source, folder)


def evaluated(found):
    """The texts of all validation and test samples."""
    tasks = (found.splits.validation, found.splits.test)
    return {text for task in tasks for texts in sample_contents(task).values() for text in texts}


LEAKS = {
    "other pairs": (STEERING, PAIRS, ["answers", "./leaking.jsonl"]),
    "another vector": (STEERING, VECTOR, [{"pairs": "answers"}, {"pairs": "./leaking.jsonl"}]),
    "several vectors": (
        STEERING,
        VECTOR,
        [[{"pairs": "answers"}, {"pairs": "./leaking.jsonl", "layer": 1}]],
    ),
    "more samples": (
        {**STEERING, "vector": {"pairs": "./leaking.jsonl", "samples": 2}},
        "intervention.vector.samples",
        {"low": 2, "high": 100},
    ),
    "a probe's condition": (
        STEERING,
        "intervention",
        [
            {
                **STEERING,
                "vector": {"pairs": "./leaking.jsonl", "method": "probe"},
                "only_if": {"kind": "probe", "threshold": 0.5},
            }
        ],
    ),
    "a property's own pairs": (
        {**DAC, "properties": [{"pairs": "./leaking.jsonl"}]},
        "intervention.strongest",
        [0, 1],
    ),
    "another property": (
        DAC,
        "intervention.properties",
        [[{"pairs": "styles"}, {"pairs": "./leaking.jsonl"}]],
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_pairs_that_ask_evaluated_problems_take_them_out_of_the_splits(tmp_path, leaking, name):
    intervention, field, values = LEAKS[name]
    space = {field: values}
    found = ready(tmp_path, intervention=intervention, space=space, splits=TEN)
    read = 100 if name == "more samples" else 64 if "propert" not in name else 30
    assert found.splits.left_out == read
    trained = {text for texts in list(sample_contents(MicroGSM8K.load()).values())[:read]
               for text in texts}  # fmt: skip
    assert not evaluated(found) & trained
    wanted = {"validation": 50, "test": 165 - 50 - read}
    with pytest.raises(SpecError) as raised:
        ready(tmp_path, intervention=intervention, space=space, splits=wanted)
    assert f"search.splits: 50 validation and {115 - read} test samples asked for" in str(
        raised.value
    )
    assert f"{read} of whose 164 are in train" in str(raised.value)


@pytest.mark.parametrize("name", LEAKS)
def test_train_caps_the_pairs_of_every_configuration(tmp_path, leaking, name):
    intervention, field, values = LEAKS[name]
    values = {"low": 2, "high": 5} if name == "more samples" else values
    space, splits = {field: values}, {**TEN, "train": 5}
    found = ready(tmp_path, intervention=intervention, space=space, splits=splits)
    assert {len(each.pairs) for each in found.pair_sets} == {5}
    assert found.splits.left_out == 5
    for experiment in everything(found.space):
        assert all(section.samples <= 5 for section in sections(experiment.intervention))


def test_more_pairs_than_train_are_refused(tmp_path, leaking):
    choices = [{"pairs": "answers"}, {"pairs": "./leaking.jsonl", "samples": 6}]
    changes = {"space": {VECTOR: choices}, "splits": {**TEN, "train": 5}}
    with pytest.raises(SpecError) as found:
        ready(tmp_path, **changes)
    assert str(found.value) == (
        f"{tmp_path}/small.yaml:25 search.splits.train: 5 pairs asked for, but search.space has a "
        f"choice with 6 samples of {leaking}; write at most 5 there, or 6 here"
    )


def test_a_quick_look_caps_what_is_written_in_the_space(tmp_path, leaking):
    choices = [{"pairs": "answers"}, {"pairs": "./leaking.jsonl", "samples": 5}]
    spec = write_spec(tmp_path, space={VECTOR: choices}, splits={**TEN, "train": 5})
    found = set_up(*read_search(spec, ["task.limit=4"]), tmp_path)
    assert [len(each.pairs) for each in found.pair_sets] == [4, 4]


def test_fewer_pairs_than_asked_for_are_refused_in_every_choice(tmp_path):
    write_pairs(tmp_path / "short.jsonl", ASKED[:3])
    with pytest.raises(SpecError, match=r"8 pairs asked for, but .*short\.jsonl has 3; ask for"):
        ready(tmp_path, space={PAIRS: ["answers", "./short.jsonl"]})


def test_training_problems_that_are_evaluated_are_refused_at_any_count(material, tmp_path):
    """Each choice by itself reads none of them: the fifth problem is the first evaluated one."""
    changes = {
        "intervention": {**STEERING, "vector": {"pairs": "answers", "samples": 4}},
        "space": {
            "intervention.vector.data": [None, f"{material}/mixed.jsonl"],
            "intervention.vector.samples": {"low": 2, "high": 6},
        },
        "splits": TEN,
    }
    with pytest.raises(SpecError, match=r"small\.yaml:\d+ search\.space: 6 pairs: .*mixed.jsonl: "
                       "problem 5 is MicroGSM8K/0 of the evaluation"):  # fmt: skip
        ready(tmp_path, **changes)
    changes["space"]["intervention.vector.samples"]["high"] = 4
    found = ready(tmp_path, **changes)
    assert [len(each.pairs) for each in found.pair_sets] == [4, 4]


def test_the_study_is_of_all_pairs_that_it_could_read(tmp_path, leaking):
    changes = {"space": {PAIRS: ["answers", "./leaking.jsonl"]}, "splits": {**TEN, "train": 5}}
    found = ready(tmp_path, **changes)
    assert [each.source for each in found.pair_sets] == ["answers", leaking]
    known = found.identity["search.pairs"]
    assert [each["count"] for each in known] == [5, 5]
    again = ready(tmp_path, **changes)
    assert again.identity == found.identity
    (tmp_path / "leaking.jsonl").write_text(
        (tmp_path / "leaking.jsonl").read_text().replace(" No.", " Never.")
    )
    edited = ready(tmp_path, **changes)
    assert edited.splits.digest == found.splits.digest  # the same is asked, and another answer
    assert edited.identity["search.pairs"] != known


def test_a_study_knows_the_files_of_its_space_by_content_wherever_they_lie(tmp_path):
    identities = []
    for name, questions in (("one", ASKED[:9]), ("two", ASKED[:9]), ("three", ASKED[1:10])):
        folder = tmp_path / name
        folder.mkdir()
        write_pairs(folder / "pairs.jsonl", questions)
        identities.append(ready(folder, space={PAIRS: ["answers", "./pairs.jsonl"]}).identity)
    assert identities[0] == identities[1]
    assert identities[0]["search.space"] != identities[2]["search.space"]


def test_a_file_that_is_written_after_the_splits_were_dealt_is_found(tmp_path):
    file = tmp_path / "pairs.jsonl"
    write_pairs(file, ["Ann?", "Tom?"])
    splits = {**TEN, "train": 2}
    found = ready(tmp_path, space={PAIRS: ["./pairs.jsonl"]}, splits=splits)
    experiment = found.space.experiment({PAIRS: "./pairs.jsonl"})
    check_trained(experiment, found.splits.train)
    write_pairs(file, ["Ann?", found.splits.test.samples[0].record["question"]])
    with pytest.raises(TaskError, match=r"pairs\.jsonl: pair 2 was not there when the search"):
        check_trained(experiment, found.splits.train)


def everything(space):
    """Every experiment that a space gives and whose trial would not fail at once."""
    found = []
    values = [
        each.choices if isinstance(each, CategoricalDistribution) else _numbers(each)
        for each in space.distributions.values()
    ]
    for chosen in product(*values):
        try:
            experiment = space.experiment(
                space.told(dict(zip(space.distributions, chosen, strict=True)))
            )
            check_intervention(experiment)
        except TitrateError:
            continue
        found.append(experiment)
    return found


def _numbers(distribution):
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1)
    return distribution.low, distribution.high


def sections(intervention):
    """The parts of an intervention that read pairs."""
    if isinstance(intervention, DacSettings):
        return intervention.properties
    return [each for each in intervention.vectors if not isinstance(each, FileVector)]


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Training material that asks some of the task's problems, or none."""
    folder = tmp_path_factory.mktemp("material")
    records = [sample.record for sample in MicroGSM8K.load().samples]
    for name, chosen in {"some": ASKED[:8], "more": ASKED[4:12]}.items():
        write_pairs(folder / f"{name}.jsonl", chosen)
    strange = [{**each, "question": f"Ann says: {each['question']}"} for each in records[:8]]
    for name, chosen in {"strange": strange, "mixed": strange[:4] + records[:4]}.items():
        lines = (json.dumps(record) + "\n" for record in chosen)
        (folder / f"{name}.jsonl").write_text("".join(lines))
    return folder


counts = st.integers(1, 6)
files = st.sampled_from(["./some.jsonl", "./more.jsonl"])
built_in = st.sampled_from(["styles", "answers"])
datas = st.sampled_from([None, "./strange.jsonl", "./mixed.jsonl"])
pair_sections = st.fixed_dictionaries({"pairs": files, "samples": counts}) | st.fixed_dictionaries(
    {"pairs": built_in, "samples": counts}, optional={"data": datas}
)
several = st.lists(pair_sections, min_size=1, max_size=2, unique_by=lambda each: each["pairs"])
some_vectors = pair_sections | several
steerings = some_vectors.map(lambda vector: {**STEERING, "alpha": 1, "vector": vector})
compositions = several.map(lambda properties: {**DAC, "strongest": 1, "properties": properties})


def choices(values):
    return st.lists(values, min_size=1, max_size=3, unique_by=repr)


OF_BOTH = {
    "intervention": choices(steerings | compositions),
    "prompt.style": choices(st.sampled_from(["assisted", "agentic", "completion"])),
}
OF_STEERING = {
    "intervention.alpha": st.just({"low": 0, "high": 1}),
    "intervention.vector": choices(some_vectors),
    "intervention.vector.pairs": choices(built_in | files),
    "intervention.vector.data": choices(datas),
    "intervention.vector.samples": choices(counts) | st.just({"low": 1, "high": 5}),
    "intervention.layer": st.just([0, 1]),
    **OF_BOTH,
}
OF_DAC = {"intervention.properties": choices(several), **OF_BOTH}


@st.composite
def searches(draw):
    """A section `intervention` and a space over a few of its fields."""
    section, of = draw(st.sampled_from([(steerings, OF_STEERING), (compositions, OF_DAC)]))
    names = draw(st.lists(st.sampled_from(list(of)), min_size=1, max_size=4, unique=True))
    return draw(section), {name: draw(of[name]) for name in names}


@given(searches(), st.sampled_from([None, 6, 8]))
def test_no_configuration_reads_a_text_that_is_evaluated(material, search, train):
    intervention, space = search
    splits = {"validation": 72, "test": 80} | ({} if train is None else {"train": train})
    spec = write_spec(material, intervention=intervention, space=space, splits=splits)
    try:
        found = set_up(*read_search(spec), material)
    except SpecError:
        return
    event("searched")
    texts, known = evaluated(found), {pair.content_hash for pair in found.splits.train}
    experiments = everything(found.space)
    for experiment in experiments:
        for section in sections(experiment.intervention):
            pairs = pairs_for(experiment, section)
            assert not texts & pair_contents(pairs)
            assert known >= {pair.content_hash for pair in pairs}
            assert train is None or len(pairs) <= train
    found.splits.check()
