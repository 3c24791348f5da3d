import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FieldError, TaskError
from harness.spec import PromptSettings, TaskSettings
from harness.tasks.answers import pattern
from harness.tasks.base import Score
from harness.tasks.by_name import limited
from harness.tasks.data.task import own_task

CAPITALS = [
    {"id": "fr", "prompt": "Capital of France?", "answer": "Paris", "level": 1},
    {"id": "de", "prompt": "Capital of Germany?", "answer": "Berlin", "level": 2},
    {"id": "it", "prompt": "Capital of Italy?", "answer": "Rome", "level": 1},
]


@pytest.fixture
def write(tmp_path):
    def written(records, name="capitals.jsonl"):
        file = tmp_path / name
        file.write_text("\n".join(map(json.dumps, records)))
        return str(file)

    return written


def made(path, prompt=None, **settings):
    return own_task(
        TaskSettings.model_validate({"path": path, **settings}),
        PromptSettings.model_validate(prompt or {}),
    )


def turns(task, sample=0):
    return [
        (turn["role"], turn["content"])
        for turn in task.prompt(task.samples[sample], "assisted").messages
    ]


def test_records_are_asked_as_they_are_under_their_own_names(write):
    task = made(write(CAPITALS))
    assert (task.name, task.size, task.metric) == ("capitals", 3, "")
    assert [sample.id for sample in task.samples] == ["fr", "de", "it"]
    assert task.samples[0].record["level"] == 1
    assert turns(task) == [("user", "Capital of France?")]
    assert task.prompt(task.samples[0], "completion") == "Capital of France?"
    assert task.reference(task.samples[0]).text == "Paris"


def test_records_without_ids_are_numbered_under_the_label(write):
    records = [{"prompt": "a"}, {"prompt": "b"}]
    task = made(write(records), label="mine")
    assert [sample.id for sample in task.samples] == ["mine/0", "mine/1"]


def test_a_template_a_system_message_and_examples_make_a_conversation(write):
    prompt = {"template": "{{ prompt }} ({{ level }})", "system": "Level {{ level }}."}
    task = made(write(CAPITALS), prompt, answer="exact", shots={"n": 2})
    assert turns(task)[0] == ("system", "Level 1.")
    assert turns(task)[-1] == ("user", "Capital of France? (1)")
    shown = dict(zip(turns(task)[1:-1:2], turns(task)[2:-1:2], strict=True))
    assert shown == {
        ("user", "Capital of Germany? (2)"): ("assistant", "Berlin"),
        ("user", "Capital of Italy? (1)"): ("assistant", "Rome"),
    }
    bare = task.prompt(task.samples[0], "completion")
    first, *shots, last = bare.split("\n\n")
    assert first == "Level 1."
    assert sorted(shots) == ["Capital of Germany? (2) Berlin", "Capital of Italy? (1) Rome"]
    assert last == "Capital of France? (1)"
    assert task.stop_strings("completion") == ("\n\n",)
    assert task.stop_strings("assisted") == ()


def test_messages_are_turns_and_no_bare_text(write):
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    ]
    task = made(write([{"messages": messages}]), {"system": "Be brief."})
    assert turns(task) == [
        ("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"),
    ]  # fmt: skip
    with pytest.raises(TaskError, match=r"completion needs a text.*prompt\.template"):
        task.prompt(task.samples[0], "completion")


def test_the_texts_of_a_sample_are_its_own_and_not_those_of_its_examples(write):
    task = made(write(CAPITALS), {"system": "Be brief."}, answer="exact", shots={"n": 2})
    assert [*task.texts(task.samples[0])] == ["Capital of France?"]
    messages = [{"role": "user", "content": "Hi"}]
    chat = made(write([{"messages": messages}], "chat.jsonl"))
    assert [*chat.texts(chat.samples[0])] == ["Hi"]


def test_data_have_no_agentic_style(write):
    task = made(write(CAPITALS))
    with pytest.raises(TaskError, match=r"prompt\.style agentic: capitals has no file"):
        task.prompt(task.samples[0], "agentic")


def test_without_an_answer_nothing_is_right_wrong_or_unread(write):
    task = made(write(CAPITALS))
    scores = task.score([(task.samples[0], "assisted", "Paris")])
    assert scores == [Score(None, parsed=True, settled=False)]
    assert task.metrics(scores) == {"tool_call": 0}


def test_a_pattern_says_what_of_a_completion_is_its_answer(write):
    task = made(write(CAPITALS), answer="exact", pattern=r"CITY: (\w+)")
    texts = ["CITY: Rome. CITY: Paris!", "Paris", "<think>CITY: Paris</think>"]
    scores = task.score([(task.samples[0], "assisted", text) for text in texts])
    assert [(score.correct, score.parsed) for score in scores] == [
        (True, True), (False, False), (False, False),
    ]  # fmt: skip
    assert task.metrics(scores)["exact_match"] == pytest.approx(1 / 3)


def test_a_search_that_takes_too_long_is_told_and_not_kept(write, monkeypatch):
    monkeypatch.setattr(pattern, "SECONDS", 0.02)
    task = made(write(CAPITALS), answer="exact", pattern=r"(a|aa)+$")
    (score,) = task.score([(task.samples[0], "assisted", "a" * 60 + "!")])
    assert (score.correct, score.parsed, score.settled) == (False, False, False)
    assert "more than 0.02 s" in score.detail


