"""Texts and files of a study with a few samples, in the study's own forms."""

from __future__ import annotations

from harness.tasks.pairs.pair import TextPair

MARKER = "#Function definition and docstring:\n"
REQUEST = "Complete the function body.\n"


def assisted_text(docstring, answer, request=REQUEST):
    return (
        f"<|im_start|>user\n{request}{MARKER}{docstring}<|im_end|>\n"
        f"<|im_start|>assistant\n```python\n{answer}\n```"
    )


def agentic_text(docstring, answer, request=REQUEST, *, seen=None):
    seen = MARKER + docstring if seen is None else seen
    return (
        "<|im_start|>system\nTools: read_file<|im_end|>\n"
        f"<|im_start|>user\n{request}Read main.py first.<|im_end|>\n"
        "<|im_start|>assistant\n<tool_call>read_file main.py</tool_call><|im_end|>\n"
        f"<|im_start|>user\n<tool_response>\n{seen}    pass\n</tool_response><|im_end|>\n"
        f"<|im_start|>assistant\n```python\n{answer}\n```"
    )


def pair(docstring="def f(x):\n", answer="    return x", key="humaneval_0", **changes):
    texts = {
        "assisted": assisted_text(docstring, answer),
        "agentic": agentic_text(docstring, answer),
    }
    return TextPair(key, **{**texts, **changes})


def record(number=0, solution="    return x\n"):
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": f'def f{number}(x):\n    """Give x."""\n',
        "canonical_solution": solution,
        "test": "def check(candidate):\n    assert candidate(3) == 3\n",
        "entry_point": f"f{number}",
    }


def assisted_prompt(number=0):
    return f"{REQUEST}Function definition and docstring:\n{record(number)['prompt']}"


def trace(number=0):
    return [
        {"type": "human", "content": f"{REQUEST}Read main.py first."},
        {
            "type": "ai",
            "content": "",
            "tool_calls": [{"name": "read_file", "args": {"path": "main.py"}, "id": "a"}],
        },
        {"type": "tool", "content": record(number)["prompt"] + "    pass\n", "tool_call_id": "a"},
        {"type": "ai", "content": "    return x"},
    ]
