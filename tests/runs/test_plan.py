"""Distinct requests and the addresses they fill, on real tasks and a real tokenizer."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engines.vllm import availability
from harness.errors import FieldError, SpecError, TaskError
from harness.interventions.router_mask.description import RouterMask
from harness.models.loading import load
from harness.runs.checks import planned
from harness.runs.compatible import check_compatible
from harness.runs.plan import Address, Plan, by_model
from harness.runs.planned_case import PlannedCase
from harness.spec import expand
from harness.tasks.micro_humaneval import MicroHumanEval
from tests.runs.small import cases, experiment, mask

SAMPLED = {"temperature": 1.0, "max_new_tokens": 24}


@pytest.fixture(scope="module")
def tokenizer():
    return load("zoo/moe", device="cpu").tokenizer


def plan_of(tokenizer, planned_cases):
    """All cases without an intervention: what varies here is the rest of the request."""
    plan = Plan(tokenizer)
    for case in planned_cases:
        plan.add(case, None)
    return plan


@settings(max_examples=25, deadline=None)
@given(
    limits=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    draws=st.integers(1, 3),
    temperature=st.sampled_from([0.0, 1.0]),
    seeds=st.sets(st.integers(0, 3), min_size=1, max_size=2),
)
def test_every_place_is_filled_by_exactly_one_request(tokenizer, limits, draws, temperature, seeds):
    asked = [
        case
        for index, limit in enumerate(limits)
        for case in cases(
            f"small{index}",
            task={"name": "micro_humaneval", "limit": limit},
            intervention=None,
            sampling={"temperature": temperature, "draws": draws},
            axes={"seed": sorted(seeds)},
        )
    ]
    plan = plan_of(tokenizer, asked)
    filled = Counter(address for addresses in plan.addresses.values() for address in addresses)
    assert filled == Counter(
        Address(case.id, sample.id, draw)
        for case in asked
        for sample in case.task.samples
        for draw in range(draws)
    )
    distinct = max(limits) * (draws * len(seeds) if temperature else 1)
    assert len(plan.addresses) == distinct


def test_experiments_on_the_same_model_task_and_sampling_share_their_baseline(tokenizer):
    first, second = (
        cases(name, intervention=mask(points={"random": seed}, count=4))[0].baseline
        for name, seed in (("a", 0), ("b", 1))
    )
    plan = plan_of(tokenizer, [first, second])
    assert len(plan.addresses) == 3
    assert all(
        [address.case for address in addresses] == ["a[baseline]", "b[baseline]"]
        for addresses in plan.addresses.values()
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"sampling": {"max_new_tokens": 25}},
        {"prompt": {"style": "agentic"}},
        {"task": {"name": "micro_gsm8k", "limit": 3}},
        {"sampling": {"max_new_tokens": 24, "temperature": 0.5}},
    ],
    ids=["length", "style", "task", "temperature"],
)
def test_what_changes_a_completion_is_never_shared(tokenizer, fields):
    plan = plan_of(
        tokenizer, cases(intervention=None) + cases("other", intervention=None, **fields)
    )
    assert len(plan.addresses) == 6


def test_greedy_draws_and_seeds_are_computed_once(tokenizer):
    sampling = {"draws": 3, "max_new_tokens": 24}
    asked = cases(intervention=None, sampling=sampling, axes={"seed": [0, 7]})
    plan = plan_of(tokenizer, asked)
    assert len(plan.addresses) == 3
    assert all(len(addresses) == 6 for addresses in plan.addresses.values())


def test_sampled_draws_and_seeds_are_all_computed(tokenizer):
    asked = cases(intervention=None, sampling={**SAMPLED, "draws": 3}, axes={"seed": [0, 7]})
    plan = plan_of(tokenizer, asked)
    assert len(plan.addresses) == 3 * 3 * 2
    assert {(request.seed, request.draw) for request in plan.addresses} == {
        (seed, draw) for seed in (0, 7) for draw in range(3)
    }


def test_a_sample_keeps_its_randomness_whatever_is_done_to_the_model(tokenizer):
    """The conditions of a sweep share their draws; only then is a comparison paired."""
    (case,) = cases(intervention=None, sampling=SAMPLED)
    plan = plan_of(tokenizer, [case])
    plan.add(case, RouterMask(points=((0, 1),)))
    untouched, touched = list(plan.addresses)[:3], list(plan.addresses)[3:]
    assert [replace(request, intervention=None) for request in touched] == untouched


def test_the_neutral_dose_is_computed_and_not_assumed(tokenizer):
    plan = Plan(tokenizer)
    (case,) = cases()
    plan.add(case.baseline, None)
    plan.add(case, RouterMask())
    assert len(plan.addresses) == 6


def test_requests_say_what_the_spec_says(tokenizer):
    sampling = {"temperature": 0.5, "top_k": 5, "top_p": 0.9, "min_p": 0.1, "max_new_tokens": 7}
    (case,) = cases(intervention=None, sampling=sampling, prompt={"style": "completion"}, seed=3)
    request = next(iter(plan_of(tokenizer, [case]).addresses))
    assert request.sampling == {"temperature": 0.5, "top_k": 5, "top_p": 0.9, "min_p": 0.1}
    assert (request.max_new_tokens, request.seed, request.sample) == (7, 3, "MicroHumanEval/0")
    assert request.stop.strings == case.task.stop_strings("completion")
    assert tokenizer.decode(request.prompt) == case.task.samples[0].record["prompt"]


def test_a_prompt_is_shown_as_the_model_reads_it(tokenizer):
    (case,) = cases(prompt={"style": "agentic"})
    text = Plan(tokenizer).prompt_text(case, case.task.samples[0])
    assert text.startswith("<|im_start|>system\nTools: read_file<|im_end|>\n")
    assert text.endswith("</tool_response><|im_end|>\n<|im_start|>assistant\n")


class SecondIsUnreadable(MicroHumanEval):
    def prompt(self, sample, style):
        if sample is self.samples[1]:
            raise TaskError(f"{sample.id}: no prompt")
        return super().prompt(sample, style)


def test_a_prompt_that_cannot_be_rendered_adds_nothing(tokenizer):
    (case,) = cases(intervention=None)
    plan = plan_of(tokenizer, [case])
    before = deepcopy(plan.addresses)
    with pytest.raises(TaskError, match="MicroHumanEval/1: no prompt"):
        plan.add(PlannedCase(case.case, SecondIsUnreadable(case.task.samples)), None)
    assert plan.addresses == before


def test_without_a_chat_template_only_bare_text_can_be_asked(tokenizer):
    bare = deepcopy(tokenizer)
    bare.chat_template = None
    plan = Plan(bare)
    assisted, completion = cases(
        intervention=None, axes={"prompt.style": ["assisted", "completion"]}
    )
    with pytest.raises(TaskError, match=r"prompt\.style assisted needs a chat template"):
        plan.add(assisted, None)
    assert not plan.addresses
    plan.add(completion, None)
    assert len(plan.addresses) == 3


def test_cases_are_grouped_by_the_loaded_model_they_share():
    narrow = cases("narrow", engine={"slots": 1})
    first, second = cases("a"), cases("b", task={"name": "micro_gsm8k", "limit": 1})
    groups = by_model([*first, *narrow, *second])
    assert list(groups.values()) == [[*first, *second], narrow]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "zoo/none"}, "experiment small model: zoo/none is not in the zoo; use one of "),
        (
            {"metric": "exact_match"},
            "experiment small metric: exact_match is not measured here; accepted: pass@1, ",
        ),
        ({"task": {"name": "chess"}}, "experiment small task.name: 'chess' is not a task; use "),
        (
            {"task": {"name": "humaneval", "path": "/none.jsonl"}},
            "experiment small task: /none.jsonl: cannot be read ",
        ),
        (
            {"intervention": mask(count=65)},
            "experiment small intervention.count: 65 points to mask, but the ordering has 64; ",
        ),
    ],
)
def test_what_is_wrong_is_found_without_weights_and_said_in_one_line(fields, message):
    (case,) = expand(experiment(**fields))
    with pytest.raises(SpecError) as error:
        planned(case)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fields", "metric"),
    [
        ({}, "pass@1"),
        ({"metric": "tool_call"}, "tool_call"),
        ({"measure": "forward"}, "delta_nll"),
        ({"measure": "forward", "metric": "js"}, "js"),
    ],
)
def test_the_primary_metric_is_the_specs_choice_or_else_the_first_that_is_measured(fields, metric):
    case = planned(expand(experiment(**fields))[0])
    assert case.metric == case.metrics[0] == metric
    assert len(set(case.metrics)) == len(case.metrics) > 1


# What may not meet in one run ---------------------------------------------------------------------


def test_one_name_with_different_gates_is_refused():
    """Not even when their cases differ: whose gates would be judged?"""
    one = cases(axes={"seed": [0, 1]}, gates=["neutral_equals_baseline"])
    other = cases(axes={"seed": [2, 3]})
    with pytest.raises(SpecError, match="small: two experiments of this name have different gates"):
        check_compatible([*one, *other])
    check_compatible([*one, *one])
    check_compatible([*one, *cases(name="other")])
    with pytest.raises(SpecError, match="SMALL: differs from small in capitals alone"):
        check_compatible([*one, *cases(name="SMALL")])


def test_two_different_cases_of_one_id_are_refused():
    other = cases(task={"name": "micro_humaneval", "limit": 1})
    with pytest.raises(SpecError, match="small: two different experiments have this id; rename"):
        check_compatible([*cases(axes={}), *other])


def test_draws_under_speculation_are_refused_case_by_case(monkeypatch):
    """vLLM drops our rule for draws where it speculates; greedy cases beside them run."""
    monkeypatch.setattr(availability, "check_machine", lambda settings: None)
    greedy, drawn = expand(
        experiment(
            engine={"name": "vllm", "speculation": "ngram"},
            axes={"sampling.temperature": [0, 0.7]},
        )
    )
    planned(greedy)
    message = "sampling.temperature: 0.7 with engine.speculation: ngram, which keeps greedy"
    with pytest.raises(SpecError, match=message):
        planned(drawn)


def test_a_layout_that_the_model_cannot_take_is_refused_before_it_is_loaded(monkeypatch):
    monkeypatch.setattr(availability, "check_machine", lambda settings: None)
    (case,) = expand(experiment(engine={"name": "vllm", "tensor_parallel_size": 3}))
    with pytest.raises(SpecError, match=r"engine\.tensor_parallel_size: 3 does not go with"):
        planned(case)


def test_what_this_machine_does_not_have_is_refused_before_anything_is_loaded(monkeypatch):
    def refusing(settings):
        raise FieldError("engine.tensor_parallel_size", f"{settings.tensor_parallel_size} is much")

    monkeypatch.setattr(availability, "check_machine", refusing)
    (case,) = expand(experiment(engine={"name": "vllm", "tensor_parallel_size": 2}))
    with pytest.raises(SpecError, match=r"engine\.tensor_parallel_size: 2 is much"):
        planned(case)
