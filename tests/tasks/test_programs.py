import pytest

from harness.tasks.programs import helpers, without_examples, without_future


@pytest.mark.parametrize(
    ("behind", "kept"),
    [
        ("print(f(1))", ""),
        ("assert f(1) == 2", ""),
        ("x = input()\nf(x)", ""),
        ("def main():\n    f(input())\nmain()", "def main():\n    f(input())"),
        ("'text'\n5\nname", ""),
        ("for i in range(3):\n    print(f(i))", ""),
        ("if __name__ == '__main__':\n    f(1)", ""),
        ("y = 1; print(f(1))", ""),
        ("TABLE.append(2)", "TABLE.append(2)"),
        ("TABLE = [3]", "TABLE = [3]"),
        ("import math", "import math"),
        ("f = cached(f)", "f = cached(f)"),
        ("f.cache = {}", ""),
    ],
)
def test_examples_behind_a_function_are_left_out_and_what_it_needs_is_not(behind, kept):
    head = "TABLE = []\n\n\ndef f(x):\n    return TABLE + [x]\n"
    assert without_examples(f"{head}{behind}\n", "f", 0).rstrip() == f"{head}{kept}".rstrip()


def test_nothing_above_the_line_is_left_out():
    assert without_examples("5\n6\ndef f(): pass\n7", "f", 1) == "5\ndef f(): pass"


def test_helpers_are_found_in_turn_and_in_order():
    others = [
        "a = 1\nprint(a)",
        "def b():\n    return a\n\n\ndef c():\n    return 0",
        "import math",
    ]
    assert helpers("def f():\n    return b()", others) == "a = 1\n\ndef b():\n    return a"
    assert helpers("def f():\n    return len('')", others) == ""


def test_annotations_are_what_the_future_makes_of_them():
    code = "def f(x: No = 1, *y: int) -> No[int]:\n    z: No = x\n    return z"
    scope = {}
    exec(without_future(f"from __future__ import annotations\n{code}"), scope)
    assert scope["f"].__annotations__ == {"x": "No", "y": "int", "return": "No[int]"}
    assert without_future("x = 1  # kept") == "x = 1  # kept"
