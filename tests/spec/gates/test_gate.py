from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from harness.errors import FieldError, SpecError
from harness.spec import Experiment, expand
from harness.spec.complaints import validated
from harness.spec.gates import (
    PATTERN,
    ChangeRule,
    Claim,
    Gate,
    Monotone,
    NeutralEqualsBaseline,
    NoWorse,
    SameAcross,
    Selection,
    Threshold,
    parse_gate,
    parse_judged,
    parse_rule,
)

ALL = Selection()


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("neutral_equals_baseline", NeutralEqualsBaseline()),
        ("pass@1 >= 0.9", Threshold("pass@1", "value", ">=", 0.9, ALL)),
        ("parsed==1", Threshold("parsed", "value", "==", 1.0, ALL)),
        ("pass@1.ci_low > .5", Threshold("pass@1", "ci_low", ">", 0.5, ALL)),
        (
            "pass@1 < 1e-1 where count=4 and prompt.style = agentic",
            Threshold(
                "pass@1",
                "value",
                "<",
                0.1,
                Selection((("count", "4"), ("prompt.style", "agentic"))),
            ),
        ),
        (
            "pass@1 >= 0.9 where baseline",
            Threshold("pass@1", "value", ">=", 0.9, Selection((), baseline=True)),
        ),
        ("monotone within CI", Monotone(None, None, ALL)),
        (
            "parsed monotone falling within CI where seed=0",
            Monotone("parsed", "falling", Selection((("seed", "0"),))),
        ),
        (
            "no worse than main by more than 0.02 (paired, p < 0.05)",
            NoWorse(None, "main", 0.02, 0.05, ALL),
        ),
        (
            "pass@1 no worse than 7 by more than 1e-2 (paired,p<.01) where baseline",
            NoWorse("pass@1", "7", 0.01, 0.01, Selection((), baseline=True)),
        ),
        ("same across engine.name", SameAcross("engine.name", ALL)),
        (
            "same  across slots where count=4",
            SameAcross("slots", Selection((("count", "4"),))),
        ),
    ],
)
def test_what_is_accepted(text, gate):
    assert parse_gate(text).claim == gate
    assert parse_gate(f"  {text} ").claim == gate
    assert str(parse_gate(text)) == text
    assert re.search(PATTERN, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("neutral_equal_baseline", "did you mean neutral_equals_baseline?"),
        ("", "accepted: neutral_equals_baseline, METRIC >= NUMBER"),
        ("pass@1 >= nine", "'nine' is not a number"),
        ("pass@1 >= nan", "'nan' is not a number"),
        ("pass@1 => 0.9", "did you mean >=? '=>' is not one of >=, >, <=, <, =="),
        ("1st >= 0.9", "'1st' names no metric"),
        ("pass@1 >= 0.9 where count", "'count' does not select cases"),
        ("neutral_equals_baseline where count=0", "takes no 'where'"),
        ("monotonic within CI", "it should be [METRIC] monotone [rising|falling] within CI"),
        ("monotone within CI where baseline", "a baseline has no dose"),
        ("no worse than main", "no worse than SAVED by more than D (paired, p < A)"),
        ("no worse than main by more than 0.02 (paired", "in quotes, or YAML cuts it"),
        ("no worse than main by more than 0 (paired, p < 0.05)", "must be above 0"),
        ("no worse than main by more than 0.1 (paired, p < 5)", "between 0 and 0.5"),
        ("same over engine.name", "it should be same across AXIS"),
        ("same across", "it should be same across AXIS"),
    ],
)
def test_what_is_refused_says_what_would_be_accepted(text, says):
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        parse_gate(text)
    assert "\n" not in str(caught.value)
    assert repr(text) in str(caught.value)


@given(st.text(max_size=40) | st.from_regex(PATTERN, alphabet=st.characters(codec="ascii")))
def test_the_schemas_pattern_and_the_parser_accept_the_same_form(text):
    fits = bool(re.search(PATTERN, text))
    try:
        parse_gate(text)
        accepted = True
    except ValueError as error:
        # Beyond the form, the parser knows which numbers and selections make no sense.
        beyond = ("above 0", "between 0", "has no dose")
        accepted = any(reason in str(error) for reason in beyond)
    assert accepted == fits