@given(
    size=st.integers(2, 12),
    n=st.integers(1, 4),
    seed=st.integers(0, 5),
    limit=st.integers(1, 12),
)
def test_examples_are_others_the_same_in_every_run_and_company(
    tmp_path_factory, size, n, seed, limit
):
    file = tmp_path_factory.mktemp("shots") / "data.jsonl"
    # Two records ask the same: neither is an example of the other.
    records = [{"prompt": f"{max(1, at)}?", "answer": str(at)} for at in range(size)]
    file.write_text("\n".join(map(json.dumps, records)))
    fewest = size - 2
    asked = {"answer": "exact", "shots": {"n": n, "seed": seed}}
    if n > fewest:
        with pytest.raises(FieldError, match=rf"task\.shots\.n: {n} examples .* use {fewest} at"):
            made(str(file), **asked)
        return
    task, again = made(str(file), **asked), made(str(file), **asked)
    some = limited(again, limit=min(limit, size))
    for sample, same in zip(some.samples, task.samples, strict=False):
        prompt = some.prompt(sample, "assisted")
        assert prompt == task.prompt(same, "assisted")
        questions = [turn["content"] for turn in prompt.messages if turn["role"] == "user"]
        assert len(questions) == len(set(questions)) == n + 1 or "1?" in questions[:-1]
        assert questions[-1] not in questions[:-1]


def test_examples_come_from_a_file_of_their_own_and_answer_as_a_template_says(write):
    other = write([{"prompt": "1+1?", "answer": "2", "steps": "1+1=2"}], "shots.jsonl")
    task = made(
        write([{"prompt": "2+2?", "answer": "4"}]),
        answer="number",
        shots={"n": 1, "path": other, "answer": "{{ steps }}. So {{ answer }}."},
    )
    assert turns(task)[:2] == [("user", "1+1?"), ("assistant", "1+1=2. So 2.")]


def test_the_version_is_that_of_data_and_scoring_and_not_of_the_prompt(write):
    path = write(CAPITALS)
    version = made(path, answer="exact").version
    assert made(path, {"system": "Brief."}, answer="exact", label="other").version == version
    assert made(path, answer="exact", pattern="x").version != version
    assert made(path).version != version
    changed = [{**CAPITALS[0], "level": 3}, *CAPITALS[1:]]
    assert made(write(changed), answer="exact").version != version


@pytest.mark.parametrize(
    ("prompt", "settings", "expected"),
    [
        (
            {"template": "{{ question }}"},
            {},
            r"prompt.template: .*capitals.jsonl:1: 'question' is undefined; the record has id,",
        ),
        ({"template": "{% if %}"}, {}, "prompt.template: is no template: Expected"),
        ({"template": "{{ prompt.__class__ }}"}, {}, "prompt.template: .*:1: .*unsafe"),
        ({"template": "{{ record.items }}"}, {}, r"capitals.jsonl:1: items is a function; a field"),
        ({"template": f"{{{{ {'(' * 3000}1"}, {}, "prompt.template: is no template: it is nested"),
        ({"system": "{{ level / 0 }}"}, {}, "prompt.system: .*jsonl:1: division by zero"),
        ({}, {"answer": "exact", "pattern": "("}, "task.pattern: .* is no regular expression"),
        ({}, {"fields": {"answer": "gold"}}, r"task.fields.answer: .*:1: there is no field 'gold'"),
        ({}, {"shots": {"n": 3}}, "task.shots.n: 3 examples asked for, but capitals has 2 that"),
        ({}, {"shots": {"n": 1, "answer": "{{ x }}"}}, "task.shots.answer: .*:1: 'x' is undefined"),
    ],
)  # fmt: skip
def test_a_setting_that_does_not_fit_the_data_is_named(write, prompt, settings, expected):
    with pytest.raises(FieldError, match=expected):
        made(write(CAPITALS), prompt, **settings)


@pytest.mark.parametrize(
    ("record", "settings", "expected"),
    [
        ({"id": "fr", "prompt": "x"}, {}, r"jsonl:4: its id 'fr' is that of .*jsonl:1; give every"),
        ({"id": True, "prompt": "x"}, {}, r"jsonl:4: its id True is no text and no number"),
        ({"id": "a\nb", "prompt": "x"}, {}, r"jsonl:4: its id .* characters that do not print"),
        ({"question": "x"}, {}, r"jsonl:4: has neither prompt nor messages \(it has question\)"),
        ({"prompt": 3}, {}, r"jsonl:4: its prompt 3 is not a text"),
        ({"prompt": "x", "messages": []}, {}, r"jsonl:4: has a prompt and messages; keep one"),
        ({"messages": []}, {}, r"jsonl:4: its messages \[\] are not a list of turns"),
        ({"messages": [{"role": "user"}]}, {}, r"jsonl:4: its message 1 is not {role, content}"),
        (
            {"messages": [{"role": "me", "content": "x"}]},
            {},
            r"jsonl:4: its message 1 is by 'me', not by system",
        ),
        (
            {"messages": [{"role": "assistant", "content": "x"}]},
            {},
            r"jsonl:4: its last message is the assistant's",
        ),
        ({"prompt": "x"}, {"answer": "exact"}, r"jsonl:4: has no answer, which answer: exact"),
        ({"prompt": "x", "answer": " ."}, {"answer": "exact"}, r"jsonl:4: answer ' .' is empty"),
        ({"prompt": "x", "answer": []}, {"answer": "exact"}, r"jsonl:4: answer is an empty list"),
        ({"prompt": "x"}, {"shots": {"n": 1}}, r"jsonl:4: has no answer that an example could"),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_used_is_named_by_its_line(write, record, settings, expected):
    with pytest.raises(TaskError, match=expected):
        made(write([*CAPITALS, record]), **settings)
