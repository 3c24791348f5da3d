from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TaskError
from harness.models.loading import load_tokenizer
from harness.tasks.base import Conversation
from harness.tasks.conversations import (
    CODE_MARKER,
    code_prompt,
    code_reference,
    extract_code,
    final_number,
    maths_prompt,
    maths_reference,
    render,
)

PROMPT = 'def twice(x):\n    """Double x."""\n'
HELPER_PROMPT = f"def helper(x):\n    return x\n\n\n{PROMPT}"


class Template:
    """The least a tokenizer needs for rendering: bytes are tokens, and text gets a start token."""

    name_or_path = "tests/template"

    def __init__(self, chat_template):
        self.chat_template = chat_template

    def apply_chat_template(self, messages, *, tools, add_generation_prompt, tokenize):
        assert add_generation_prompt
        assert not tokenize
        names = [tool["function"]["name"] for tool in tools or []]
        return f"{names}" + "".join(f"[{m['role']}]{m['content']}" for m in messages)

    def __call__(self, text, *, add_special_tokens=True):
        return {"input_ids": [0] * add_special_tokens + list(text.encode())}


def run(completion, prompt=PROMPT):
    scope = {}
    exec(prompt + completion, scope)
    return scope["twice"](4)


def test_assisted_is_one_turn_with_the_marker_before_the_prompt():
    (message,) = code_prompt(PROMPT, "assisted").messages
    assert message["role"] == "user"
    assert message["content"].endswith("\n" + CODE_MARKER + PROMPT)


@pytest.mark.parametrize(
    ("conversation", "path", "content"),
    [
        (code_prompt(PROMPT, "agentic"), "main.py", CODE_MARKER + PROMPT),
        (maths_prompt("How many?", "agentic"), "problem.txt", "How many?"),
    ],
)
def test_agentic_reads_the_material_from_a_file(conversation, path, content):
    user, assistant, tool = conversation.messages
    (call,) = assistant["tool_calls"]
    (schema,) = conversation.tools
    assert [message["role"] for message in conversation.messages] == ["user", "assistant", "tool"]
    assert path in user["content"]
    assert call["function"] == {"name": "read_file", "arguments": {"path": path}}
    assert schema["function"]["name"] == "read_file"
    assert tool["content"] == content
    assert tool["tool_call_id"] == call["id"]


def test_completion_is_the_bare_text():
    assert code_prompt(PROMPT, "completion") == PROMPT
    assert maths_prompt("How many?", "completion") == "Question: How many?\nAnswer:"


def test_maths_assisted_is_the_question_alone():
    assert maths_prompt("How many?", "assisted") == Conversation(
        ({"role": "user", "content": "How many?"},)
    )


def test_the_references_are_fenced_code_and_bare_maths():
    code = code_reference("\n\treturn 2 * x\n\n")
    assert (code.opening, code.answer, code.closing) == (
        "```python\n",
        "    return 2 * x",
        "\n```",
    )
    assert maths_reference("1+1=2\n#### 2").text == "1+1=2\n#### 2"


def test_rendering_adds_no_special_tokens_to_a_conversation_and_the_usual_ones_to_text():
    tokenizer = Template("some template")
    chat = bytes(render(tokenizer, code_prompt(PROMPT, "agentic"))).decode()
    assert chat.startswith("['read_file'][user]")
    assert chat.endswith("[tool]" + CODE_MARKER + PROMPT)
    assert render(tokenizer, "ab") == [0, 97, 98]


@pytest.mark.parametrize("style", ["assisted", "agentic"])
def test_a_tokenizer_without_template_names_the_style_and_the_remedy(style):
    with pytest.raises(TaskError, match=rf"{style}.*tests/template.*prompt\.style: completion"):
        render(Template(None), maths_prompt("How many?", style))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('Only user roles.\\nReally.') }}", "Only user roles"),
        ("{{ messages[", "unexpected 'end of template'"),
        ("{{ nothing.at_all }}", "'nothing' is undefined"),
        ("{{ 1 // 0 }}", "integer division or modulo by zero"),
    ],
)
def test_a_template_that_refuses_is_told_in_one_line(template, said):
    tokenizer = load_tokenizer("zoo/moe")
    tokenizer.chat_template = template
    with pytest.raises(TaskError) as refused:
        render(tokenizer, maths_prompt("How many?", "assisted"))
    message = str(refused.value)
    assert message.startswith("prompt.style assisted cannot be rendered by the chat template of ")
    assert f"moe: {said}" in message
    assert message.endswith("; use another prompt.style, or mend the template")
    assert "\n" not in message


