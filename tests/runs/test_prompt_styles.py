"""Chat templates that cannot say all that a spec asks: refused at its line, before any weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.models import zoo
from harness.resolve.contrast_pairs import pairs_for
from harness.resolve.tasks import full_task, task_of
from harness.runs.checks import planned
from harness.runs.forecast import forecast
from harness.search.setup import set_up
from harness.spec import expand, load
from harness.tasks.base import Conversation

TEXTS_ONLY = (
    "{% for m in messages %}{% if m.role in ['user', 'assistant', 'system'] %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
)
TODAY = "<|im_start|>system\nToday {{ strftime_now('%d %b %Y') }}<|im_end|>\n"
OTHER = "a model whose chat template renders it"
SPEC = """\
name: x
model: ./model
task: {name: micro_gsm8k, limit: 2}
sampling: {temperature: 0, max_new_tokens: 8}
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Gives a folder with all of zoo/moe but its weights, and another template."""
    monkeypatch.chdir(tmp_path)

    def make(change):
        source = Path(zoo.resolve("moe"))
        folder = tmp_path / "model"
        skipped = shutil.ignore_patterns("*.safetensors")
        shutil.copytree(source, folder, ignore=skipped, dirs_exist_ok=True)
        template = folder / "chat_template.jinja"
        template.write_text(change(template.read_text()))

    return make


def cases(text: str):
    Path("x.yaml").write_text(f"{SPEC}{text}\n")
    return expand(*load("x.yaml"))


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        (
            "axes: {prompt.style: [assisted, agentic]}",
            "x.yaml:5 prompt.style: agentic",
            "`prompt.style: assisted`, or mend the template",
        ),
        (
            "prompt: {style: agentic}",
            "x.yaml:5 prompt.style: agentic",
            "`prompt.style: assisted`, or mend the template",
        ),
        ("measure: forward", "x.yaml:5 measure: agentic", f"another measure, or use {OTHER}"),
        (
            "intervention: {kind: router_mask, points: {usage: avg_all_agentic}, count: 1}",
            "x.yaml:5 intervention.points.usage: agentic",
            f"another usage, or use {OTHER}",
        ),
        (
            "intervention: {kind: steering, vector: {pairs: styles}, layer: 1, alpha: 1}",
            "x.yaml:5 intervention.vector.pairs: prompt.style agentic",
            f"a file of pairs (./pairs.jsonl), or {OTHER}",
        ),
        (
            "intervention: {kind: dac, properties: [{pairs: styles}], strongest: 1}",
            "x.yaml:5 intervention.properties[0].pairs: prompt.style agentic",
            f"a file of pairs (./pairs.jsonl), or {OTHER}",
        ),
    ],
)
def test_a_style_that_is_not_rendered_whole_is_refused_where_it_is_asked_for(
    model, text, place, remedy
):
    """The remedy is of the field that asks: a vector's pairs have styles of their own."""
    model(lambda _: TEXTS_ONLY)
    with pytest.raises(SpecError) as refused:
        list(map(planned, cases(text)))
    message = str(refused.value)
    assert message.startswith(f"{place}: the chat template of ")
    assert " leaves out " in message
    assert message.endswith(f"; use {remedy}")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "use `prompt.style: completion`"),
        (
            "intervention: {kind: router_mask, count: 1, points: {usage: avg_all_agentic}}",
            f"leave intervention.points.usage out, or use {OTHER}",
        ),
        (
            "intervention: {kind: steering, layer: 1, alpha: 1, vector: {pairs: styles}}",
            f"use a file of pairs (./pairs.jsonl), or {OTHER}",
        ),
    ],
)
def test_a_model_without_a_template_is_told_what_goes_without(model, text, remedy):
    model(lambda _: "")
    text += "\nprompt: {style: completion}" if text else ""
    with pytest.raises(SpecError, match="needs a chat template, and the tokenizer of") as refused:
        list(map(planned, cases(text)))
    assert str(refused.value).endswith(f" has none; {remedy}")


def test_what_needs_no_tool_is_planned(model):
    model(lambda _: TEXTS_ONLY)
    assert [planned(case).id for case in cases("axes: {prompt.style: [assisted, completion]}")]


def test_a_search_is_refused_as_a_run_is(model):
    model(lambda _: TEXTS_ONLY)
    Path("x.yaml").write_text(
        f"{SPEC}prompt: {{style: agentic}}\n"
        "intervention: {kind: router_mask, points: {random: 0}, count: 1}\n"
        "search: {space: {intervention.count: [1, 2]}, splits: {validation: 2, test: 2}, "
        "pruner: none}\n"
    )
    with pytest.raises(SpecError, match=r"^x\.yaml:5 prompt\.style: agentic: the chat template"):
        set_up(*load("x.yaml"), Path.cwd())


@pytest.mark.parametrize("axis", ["agentic", "assisted"])
def test_a_template_that_prints_the_date_is_told_of_and_can_be_pinned(model, axis):
    model(lambda own: TODAY + own)
    text = f"prompt: {{style: {axis}}}"
    (told,) = forecast([planned(case) for case in cases(text)], None)
    (warning,) = told.warnings
    assert warning.startswith("prompts depend on the date, which the chat template prints: ")
    day = warning.rpartition("prompt.date: ")[2]
    pinned = f"prompt: {{style: {axis}, date: {day}}}"
    (quiet,) = forecast([planned(case) for case in cases(pinned)], None)
    assert quiet.warnings == ()
    assert quiet.prompt_tokens == told.prompt_tokens


def test_a_pinned_day_reaches_every_prompt_of_an_experiment(model):
    model(lambda own: TODAY + own)
    text = "prompt: {date: 2026-01-31}\nintervention: {kind: steering, vector: {pairs: PAIRS}, "
    text += "layer: 1, alpha: 1}"
    for pairs in ("styles", "answers"):
        experiment = cases(text.replace("PAIRS", pairs))[0].experiment
        day, asked = experiment.prompt.day, experiment.prompt
        assert f"{day}" == "2026-01-31"
        for task in (task_of(experiment.task, asked), full_task(experiment.task, asked)):
            for style in ("assisted", "agentic"):
                prompt = task.prompt(task.samples[0], style)
                assert isinstance(prompt, Conversation)
                assert prompt.date == day
        for pair in pairs_for(experiment, experiment.intervention.vectors[0]):
            assert {pair.positive.prompt.date, pair.negative.prompt.date} == {day}
    same, other = full_task(experiment.task, asked), full_task(experiment.task)
    assert same is full_task(experiment.task, asked)
    assert same is not other
    assert other.date is None


def test_room_that_prompts_do_not_leave_is_told_of(model):
    model(lambda own: own)
    (told,) = forecast([planned(case) for case in cases("axes: {seed: [0, 1]}")], None)
    assert told.warnings == ()
    wide = "axes: {sampling.max_new_tokens: [2047, 100000]}"
    (told,) = forecast([planned(case) for case in cases(wide)], None)
    assert len(told.warnings) == 2
    assert told.warnings[1].startswith(
        "sampling.max_new_tokens: 100000 is more than 2 of 2 prompts leave of the model's context "
        "of 2048; answers end there, after "
    )


@pytest.mark.parametrize(
    "day", ["2026-02-30", "'20260131'", "31.1.2026", "today", "''", "2026-W05-6"]
)
def test_what_is_no_day_is_refused(model, day):
    model(lambda own: own)
    with pytest.raises(
        SpecError, match=r"^x\.yaml:5 prompt\.date: .* is not a day; write it as 2026"
    ):
        cases(f"prompt: {{date: {day}}}")
