"""Which code of an answer is judged: the presentation of a function never changes its verdict."""

import json
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.tasks.code_answers import read_code
from harness.tasks.conversations import code_reference
from harness.tasks.humaneval import HumanEval

PROMPT = 'def twice(x):\n    """Double x."""\n'
HELPER_PROMPT = f"def helper(x):\n    return x\n\n\n{PROMPT}"
REAL = Path(__file__).parents[3] / "shared/data/own/easycode.jsonl"

HUMAN_EVAL = HumanEval.load()
# Nested loops; a helper in the prompt; a loop that ends by itself; two lists; texts in the body.
PROBLEMS = [HUMAN_EVAL.by_id[f"HumanEval/{number}"].record for number in (0, 10, 25, 53, 65, 158)]


def run(completion, prompt=PROMPT):
    scope = {"__name__": "completion"}
    exec(compile(prompt + completion, "<test>", "exec", dont_inherit=True), scope)
    return scope["twice"](4)


def passes(record, text):
    """Whether an answer passes the record's test; solutions of our own need no sandbox."""
    completion = read_code(text, record["prompt"], record["entry_point"]).completion
    assert completion is not None, text
    scope = {"__name__": "completion"}
    program = record["prompt"] + completion + "\n" + record["test"]
    exec(compile(program, "<test>", "exec", dont_inherit=True), scope)
    try:
        scope["check"](scope[record["entry_point"]])
    except AssertionError:
        return False
    return True


def indented(text, by):
    return textwrap.indent(text, by, lambda line: bool(line.strip() or by.strip()))


