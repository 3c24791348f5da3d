"""Templates that lose what is asked, say what day it is or draw at random."""

from __future__ import annotations

import copy
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TaskError
from harness.models.loading import load_tokenizer
from harness.tasks import templates
from harness.tasks.base import Conversation
from harness.tasks.conversations import code_prompt, code_request, maths_prompt, render, render_text

TOKENIZER = load_tokenizer("zoo/moe")
WHOLE = TOKENIZER.chat_template
DAY = date(2026, 1, 31)

#: Everything is printed, through one filter.
PLAIN = """\
{% for tool in tools or [] %}{{ tool.function.name | FILTER }}{% endfor %}
{% for m in messages %}{{ m.role }}: {{ (m.content or '') | FILTER }}
{% for call in m.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}
{% endfor %}"""


def speaking(template: str):
    tokenizer = copy.copy(TOKENIZER)
    tokenizer.chat_template = template
    return tokenizer


def refusal(template: str, prompt: Conversation) -> str:
    with pytest.raises(TaskError) as refused:
        render_text(speaking(template), prompt)
    message = str(refused.value)
    assert "\n" not in message
    return message.partition("leaves out ")[2]


@pytest.mark.parametrize(
    ("template", "lost"),
    [
        (
            "{% for m in messages if m.role in ('user', 'assistant') %}{{ m.content }}{% endfor %}",
            (
                "the content of message 3 (tool), the tool's name read_file, "
                "the argument path of the call of read_file; use `prompt.style: assisted`"
            ),
        ),
        (
            (
                "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}"
                "{{ c.function.name }}{% endfor %}{% endfor %}"
            ),
            "the argument path of the call of read_file; use `prompt.style: assisted`",
        ),
        (
            "{{ tools }}{% for m in messages[1:] %}{{ m }}{% endfor %}",
            "the content of message 1 (user); use `prompt.style: completion`",
        ),
        ("fixed", "the content of message 1 (user), the content of message 3 (tool), "),
    ],
)
def test_what_a_template_leaves_out_is_named_with_the_style_that_works(template, lost):
    assert refusal(template, maths_prompt("How many are 3 and 4?", "agentic")).startswith(lost)


@pytest.mark.parametrize("form", ["trim", "upper | lower", "replace('7', '')", "truncate(60)"])
@pytest.mark.parametrize("style", ["assisted", "agentic"])
def test_a_content_that_is_cut_or_changed_is_left_out(style, form):
    prompt = maths_prompt(f"Add Seven and 7777. {'Then count again. ' * 9}Is it EVEN?", style)
    if form == "trim":
        assert render_text(speaking(PLAIN.replace("FILTER", form)), prompt)
    else:
        assert f" in the content of message {1 if style == 'assisted' else 3} (" in refusal(
            PLAIN.replace("FILTER", form), prompt
        )


def test_a_template_without_tools_cannot_ask_for_one():
    users = "{% for m in messages %}{{ m.content }}{% endfor %}"
    assert refusal(users, code_request("def f():\n")).startswith("the tool's name read_file; use")
    assert render_text(speaking(users), code_prompt("def f():\n", "assisted"))


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=60),
    st.sampled_from(["string", "trim", "tojson", "e", "replace('\\n', ' ')", "indent(4)"]),
    st.sampled_from(["assisted", "agentic"]),
)
def test_no_text_is_refused_by_a_template_that_prints_all_of_it(text, form, style):
    tokenizer = speaking(PLAIN.replace("FILTER", form))
    for prompt in (maths_prompt(text, style), code_prompt(text, style)):
        assert render_text(tokenizer, prompt)


def test_reasoning_of_an_earlier_turn_may_be_taken_out():
    forgets = WHOLE.replace(
        "message.content or ''", "(message.content or '').split('</think>')[-1]"
    )
    assert forgets != WHOLE
    said = {"role": "assistant", "content": "<think>Secret musing.</think>Done."}
    turns = ({"role": "user", "content": "Go."}, said, {"role": "user", "content": "On."})
    assert "Secret" not in render_text(speaking(forgets), Conversation(turns))


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("{{ strftime_now('%d %b %Y') }}", "the date"),
        ("{{ strftime_now('%A') }}", "the date"),
        ("{% set date_string = strftime_now('%d %b %Y') %}{{ date_string }}", "the date"),
        ("{{ strftime_now('%H:%M') }}", "the time of day"),
        ("{{ strftime_now('%Y%m%d%H%M%S') }}", "the time of day"),
        ("{% if false %}{{ strftime_now('%Y') }}{% endif %}", None),
        ("{% if tools %}{{ strftime_now('%Y') }}{% endif %}", None),
        ("{{ date_string | default('26 Jul 2024') }}", None),
        ("", None),
    ],
)
def test_what_a_template_prints_of_the_moment_is_found(printed, told):
    tokenizer = speaking(printed + WHOLE)
    assert templates.clock(tokenizer, maths_prompt("How many?", "assisted")) == told
    assert templates.clock(tokenizer, maths_prompt("How many?", "assisted", DAY)) is None
    if "if tools" in printed:
        assert templates.clock(tokenizer, maths_prompt("How many?", "agentic")) == "the date"


LLAMA = """\
{%- if not date_string is defined %}{%- if strftime_now is defined %}\
{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}\
{%- set date_string = "26 Jul 2024" %}{%- endif %}{%- endif %}{{ date_string }}"""


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("{{ strftime_now('%d %b %Y %H:%M:%S') }}", "31 Jan 2026 00:00:00"),
        ("{{ date_string | default('26 Jul 2024') }}", "31 Jan 2026"),
        (LLAMA, "31 Jan 2026"),
    ],
)
@pytest.mark.parametrize("style", ["assisted", "agentic"])
def test_a_pinned_day_is_the_day_of_every_style(printed, said, style):
    tokenizer = speaking(printed + WHOLE)
    for prompt in (maths_prompt("How many?", style, DAY), code_prompt("def f():\n", style, DAY)):
        assert render_text(tokenizer, prompt).startswith(said)
        assert tokenizer.decode(render(tokenizer, prompt)).startswith(said)
    assert render_text(tokenizer, code_request("def f():\n", DAY)).startswith(said)


def test_a_day_that_is_not_pinned_is_today_and_stays_so_past_midnight(monkeypatch):
    tokenizer = speaking("{{ strftime_now('%Y-%m-%d') }}" + WHOLE)
    first = render_text(tokenizer, maths_prompt("How many?", "assisted"))
    assert first.startswith(f"{templates.started():%Y-%m-%d}")

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.max.replace(tzinfo=tz)

    monkeypatch.setattr(templates, "datetime", Tomorrow)
    assert render_text(tokenizer, maths_prompt("How many?", "assisted")) == first


@pytest.mark.parametrize("printed", ["{{ [1, 2, 3] | random }}", "{{ lipsum() }}"])
def test_a_template_that_draws_at_random_is_refused(printed):
    with pytest.raises(TaskError, match="draws at random, so that no prompt is made twice; use"):
        render_text(speaking(printed + WHOLE), maths_prompt("How many?", "assisted"))
