"""The little language that names a usage matrix."""

from __future__ import annotations

import pytest

from harness.spec.usage_expression import Average, UsageExpression, parse


@pytest.mark.parametrize("scope", ["all", "last"])
@pytest.mark.parametrize("style", ["assisted", "agentic", "completion"])
def test_every_average(scope, style):
    average = Average(scope, style)
    assert parse(f" avg_{scope}_{style}\n") == UsageExpression(average)


@pytest.mark.parametrize("minus", [" - ", "-", "  -"])
def test_a_difference(minus):
    assert parse(f"avg_all_agentic{minus}avg_last_assisted") == UsageExpression(
        plus=Average("all", "agentic"), minus=Average("last", "assisted")
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "avg",
        "avg_last",
        "avg_last_agentic -",
        "avg_last_agentic + avg_all_agentic",
        "avg_last_agentic - avg_all_agentic - avg_all_assisted",
        "-avg_last_agentic",
        "AVG_LAST_AGENTIC",
    ],
)
def test_anything_else_is_refused_with_what_is_accepted(text):
    with pytest.raises(ValueError) as error:
        parse(text)
    assert str(error.value) == (
        f"{text!r} is not a usage; it should be avg_{{all,last}}_{{assisted,agentic,completion}}, "
        "or a difference of two of these"
    )


def test_a_difference_with_itself_orders_nothing():
    with pytest.raises(ValueError, match="is zero everywhere"):
        parse("avg_all_agentic - avg_all_agentic")