def tabbed(code):
    lines = [(line, len(line) - len(line.lstrip(" "))) for line in code.split("\n")]
    return "\n".join("\t" * (width // 4) + line[width // 4 * 4 :] for line, width in lines)


def session(code):
    lines = code.rstrip().split("\n")
    return "\n".join([f">>> {lines[0]}", *(f"... {line}" for line in lines[1:]), "..."])


FENCED = "```python\n{}\n```"
#: Presentations of a whole function `code` called `name`.
WHOLE = {
    "fence": lambda code, name: FENCED.format(code),
    "no label": lambda code, name: f"```\n{code}\n```",
    "py": lambda code, name: f"```py\n{code}\n```",
    "attributes": lambda code, name: f"```{{.python .numberLines}}\n{code}\n```",
    "four backticks": lambda code, name: f"````python\n{code}\n````",
    "longer closing": lambda code, name: f"```python\n{code}\n`````",
    "tildes": lambda code, name: f"~~~python\n{code}\n~~~",
    "backticks in tildes": lambda code, name: f"~~~\n# ```\n{code}\n~~~",
    "never closed": lambda code, name: f"```python\n{code}",
    "never opened": lambda code, name: f"{code}\n```\n\nThis is the function's code.",
    "wrong label": lambda code, name: f"```bash\n{code}\n```",
    "bare": lambda code, name: code,
    "prose above": lambda code, name: f"Here's the code:\n\n{code}",
    "prose below": lambda code, name: f"{code}\n\nIt's done.",
    "prose glued": lambda code, name: f"Here's the code:\n{code}\nIt's done.",
    "prose around": lambda code, name: f"Sure! It's easy.\n\n{code}\n\nHope that's fine.",
    "list": lambda code, name: f"1. Do\n\n{indented(FENCED.format(code), '   ')}\n2. Done",
    "list, code at the margin": lambda code, name: f"1. Do:\n    ```python\n{code}\n    ```\n",
    "quote": lambda code, name: indented(FENCED.format(code), "> "),
    "indented fence": lambda code, name: indented(FENCED.format(code), "  "),
    "deep fence": lambda code, name: "Text:\n" + indented(FENCED.format(code), "      "),
    "indented code": lambda code, name: f"The code:\n\n{indented(code, '    ')}\n\nThat's all.",
    "tags": lambda code, name: f"<answer>\n{FENCED.format(code)}\n</answer>",
    "CodeLlama": lambda code, name: f"[PYTHON]\n{code}\n[/PYTHON]",
    "tabs": lambda code, name: FENCED.format(tabbed(code)),
    "windows": lambda code, name: FENCED.format(code).replace("\n", "\r\n"),
    "byte order mark": lambda code, name: "\ufeff" + FENCED.format(code),
    "no-break blanks": lambda code, name: FENCED.format(code.replace("    ", "\u00a0" * 4)),
    "session": lambda code, name: FENCED.format(session(code)),
    "shell first": lambda code, name: f"```bash\npip install x\n```\n{FENCED.format(code)}",
    "plan first": lambda code, name: f"```\n1. think\n2. write\n```\n{FENCED.format(code)}",
    "usage first": lambda code, name: f"```python\n{name}(1)\n```\n{FENCED.format(code)}",
    "head first": lambda code, name: (
        f"```python\ndef {name}(*a):\n    ...\n```\n{FENCED.format(code)}"
    ),
    "draft first": lambda code, name: (
        f"```python\ndef {name}(*a):\n    return 'no'\n```\nBetter:\n{FENCED.format(code)}"
    ),
    "usage behind": lambda code, name: f"{FENCED.format(code)}\n```python\nprint({name}())\n```",
    "output behind": lambda code, name: f"{FENCED.format(code)}\n```\nTrue\n```",
    "import behind": lambda code, name: (
        f"{FENCED.format(code)}\n```python\nfrom solution import {name}\n{name}()\n```"
    ),
    "tests behind": lambda code, name: (
        f"{FENCED.format(code)}\n```python\ndef test_it():\n    assert {name}() == 1\n```"
    ),
    "call inside": lambda code, name: FENCED.format(f"{code}\n\nprint({name}())"),
    "wrong assertion inside": lambda code, name: FENCED.format(f"{code}\n\nassert {name} is None"),
    "input inside": lambda code, name: FENCED.format(f"{code}\n\nx = input()\nprint({name}(x))"),
    "loop inside": lambda code, name: FENCED.format(f"{code}\nwhile True:\n    {name}()"),
    "main inside": lambda code, name: FENCED.format(
        f"{code}\n\ndef main():\n    {name}(input())\n\nmain()"
    ),
    "cut in the example": lambda code, name: f"{FENCED.format(code)[:-4]}\nprint({name}([1, 2",
    "bare, cut in the example": lambda code, name: f"{code}\n\n# Example:\nprint({name}('((((",
    "closing tags": lambda code, name: f"{FENCED.format(code)}\n</s>",
    "future": lambda code, name: FENCED.format(f"from __future__ import annotations\n\n{code}"),
    "think": lambda code, name: (
        f"<think>\n{FENCED.format(f'def {name}(*a): return 0')}\n</think>\n{FENCED.format(code)}"
    ),
    "think, cut fence": lambda code, name: (
        f"<think>\n```python\ndef {name}(*a):\n</think>\n{FENCED.format(code)}"
    ),
    "thinking opened by the prompt": lambda code, name: (
        f"First {name}...\n```python\nreturn 0\n```\n</think>\n\n{FENCED.format(code)}"
    ),
    "Magistral": lambda code, name: f"[THINK]def {name}(): pass[/THINK]{code}",
    "gpt-oss": lambda code, name: (
        f"<|channel|>analysis<|message|>def {name}(): pass<|end|><|start|>assistant"
        f"<|channel|>final<|message|>{FENCED.format(code)}"
    ),
    "another name": lambda code, name: FENCED.format(code.replace(name, f"{name}_2")),
}
#: Presentations of the function's body alone, whose statements are indented by four.
BODY = {
    "fence": lambda body, name: FENCED.format(body),
    "dedented": lambda body, name: FENCED.format(textwrap.dedent(body)),
    "deeper": lambda body, name: FENCED.format(indented(body, "    ")),
    "first line stripped": lambda body, name: FENCED.format(body.strip()),
    "bare": lambda body, name: body,
    "bare, stripped": lambda body, name: body.strip(),
    "tabs": lambda body, name: FENCED.format(tabbed(body)),
    "tildes": lambda body, name: f"~~~~\n{body}\n~~~~",
    "never closed": lambda body, name: f"```python\n{body}",
    "prose around": lambda body, name: f"It's:\n{FENCED.format(body)}\nThat's it.",
    "usage behind": lambda body, name: f"{FENCED.format(body)}\n```python\n{name}(1)\n```",
    "usage inside": lambda body, name: FENCED.format(f"{body}\n\nprint({name}(1))"),
    "bare, closed": lambda body, name: f"{body}\n```",
    "bare, closed, prose behind": lambda body, name: f"{body}\n```\nThat's the function.",
    "bare, prose behind": lambda body, name: f"{body}\n\nThat's the function.",
    "shell first": lambda body, name: f"```sh\nls\n```\n{FENCED.format(body)}",
    "think": lambda body, name: f"<think>```\nreturn 0\n```</think>\n{FENCED.format(body)}",
}


@pytest.mark.parametrize("record", PROBLEMS, ids=lambda record: record["task_id"])
def test_a_whole_function_is_judged_the_same_in_every_presentation(record):
    name = record["entry_point"]
    right = f"{record['prompt']}{record['canonical_solution']}".strip("\n")
    wrong = f"{record['prompt']}    return None\n".strip("\n")
    for style, presented in WHOLE.items():
        correct = right
        if style == "another name":
            if right.count("def ") > 1:
                continue  # which of several functions is meant nobody can say
            correct = right.replace('"""', '""" ', 1)
        assert passes(record, presented(correct, name)), style
        assert not passes(record, presented(wrong, name)), style


@pytest.mark.parametrize("record", PROBLEMS, ids=lambda record: record["task_id"])
def test_a_body_is_judged_the_same_in_every_presentation(record):
    name = record["entry_point"]
    right = record["canonical_solution"].strip("\n")
    for style, presented in BODY.items():
        assert passes(record, presented(right, name)), style
        assert not passes(record, presented(f"    return None\n{right}", name)), style


@pytest.mark.parametrize(
    "text",
    [
        "```python\n    return 2 * x\n```",
        "```\nreturn 2 * x\n```",
        "```python\r\n    return 2 * x\r\n```",
        "    return 2 * x",
        "  return 2 * x\n\n",
        "return 2 * x\n\nThis doubles it.",
        "x += x\n    return x",
        "def double(x):  # another name\n    return 2 * x",
        "```python\ndef double(value):\n    return 2 * value\n```",
        "```python\ndef twice(x: int,\n          y=2) -> int:\n    return y * x\n```",
        "```python\nimport math\n\ndef twice(x):\n    return math.floor(2 * x)\n```",
        "```python\n  def twice(x):\n    return 2 * x\n```",
        "```python\ndef half(x):\n    return x\n\ndef twice(x):\n    return 2 * half(x)\n```",
        "    def helper(y):\n        return 2 * y\n    return helper(x)",
        "```python\ntwice = lambda x: 2 * x\n```",
        "twice = lambda x: 2 * x",
        "```python\nfrom functools import lru_cache\n\n@lru_cache\ndef twice(x):\n    return 2 * x\n```",
        "```python\nclass twice(int):\n    def __new__(cls, x):\n        return 2 * x\n```",
        "```python\nclass Solution:\n    def twice(self, x):\n        return 2 * x\n```",
        "```python\nif True:\n    def twice(x):\n        return 2 * x\n```",
        "```python\ntry:\n    twice = None\nfinally:\n    def twice(x):\n        return 2 * x\n```",
        "```python\nfrom operator import mul as helper\nimport operator as twice\ntwice = lambda x: helper(2, x)\n```",
        "```python def twice(x): return 2 * x```",
        # Strings keep their text, whatever is done to the code around them.
        '```python\n    note = """\nfree text\n"""\n    return 2 * x\n```',
        '```python\n    note = """\n```\nfence\n```\n"""\n    return 2 * x\n```',
        "```python\n    return 2 * x if len('\t') == 1 else 0\n```",
        "```python\n\treturn 2 * x if len('\t') == 1 else 0\n```",
        "```python\n    a = (x,\nx)\n    return sum(a)\n```",
        "```python\n# a comment at the margin\n    return 2 * x\n```",
        "```python\n    a = \\\nx\n    return 2 * a\n```",
        # What the function needs, wherever the answer has it.
        "```python\ndef half(x):\n    return x\n```\n```python\ndef twice(x):\n    return 2 * half(x)\n```",
        "```python\ndef twice(x):\n    return 2 * half(x)\n```\n```python\ndef half(x):\n    return x\n```",
        "```python\nimport math\n```\nand\n```python\n    return math.floor(2 * x)\n```",
        "import math\n\nThen:\n\ndef twice(x):\n    return math.floor(2 * x)\n",
        "```python\nTABLE = {}\ndef twice(x):\n    return TABLE['by'] * x\nTABLE.update(by=2)\n```",
        "```python\ndef twice(x):\n    return BY * x\n\nBY = 2\nprint(twice(3))\n```",
        "```python\ndef twice(x):\n    return 2 * x\ntwice = __import__('functools').lru_cache(twice)\n```",
        "```python\nfrom __future__ import annotations\ndef twice(x: Nothing[int]) -> No:\n    return 2 * x\n```",
        "```python\ndef twice(x):\n    return 0 * x\n```\nMy mistake:\n```python\ndef twice(x):\n    return 2 * x\n```",
    ],
)  # fmt: skip
@pytest.mark.parametrize("prompt", [PROMPT, HELPER_PROMPT, PROMPT.rstrip("\n")])
def test_the_forms_an_answer_takes(text, prompt):
    assert run(read_code(text, prompt, "twice").completion, prompt) == 8


@pytest.mark.parametrize(
    "excerpt",
    [
        "    total = 0",
        "    total = x\n    total += x",
        "    for each in range(2):\n        x += 1",
        "    if not x:\n        return 0\n    ...",
    ],
)
def test_the_first_lines_of_a_function_are_no_later_version_of_it(excerpt):
    whole = "```python\ndef twice(x):\n    return 2 * x\n```\n"
    again = f"It begins so:\n```python\ndef twice(x):\n{excerpt}\n```\nand so on."
    assert run(read_code(whole + again, PROMPT, "twice").completion) == 8
    alone = read_code(again, PROMPT, "twice")
    assert alone.why == "the fence defines twice"


@pytest.mark.parametrize(
    "prompt",
    [
        "def twice(x):\n",
        'def twice(x):\n  """Double x."""\n',
        'def twice(x):\n\t"""Double x."""\n',
        '@staticmethod\ndef twice(x):\n    """Double x."""\n',
        'from __future__ import annotations\n\n\ndef twice(x: int):\n    """Double x."""\n',
    ],
)
@pytest.mark.parametrize(
    "text", ["    if x:\n        return 2 * x", "def twice(x):\n    return 2 * x"]
)
def test_prompts_have_any_indent_and_no_docstring(prompt, text):
    assert run(read_code(text, prompt, "twice").completion, prompt) == 8


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("```python\ndef twice(x):\n    return 2 * x\n```", "the fence defines twice"),
        ("```sh\nls\n```\n~~~\nreturn 2 * x\n~~~", "fence 2 of 2 continues the prompt"),
        ("def twice(x):\n    return 2 * x\n\nDone now.", "the bare text defines twice in its first 3"),
        ("It is:\ndef twice(x):\n    return 2 * x", "part of the bare text defines twice"),
        ("def double(x):\n    return 2 * x", "the bare text defines double"),
    ],
)  # fmt: skip
def test_a_reading_says_which_code_and_why(text, why):
    assert read_code(text, PROMPT, "twice").why.startswith(why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no code"),
        (" \n\t", "no code"),
        ("```python\n```", "no code"),
        ("<think>\ndef twice(x):\n    return 2 * x", "no code behind the reasoning"),
        ("```python\ndef twice(x):\n    return 2 *\n```", "no code: the fence, line 2: invalid syntax"),
        ("I cannot do that.", "no code: the bare text, line 1: invalid syntax"),
        ("Sorry", "no code: the bare text"),
        ("```python\ntwice(3)\n```", "no code: the fence"),
        ("```python\n    y = (\n    return 2 * x\n```", "no code: the fence, line 1: '(' was never closed"),
        ("```python\ndef twice(x):\n    y = 2\n    return y * (", "no code: the fence, line 3"),
        ("    return 2 * x\n    return (\n```", "no code: the bare text, line 2: '(' was never closed"),
        ("```python\n    return 2 * x\nst')\n```", "no code: the fence, line 1: unexpected indent"),
    ],
)  # fmt: skip
def test_an_answer_without_python_has_a_reason(text, why):
    reading = read_code(text, PROMPT, "twice")
    assert reading.completion is None
    assert reading.why.startswith(why)