@given(st.from_regex(PATTERN, alphabet=st.characters(codec="ascii")))
def test_a_claim_is_json_and_comes_back_from_it_and_a_spec_keeps_its_text(text):
    with suppress(ValueError):  # of the form, and without sense
        gate = parse_gate(text)
        claims = TypeAdapter(Claim)
        assert claims.validate_json(claims.dump_json(gate.claim)) == gate.claim
        form = {"name": "small", "model": "zoo/moe", "task": {"name": "gsm8k"}, "gates": [text]}
        experiment = Experiment.model_validate(form)
        written = experiment.model_dump(mode="json")
        assert (experiment.gates, written["gates"]) == ([gate], [text])
        assert experiment.model_dump()["gates"] == [text]
        assert Experiment.model_validate(written) == experiment
        assert Experiment.model_validate({**form, "gates": [gate]}).gates[0] is gate


def test_gates_are_equal_when_they_claim_the_same():
    one, other = parse_gate("pass@1>=.9"), parse_gate("pass@1 >= 0.90")
    assert one == other
    assert len({one, other, parse_gate("pass@1 > 0.9")}) == 2


@pytest.mark.parametrize(
    ("gates", "says"),
    [
        ([3], r"gates\[0\]: 3 is not accepted; it should be text \(in quotes, or YAML reads it as"),
        (["same across a", "x" * 401], r"gates\[1\]: .* it should have at most 400 characters"),
        (["bogus"], r"gates\[0\]: 'bogus' is not a gate; accepted: "),
    ],
)
def test_what_is_no_text_of_a_gate_is_told_at_its_place(gates, says):
    form = {"name": "small", "model": "zoo/moe", "task": {"name": "gsm8k"}, "gates": gates}
    with pytest.raises(FieldError, match=says):
        validated(form)


def test_a_copy_with_the_texts_of_other_gates_is_a_form_too():
    form = {
        "name": "small",
        "model": "zoo/moe",
        "task": {"name": "gsm8k"},
        "axes": {"seed": [0, 1]},
    }
    copy = Experiment.model_validate(form).model_copy(update={"gates": ["pass@1 > 0 where seed=1"]})
    assert expand(copy)[0].experiment.gates == [parse_gate("pass@1 > 0 where seed=1")]
    with pytest.raises(SpecError, match=r"gates\[0\]: 'pass@1 > 0 where seed=2': seed is never"):
        expand(copy.model_copy(update={"gates": ["pass@1 > 0 where seed=2"]}))
    with pytest.raises(SpecError, match=r"gates\[0\]: 'bogus' is not a gate"):
        expand(copy.model_copy(update={"gates": ["bogus"]}))


@pytest.mark.parametrize(
    "text", ["pass@1: worse, p<0.05", "parsed:different", " pass@1 : better , p < .01"]
)
@pytest.mark.parametrize("saved", ["0001_main", "reports/a: b", "a"])
def test_a_rule_is_known_again_by_its_gate(text, saved):
    rule = parse_rule(text)
    gate = Gate(*rule.against(saved))
    assert str(gate) == f"compare {saved}: {text}"
    assert parse_judged(str(gate)) == gate
    assert (ChangeRule.of(gate.text, gate.claim), str(ChangeRule.of(gate.text, gate.claim))) == (
        rule,
        text,
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("pass@1: worse, p<0.05", ChangeRule("pass@1", "worse", 0.05)),
        ("parsed:different", ChangeRule("parsed", "different", None)),
        ("pass@1 : better , p < .01", ChangeRule("pass@1", "better", 0.01)),
    ],
)
def test_rules(text, rule):
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pass@1: wrose, p<0.05", "did you mean worse?"),
        ("pass@1", "it should be METRIC: worse|better|different[, p<A]"),
        ("pass@1: worse, p<0", "between 0 and 0.5"),
        ("pass@1: worse p<0.05", "is not a rule"),
    ],
)
def test_rules_that_are_refused(text, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_rule(text)
