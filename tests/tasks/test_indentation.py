import pytest

from harness.tasks.indentation import forms, moved


@pytest.mark.parametrize(
    ("source", "at_four"),
    [
        ("\n\nreturn x\n\n", "    return x"),
        ("        a = 1\n\n        return a", "    a = 1\n\n    return a"),
        ("\tif x:\n\t\treturn '\t'", "    if x:\n        return '\t'"),
        ("  a = '''\nb\n'''\n  return a", "    a = '''\nb\n'''\n    return a"),
        ("  a = f(x,\nx)\n  return a", "    a = f(x,\n    x)\n    return a"),
        ("# said\n    return x", "    # said\n    return x"),
        ("    a = \\\nx\n    return a", "    a = \\\n    x\n    return a"),
        (")\n  return x", "    )\n      return x"),
        ("", ""),
    ],
)
def test_code_is_moved_and_the_text_of_strings_is_not(source, at_four):
    assert moved(source, "    ") == at_four


def test_a_first_line_that_lost_its_indent_is_moved_apart():
    stripped = "for i in x:\n        if i:\n            return 1\n    return 0"
    assert "    for i in x:\n        if i:\n            return 1\n    return 0" in forms(
        stripped, "    "
    )


def test_a_first_line_that_kept_its_indent_is_not():
    assert "    return x\n    st" not in forms("    return x\nst", "    ")