@given(st.text())
def test_any_text_is_read_without_error(text):
    completion = read_code(text, PROMPT, "twice").completion
    assert completion is None or completion.strip()


PIECES = [
    "```", "```python\n", "~~~\n", "<think>", "</think>", "def twice(x):", "\n", "    ", "return 2 * x", '"""', "\t",
    "(", ")", ">>> ", "... ", "# a", "\\", "'", "from __future__ import annotations\n", "class A:", "x = 1", "\0", ";",
    "@a\n", "lambda", "if x:", "else:", "- ", "1. ", "> ", "{", "async ", "await x", "yield", "\f", "twice(2)",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES)))
def test_what_resembles_code_is_read_without_error_into_code_that_compiles(pieces):
    completion = read_code("".join(pieces), PROMPT, "twice").completion
    if completion is not None:
        compile(PROMPT + completion, "<test>", "exec", dont_inherit=True)


STATEMENTS = st.sampled_from(
    ["y = x", "if x:\n    y = 2", "z = '''a'''", "", "y = [1,\n     2]", "z = '''\na\n'''", "# a"]
)


@given(
    st.lists(STATEMENTS, max_size=5),
    st.sampled_from(["", "    ", "  ", "\t"]),
    st.sampled_from(["{}", "```python\n{}\n```", "Text.\n```\n{}\n```\nMore.", "```py\n{}"]),
)
def test_a_body_means_the_same_however_it_is_indented_and_fenced(statements, indent, form):
    body = "\n".join([*statements, "return 2 * x"])
    lines = [indent + line if line else line for line in body.split("\n")]
    completion = read_code(form.format("\n".join(lines)), PROMPT, "twice").completion
    assert run(completion) == 8


