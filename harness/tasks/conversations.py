"""How a sample is put to a model, and how its answer is read back; shared by every task.

Prompts. The same material reaches the model in one of three styles:
    assisted    the user pastes it into one turn
    agentic     the user names a file, the assistant reads it by a tool call, the tool returns it
    completion  bare text to be continued, for models without a chat template
Both chat styles have the same reference continuation.

Answers. `extract_code` turns a completion into what HumanEval appends to its prompt, and
`final_number` finds the number that an answer ends with.
"""

from __future__ import annotations

import re
import textwrap
from decimal import Decimal
from typing import Any

from harness.errors import TaskError
from harness.tasks.base import Conversation, Message, Reference, Style

CODE_MARKER = "#Function definition and docstring:\n"
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


def code_prompt(prompt: str, style: Style) -> Conversation | str:
    """A function's signature and docstring in a style."""
    if style == "completion":
        return prompt
    if style == "assisted":
        return _one_turn(f"Complete the function below.\n{CODE_MARKER}{prompt}")
    return _read_file("Complete the function in main.py.", "main.py", CODE_MARKER + prompt)


def maths_prompt(question: str, style: Style) -> Conversation | str:
    """A word problem in a style."""
    if style == "completion":
        return f"Question: {question}\nAnswer:"
    if style == "assisted":
        return _one_turn(question)
    return _read_file("Solve the problem in problem.txt.", "problem.txt", question)


def code_request(prompt: str) -> Conversation:
    """The agentic conversation of a function up to where the assistant would call its tool."""
    return _request(code_prompt(prompt, "agentic"))


def maths_request(question: str) -> Conversation:
    """The agentic conversation of a word problem up to where the assistant would call its tool."""
    return _request(maths_prompt(question, "agentic"))


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

    Raises TaskError where there is no template, and where it refuses the conversation: templates
    refuse roles and tools that their model was not trained on.
    """
    style = "agentic" if conversation.tools else "assisted"
    model = tokenizer.name_or_path or "this model"
    if not tokenizer.chat_template:
        raise TaskError(
            f"prompt.style {style} needs a chat template and the tokenizer of "
            f"{model} has none; use `prompt.style: completion`"
        )
    try:
        text = str(
            tokenizer.apply_chat_template(
                list(conversation.messages),
                tools=list(conversation.tools) or None,
                add_generation_prompt=True,
                tokenize=False,
            )
        )
        text.encode()  # JSON can hold half a surrogate pair, which no tokenizer takes
    except Exception as error:  # a template is a program that came with the model
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise TaskError(
            f"prompt.style {style} cannot be rendered by the chat template of {model}: "
            f"{first.rstrip('.')}; use another prompt.style, or mend the template"
        ) from error
    return text


def _request(conversation: Conversation | str) -> Conversation:
    assert isinstance(conversation, Conversation)
    return Conversation(conversation.messages[:1], conversation.tools)


def _one_turn(content: str) -> Conversation:
    return Conversation(({"role": "user", "content": content},))


def _read_file(request: str, path: str, content: str) -> Conversation:
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
    return Conversation(messages, (READ_FILE,))


_FENCE = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_DEFINITION = re.compile(r"(?:async +)?def .*:\s*(?:#.*)?")


def extract_code(text: str, prompt: str, entry_point: str) -> str | None:
    """A chat answer as a HumanEval completion, to be appended to `prompt`; None if it is empty.

    The first fenced block counts, or the whole text when there is none; a fence that is never
    closed reaches to the end. A block that defines `entry_point` itself stands below the prompt,
    whose docstring makes it a whole function, and redefines it. Anything else is the body of the
    prompt's last function: a leading definition line is dropped and the rest indented by four.
    """
    text = text.replace("\r\n", "\n")
    fenced = _FENCE.search(text)
    block = fenced.group(1) if fenced else text
    if not block.strip():
        return None
    gap = "" if prompt.endswith("\n") else "\n"
    whole = textwrap.dedent(_without_tabs(block))
    own = re.compile(rf"^(?:async +)?def +{re.escape(entry_point)}\s*\(", re.MULTILINE)
    if own.search(whole):
        return f"{gap}\n{whole.rstrip()}\n"
    return f"{gap}{_indented_body(block)}\n"


def _indented_body(source: str) -> str:
    """A function body with blank ends trimmed, tabs as four spaces and least indent four."""
    lines = _dedented_lines(_without_tabs(source).split("\n"))
    # A definition with nothing beside it is the function itself; otherwise it is a helper inside.
    rest = lines[1:]
    if lines and _DEFINITION.fullmatch(lines[0]) and all(_indent(line) for line in rest if line):
        lines = _dedented_lines(rest)
    return "\n".join(_INDENT + line if line else "" for line in lines)


def _dedented_lines(lines: list[str]) -> list[str]:
    """Lines without blank ones at the ends and without their common indent; blank ones empty."""
    filled = [index for index, line in enumerate(lines) if line.strip()]
    if not filled:
        return []
    least = min(_indent(lines[index]) for index in filled)
    return [line[least:] if line.strip() else "" for line in lines[filled[0] : filled[-1] + 1]]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _without_tabs(source: str) -> str:
    return source.replace("\t", _INDENT)


_NUMBER = re.compile(r"(?:(?<![\w)%.])-)?(?:\$-?)?(?:[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)")


def final_number(text: str) -> Decimal | None:
    """The number after the last `####`, else the last number of the text; None without any.

    Dollar and per cent signs, thousands commas and a final point are dropped, so that equal
    amounts compare equal however they are written. A dash after a digit is a minus between two
    numbers and not the sign of the second.
    """
    _, marker, tail = text.rpartition("####")
    if marker and (found := _NUMBER.search(tail)):
        return _decimal(found.group())
    numbers = _NUMBER.findall(text)
    return _decimal(numbers[-1]) if numbers else None


def _decimal(number: str) -> Decimal:
    sign = "-" if "-" in number else ""
    return Decimal(sign + re.sub(r"[-$,]", "", number))
