import ast

from hypothesis import given
from hypothesis import strategies as st

from harness.tasks.mutants import single_constant_mutants


def test_integers_move_by_one_strings_by_one_letter_and_truth_turns_round():
    assert set(single_constant_mutants("    return x + 3\n")) == {
        "    return x + 2\n",
        "    return x + 4\n",
    }
    assert set(single_constant_mutants("    return s + 'ab'\n")) == {
        f"    return s + '{word}'\n" for word in ("zb", "bb", "aa", "ac")
    }
    assert list(single_constant_mutants("    return sorted(xs, reverse=True)\n")) == [
        "    return sorted(xs, reverse=False)\n"
    ]


def test_a_body_without_constants_has_no_mutants():
    assert list(single_constant_mutants("    return x * x\n")) == []


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4))
def test_each_mutant_differs_in_one_line_and_still_parses(numbers):
    body = "".join(f"    r = r + {number}\n" for number in numbers) + "    return r\n"
    mutants = list(single_constant_mutants(body))
    assert len(mutants) == 2 * len(numbers)
    for mutant in mutants:
        ast.parse("def f(r):\n" + mutant)
        pairs = zip(mutant.splitlines(), body.splitlines(), strict=True)
        assert sum(a != b for a, b in pairs) == 1
