import pytest

from harness.errors import TaskError
from harness.models.loading import load_tokenizer
from harness.tasks.base import Conversation
from harness.tasks.conversations import (
    CODE_MARKER,
    code_prompt,
    code_reference,
    maths_prompt,
    maths_reference,
    render,
)

PROMPT = 'def twice(x):\n    """Double x."""\n'


class Template:
    """The least a tokenizer needs for rendering: bytes are tokens, and text gets a start token."""

    name_or_path = "tests/template"

    def __init__(self, chat_template):
        self.chat_template = chat_template

    def apply_chat_template(self, messages, *, tools, add_generation_prompt, tokenize):
        assert add_generation_prompt
        assert not tokenize
        names = [tool["function"]["name"] for tool in tools or []]
        return f"{names}" + "".join(
            f"[{m['role']}]{m['content']}{m.get('tool_calls', '')}" for m in messages
        )

    def __call__(self, text, *, add_special_tokens=True):
        return {"input_ids": [0] * add_special_tokens + list(text.encode())}


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
    assert message.endswith("; use `prompt.style: completion`, or mend the template")
    assert "\n" not in message


def test_a_template_that_refuses_one_style_renders_the_other():
    tokenizer = load_tokenizer("zoo/moe")
    refusing = "{% if messages[-1].role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
    tokenizer.chat_template = refusing + tokenizer.chat_template
    assert render(tokenizer, maths_prompt("How many?", "assisted"))
    with pytest.raises(TaskError, match=r"style agentic.*: no tools; use `prompt.style: assisted`"):
        render(tokenizer, maths_prompt("How many?", "agentic"))


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("    return 2 * x\n", "    return 2 * x"),
        ("\n\treturn '\t'\n\n", "    return '\t'"),
        ("def twice(x):\n    return 2 * x\n", "    return 2 * x"),
        ("def f(\n    x,\n):\n    # said\n    return 2 * x\n", "    # said\n    return 2 * x"),
        ("    def f():\n        pass\n    f()\n", "    def f():\n        pass\n    f()"),
        ("    a = '''\nb\n'''\n    return a\n", "    a = '''\nb\n'''\n    return a"),
    ],
)  # fmt: skip
def test_a_reference_is_the_body_with_its_texts_as_they_are(solution, answer):
    assert code_reference(solution).answer == answer