def test_a_template_that_refuses_one_style_renders_the_other():
    tokenizer = load_tokenizer("zoo/moe")
    refusing = "{% if messages[-1].role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
    tokenizer.chat_template = refusing + tokenizer.chat_template
    assert render(tokenizer, maths_prompt("How many?", "assisted"))
    with pytest.raises(TaskError, match=r"style agentic.*: no tools;"):
        render(tokenizer, maths_prompt("How many?", "agentic"))


@pytest.mark.parametrize(
    "text",
    [
        "```python\n    return 2 * x\n```",
        "```python\nreturn 2 * x\n```",
        "```\nreturn 2 * x\n```",
        "Here it is:\n\n```python\n    return 2 * x\n```\nand\n```python\nreturn 3\n```",
        "```python\n    return 2 * x",  # the fence is never closed
        "```python\r\n    return 2 * x\r\n```",
        "```python\n\treturn 2 * x\n```",
        "    return 2 * x",
        "  return 2 * x\n\n",
        "def twice(x):\n    return 2 * x",
        "def double(x):  # another name\n    return 2 * x",
        "```python\ndef twice(x: int,\n          y=2) -> int:\n    return y * x\n```",
        "```python\nimport math\n\ndef twice(x):\n    return math.floor(2 * x)\n```",
        "```python\n  def twice(x):\n    return 2 * x\n```",
        "```python\ndef half(x):\n    return x\n\ndef twice(x):\n    return 2 * half(x)\n```",
        "    def helper(y):\n        return 2 * y\n    return helper(x)",
        "  ```python\n  return 2 * x\n  ```",
    ],
)
@pytest.mark.parametrize("prompt", [PROMPT, HELPER_PROMPT, PROMPT.rstrip("\n")])
def test_the_forms_an_answer_takes(text, prompt):
    assert run(extract_code(text, prompt, "twice"), prompt) == 8


@pytest.mark.parametrize("text", ["", " \n\t", "```python\n```", "```python\n\n\n```", "```\n"])
def test_an_answer_without_code_is_none(text):
    assert extract_code(text, PROMPT, "twice") is None


@given(st.text())
def test_any_text_is_read_without_error(text):
    completion = extract_code(text, PROMPT, "twice")
    assert completion is None or completion.strip()


STATEMENTS = st.sampled_from(["y = x", "if x:\n    y = 2", "z = '''a'''", "", "y = [1,\n     2]"])


@given(
    st.lists(STATEMENTS, max_size=5),
    st.sampled_from(["", "    ", "  ", "\t"]),
    st.sampled_from(["{}", "```python\n{}\n```", "Text.\n```\n{}\n```\nMore.", "```py\n{}"]),
)
def test_a_body_means_the_same_however_it_is_indented_and_fenced(statements, indent, form):
    body = "\n".join([*statements, "return 2 * x"])
    lines = [indent + line if line else line for line in body.split("\n")]
    completion = extract_code(form.format("\n".join(lines)), PROMPT, "twice")
    assert run(completion) == 8


@given(st.lists(STATEMENTS, max_size=5))
def test_reading_a_reference_gives_its_own_code_back(statements):
    reference = code_reference(
        "\n".join("    " + s.replace("\n", "\n    ") for s in statements) + "\n    return 2 * x\n"
    )
    assert extract_code(reference.text, PROMPT, "twice") == reference.answer + "\n"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### 72", "72"),
        ("5 apples\n#### 1,234", "1234"),
        ("#### $1,234.50.", "1234.5"),
        ("#### -3", "-3"),
        ("#### $-3", "-3"),
        ("#### 12%", "12"),
        ("#### .5", "0.5"),
        ("#### 7 eggs out of 9", "7"),
        ("first #### 1 then #### 2", "2"),
        ("The answer is 18.", "18"),
        ("so 3-5 it is", "5"),
        ("so it is -5", "-5"),
        ("so it is (-5)", "-5"),
        ("9 * $7 = $63", "63"),
        ("12 of them\n####", "12"),
        ("12 of them\n#### none", "12"),
    ],
)
def test_the_numeric_rule(text, number):
    assert final_number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "####", "none", "-", "$", ".", ",,", "#### ."])
def test_no_number_is_none(text):
    assert final_number(text) is None


@given(st.text())
def test_any_text_has_a_finite_number_or_none(text):
    number = final_number(text)
    assert number is None or number.is_finite()


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9
    ),
    st.sampled_from(["", "$"]),
    st.sampled_from(["", ".", "%", " dollars", "\n"]),
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="#")),
)
def test_a_number_is_found_however_it_is_written(number, currency, ending, before):
    written = f"{before}\n#### {currency}{number:,}{ending}"
    assert final_number(written) == number