@given(st.lists(STATEMENTS, max_size=5))
def test_reading_a_reference_gives_its_own_code_back(statements):
    reference = code_reference(
        "\n".join("    " + s.replace("\n", "\n    ") for s in statements) + "\n    return 2 * x\n"
    )
    assert read_code(reference.text, PROMPT, "twice").completion == reference.answer + "\n"


@pytest.mark.parametrize("line", ["(twice", "It is twice (x", "x = twice", "    if twice:", '"""'])
def test_a_long_text_is_read_in_a_moment(line):
    assert read_code(f"{line}\n" * 500, PROMPT, "twice").why


#: What SmolLM2-135M-Instruct wrote for four easy functions, shortened: no opening fence but a
#: closing one with prose behind it, and examples cut at the length limit.
WRITTEN = {
    "multiply": (
        'def multiply(a, b):\n    """Return the product."""\n    return a * b\n\n# Example usage:\n'
        "multiply(10, 2)  # Output: 20\n```\n\nThis function uses the `*` operator. The `def` state"
    ),
    "is_even": (
        'def is_even(n):\n    """Return True if n is even."""\n    return n % 2 == 0\n\n'
        "# Example usage:\nprint(is_even(10))  # Output: True\nprint(is_even(6"
    ),
    "is_odd": (
        'def is_odd(n):\n    """Return True if n is odd."""\n    return n % 2 != 0\n\n'
        "# Example usage:\nprint(is_odd(10))  # Output: False\nprint(is"
    ),
    "is_palindrome": (
        'def is_palindrome(s):\n    """Return True if s is a palindrome."""\n    return s == s[::-1]'
        '\n\n# Example usage:\nprint(is_palindrome("A man a plan")  # Output: True\n'
        'print(is_palindrome("A man"))  # Output: False\n```\n\nThis function uses Python\'s slicing'
    ),
}


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [("multiply", (3, 4), 12), ("is_even", (3,), False), ("is_odd", (3,), True), ("is_palindrome", ("aba",), True)],
)  # fmt: skip
def test_what_a_small_model_writes_is_read(name, arguments, result):
    prompt = f'def {name}(*arguments):\n    """See the name."""\n'
    scope = {}
    exec(prompt + read_code(WRITTEN[name], prompt, name).completion, scope)
    assert scope[name](*arguments) == result


@pytest.mark.skipif(not REAL.is_file(), reason=f"the easy functions are not at {REAL}")
@pytest.mark.parametrize("style", ["fence", "never opened", "bare, cut in the example"])
def test_easy_functions_are_right_in_the_styles_of_small_models(style):
    for line in REAL.read_text().splitlines():
        record = json.loads(line)
        code = record["prompt"] + record["canonical_solution"].rstrip("\n")
        assert passes(record, WHOLE[style](code, record["entry_point"]))
