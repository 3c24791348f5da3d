"""How a sample is put to a model; shared by every task.

Prompts. The same material reaches the model in one of three styles:
    assisted    the user pastes it into one turn
    agentic     the user names a file, the assistant reads it by a tool call, the tool returns it
    completion  bare text to be continued, for models without a chat template
Both chat styles have the same reference continuation.

How an answer is read back: `code_answers` and `number_answers`.
"""

from __future__ import annotations

import ast
from contextlib import suppress
from dataclasses import replace
from datetime import date
from typing import Any

from harness.errors import TaskError, TemplateError
from harness.tasks import indentation, python_source, templates
from harness.tasks.base import Conversation, Message, Reference, Style
from harness.tasks.number_answers import final_number as final_number

CODE_MARKER = "#Function definition and docstring:\n"
#: What asks for a function whose head follows.
CODE_REQUEST = f"Complete the function below.\n{CODE_MARKER}"
_INDENT = " " * 4

READ_FILE = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Read a text file and return its content.",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string", "description": "Path of the file."}},
            "required": ["path"],
        },
    },
}


def code_prompt(prompt: str, style: Style, day: date | None = None) -> Conversation | str:
    """A function's signature and docstring in a style, asked on a day."""
    if style == "completion":
        return prompt
    if style == "assisted":
        return _one_turn(CODE_REQUEST + prompt, day)
    return _read_file("Complete the function in main.py.", "main.py", CODE_MARKER + prompt, day)


def maths_prompt(question: str, style: Style, day: date | None = None) -> Conversation | str:
    """A word problem in a style, asked on a day."""
    if style == "completion":
        return f"Question: {question}\nAnswer:"
    if style == "assisted":
        return _one_turn(question, day)
    return _read_file("Solve the problem in problem.txt.", "problem.txt", question, day)


def code_request(prompt: str, day: date | None = None) -> Conversation:
    """The agentic conversation of a function up to where the assistant would call its tool."""
    return _request(code_prompt(prompt, "agentic", day))


def maths_request(question: str, day: date | None = None) -> Conversation:
    """The agentic conversation of a word problem up to where the assistant would call its tool."""
    return _request(maths_prompt(question, "agentic", day))


def calls_tool(text: str) -> bool:
    """Whether an answer holds a tool call, in the notation of Qwen's chat templates."""
    return "<tool_call>" in text


def code_reference(canonical_solution: str) -> Reference:
    """The canonical body in a fence; indented by four, without a `def` line or blank ends."""
    return Reference("```python\n", _indented_body(canonical_solution), "\n```")


def maths_reference(answer: str) -> Reference:
    """The worked answer as it is."""
    return Reference("", answer, "")


def render(tokenizer: Any, prompt: Conversation | str) -> list[int]:
    """Token ids of a prompt: a conversation through the chat template, bare text as it is.

    A rendered conversation holds its own special tokens, so the tokenizer adds none; bare text
    gets whatever the tokenizer puts around text.
    """
    if isinstance(prompt, str):
        return list(tokenizer(prompt)["input_ids"])
    return list(tokenizer(render_text(tokenizer, prompt), add_special_tokens=False)["input_ids"])


def render_text(tokenizer: Any, conversation: Conversation) -> str:
    """The text that a chat template makes of a conversation, up to where the answer begins.

    Raises TaskError where there is no template, where it refuses the conversation (templates refuse
    roles and tools that their model was not trained on), where it leaves out something that is said
    or called, and where it draws at random.
    """
    style: Style = "agentic" if conversation.tools else "assisted"
    model = tokenizer.name_or_path or "this model"
    if not tokenizer.chat_template:
        raise TemplateError(
            f"prompt.style {style} needs a chat template, and the tokenizer of {model} has none",
            "use `prompt.style: completion`",
            has_one=False,
        )
    if templates.draws_at_random(tokenizer):
        raise TemplateError(
            f"prompt.style {style}: the chat template of {model} draws at random, so that no "
            "prompt is made twice",
            "use `prompt.style: completion`, or mend the template",
            has_one=False,
        )
    try:
        text = templates.applied(tokenizer, conversation)
    except Exception as error:  # a template is a program that came with the model
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise TemplateError(
            f"prompt.style {style} cannot be rendered by the chat template of {model}: "
            f"{first.rstrip('.')}",
            _remedy(tokenizer, style),
        ) from error
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])
        raise TaskError(
            f"the {style} prompt holds {half}, half of a surrogate pair, which no tokenizer takes; "
            "mend the data"
        ) from None
    lost = templates.left_out(tokenizer, conversation, text)
    if lost:
        raise TemplateError(
            f"prompt.style {style}: the chat template of {model} leaves out {', '.join(lost[:4])}",
            _remedy(tokenizer, style),
        )
    return text


def _remedy(tokenizer: Any, style: Style) -> str:
    """What to do about a style that this template does not render whole: the style that it does."""
    turn, whole = _one_turn("word"), False
    with suppress(Exception):  # the same program
        whole = not templates.left_out(tokenizer, turn, templates.applied(tokenizer, turn))
    works: Style = "assisted" if whole and style != "assisted" else "completion"
    return f"use `prompt.style: {works}`, or mend the template"


def _request(conversation: Conversation | str) -> Conversation:
    assert isinstance(conversation, Conversation)
    return replace(conversation, messages=conversation.messages[:1])


def _one_turn(content: str, day: date | None = None) -> Conversation:
    return Conversation(({"role": "user", "content": content},), date=day)


def _read_file(request: str, path: str, content: str, day: date | None) -> Conversation:
    """The user names a file, the assistant reads it, the tool returns its content."""
    call = {"name": "read_file", "arguments": {"path": path}}
    messages: tuple[Message, ...] = (
        {"role": "user", "content": request},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_0", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "call_0", "name": "read_file", "content": content},
    )
    return Conversation(messages, (READ_FILE,), day)


def _indented_body(source: str) -> str:
    """A function's body, indented by four; of a whole function, what is in it."""
    whole = indentation.moved(source)
    tree = python_source.parsed(whole)
    # A definition with nothing beside it is the function itself; otherwise it is a helper inside.
    match tree.body if tree else []:
        case [ast.FunctionDef() | ast.AsyncFunctionDef() as function] if not (
            function.decorator_list or function.body[0].lineno == function.lineno
        ):
            head = whole.split("\n")[: function.body[0].lineno - 1]
            whole = "\n".join(whole.split("\n")[_length_of_head(head) :])
    return indentation.moved(whole, _INDENT)


def _length_of_head(lines: list[str]) -> int:
    """How many lines a `def` and its parameters take; comments below them belong to the body."""
    comments = [line for line in lines if line.lstrip().startswith("#") or not line.strip()]
    return len(lines) - len(comments)
