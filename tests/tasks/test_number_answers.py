"""Spellings of numbers, and which number of an answer counts."""

from decimal import Decimal
from fractions import Fraction
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.tasks.conversations import final_number

#: How one amount may be written; none of it depends on where it stands.
SPELLINGS = {
    "18": [
        "18", "18.", "18.0", "18.00", "+18", "018", "**18**", "*18*", "__18__", "`18`", "$18", "$18.00",
        "18$", "$ 18", r"\$18", r"$\$18$", "$18$", "$$18$$", r"\(18\)", r"\[18\]", r"\text{18}",
        r"\mathbf{18}", r"$\textbf{18}$", r"\text{18 dollars}", r"18 \text{ dollars}", r"18\,\text{cm}^2",
        "18 cm^2", "18 m2", "18 km/h", "18%", r"18\%", "18 %", "€18", "18 €", "£18", "18€", "USD 18", "US$18", "Rs. 18",
        "18 dollars", "18 eggs.", "18th", "(18)", "[18]", '"18"', "'18'", "= 18", "~18", "≈ 18", ": 18",
        "18!", "**$18**", "<b>18</b>", "18\u00a0dollars", "\uff11\uff18", "\u0661\u0668", "1.8e1", "1.8E+1",
        r"1.8 \times 10^1", r"1.8\cdot10^{1}", "1.8 \u00d7 10¹", "1.8*10^1", "180e-1", "36/2", r"\frac{36}{2}",
        r"\dfrac{36}{2}", r"\tfrac{36}{2}", r"{18}", r"18\!", "18\u200b", r"\left(18\right)", r"\boxed{18}",
        r"\boxed{\boxed{18}}", r"\boxed{\$18}", r"\boxed{18\text{ dollars}}", r"$\boxed{18}$.", r"\boxed{ 18 }",
        r"\boxed{\text{18 dollars}}", r"\boxed{x = 18}", r"\fbox{18}",
    ],
    "-5": [
        "-5", "\u22125", "\u20135", "\u20105", "\u20115", "\ufe635", "\uff0d5", "-$5", "$-5", r"-\$5", r"\$-5",
        r"$-\$5$", "-$5.00", "-€5", "-5.0", "**-5**", "(-5)", r"\(-5\)", "$-5$", r"\boxed{-5}", r"\boxed{-\$5}",
        r"\text{-5}", "negative 5", "= -5", "-5 degrees", "-10/2", r"-\frac{10}{2}", r"\frac{-10}{2}", "-0.5e1",
    ],
    "1200": [
        "1,200", "1200", "1 200", "1\u00a0200", "1\u202f200", "1\u2009200", r"1\,200", r"1{,}200", r"1{\,}200",
        r"1\ 200", r"1\;200", r"1,\!200", "1~200", "1'200", "1\u2019200", "1_200", "1,200.00", "$1,200", r"\$1{,}200",
        r"\boxed{1{,}200}", r"\boxed{\$1{,}200}", r"$1\,200$", "1.2e3", r"1.2 \times 10^{3}", "1.2 \u00d7 10³", "1.200,00",
        "**1,200** dollars", "\uff11\uff0c\uff12\uff10\uff10", "$1,200.", "1,200-dollar", r"\text{1,200}",
    ],
    "1234567.5": [
        "1,234,567.5", "1 234 567.5", "1'234'567.50", r"1\,234\,567.5", r"1{,}234{,}567.50", "$1,234,567.50.",
        "1.234.567,50", "12,34,567.5", "1_234_567.5", "1.2345675e6",
    ],
    "0.5": [
        "0.5", ".5", "0.50", "1/2", "½", "1 / 2", r"\frac{1}{2}", r"\frac12", r"\dfrac{1}{2}", r"\cfrac{1}{2}", "2/4",
        "1\u20442", "5e-1", r"$\frac{1}{2}$", r"\boxed{\frac{1}{2}}", "0,5", "50/100", r"5 \times 10^{-1}",
    ],
    "1.5": ["1 1/2", "1½", "1 ½", r"1\frac{1}{2}", r"1 \dfrac{1}{2}", "3/2", "1.50", r"\boxed{1\frac12}", "1,50"],
    "8": ["2^3", "2^{3}", "2³", "8"],
    "0": ["0", "-0", "0.00", "$0", "0/7"],
}  # fmt: skip
#: How an answer may present a number: what stands before and behind it is not the answer.
PRESENTATIONS = {
    "marker": "9 eggs, 2 dollars each.\n#### {}",
    "marker glued": "9 eggs\n####{}",
    "marker, line below": "9 eggs\n####\n{}",
    "marker with remark": "9 eggs\n#### {}\n\nThis takes 7 days to a week.",
    "prose": "She sells 9 eggs. She makes {}",
}
SPELT = [(spelling, number) for number, spellings in SPELLINGS.items() for spelling in spellings]


def test_the_table_has_more_than_a_hundred_and_twenty_spellings():
    assert sum(map(len, SPELLINGS.values())) >= 120


@pytest.mark.parametrize(("spelling", "number"), SPELT)
def test_a_number_is_read_however_it_is_written_and_presented(spelling, number):
    read = {name: final_number(form.format(spelling)) for name, form in PRESENTATIONS.items()}
    assert read == dict.fromkeys(PRESENTATIONS, Decimal(number))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        # A marker
        ("#### 72", "72"),
        ("5 apples\n#### 1,234", "1234"),
        ("#### 7 eggs out of 9", "7"),
        ("first #### 1 then #### 2", "2"),
        ("12 of them\n####", "12"),
        ("12 of them\n#### none", "12"),
        ("#### 3 + 4 = 7", "7"),
        ("#### 16 eggs - 7 eggs = 9 eggs", "9"),
        ("#### 18 = 9 * 2", "18"),
        ("#### 18 (since 9*2 = 18, and 3*3 = 9)", "18"),
        ("#### 18, because 10 = 8 + 2", "18"),
        ("#### x = 18", "18"),
        ("#### - 5", "-5"),
        ("#### The answer is 18\nor 9 a day", "18"),
        ("#### Answer: 18\n(9 a day)", "18"),
        ("#### 18. That is 9 a day.", "18"),
        # A heading
        ("#### Step 1: eggs\n16 - 7 = 9\n\n#### Step 2: money\n9 * 2 = 18\n\nShe makes **18** dollars.", "18"),
        ("#### 1. Eggs\n16 - 7 = 9\n#### 2. Money\nShe makes 18.", "18"),
        ("#### 2) Money\nShe makes 18.", "18"),
        ("#### Final answer\n\n18", "18"),
        ("### Answer\n18\n### Why\nthere are 9 eggs", "18"),
        # A box
        (r"\boxed{18}. This assumes 7 days a week.", "18"),
        (r"\boxed{3 + 4 = 7}", "7"),
        (r"first \boxed{3}, then \boxed{4} in 2 steps", "4"),
        (r"She makes 18, so \boxed{\text{yes}}", "18"),
        (r"The answer is $\boxed{18", "18"),
        ("#### 3\n" + r"I was wrong: \boxed{4}", "4"),
        (r"\boxed{3} is wrong." + "\n#### 4", "4"),
        (r"\boxed 18 after 3 days", "18"),
        # A sentence that says so
        ("The answer is 18. Check: 9 * 2 = 18 and 16 - 7 = 9.", "18"),
        ("**Answer:** 18 dollars, or 9 a day", "18"),
        ("Answer: $18 because 3 * 6 = 18 and 2 * 4 = 8", "18"),
        ("The final answer is: 16 - 7 = 9. It took 2 steps.", "9"),
        ("The answer is that 9 eggs make $18.\nThat is 2 each.", "18"),
        ("The answer is not 12 but 18.", "18"),
        ("The answer to the 2nd question is 18 dollars (2 each).", "18"),
        ("To express the answer in dollars: 9 eggs * $2. It is 18", "18"),
        ("Answer:\n18\nThat took 3 steps.", "18"),
        ("**Answer:**\n- 18 dollars\n- of 9 eggs", "18"),
        ("**Answer:** She makes **$18** every day from her 9 eggs.", "18"),
        ("The answer is that **9** eggs make **9 * 2 = 18** in 1 day.", "18"),
        ('{"answer": "18", "steps": 3}', "18"),
        ("To find the answer, we need to see what are left: 16 - 7 = 9.\nSo she makes 18.", "18"),
        ("The question to answer is what she makes in 1 day.\nShe makes 18.", "18"),
        # The last number
        ("The answer is 18.", "18"),
        ("so 3-5 it is", "5"),
        ("so it is -5", "-5"),
        ("so it is (-5)", "-5"),
        ("9 * $7 = $63", "63"),
        ("between 3\u20135", "5"),
        ("it takes 18 m^2 of B12", "18"),
        ("vitamin B12", "12"),
        ("She makes 18 dollars.\nCheck: 18 / 2 = 9.", "18"),
        ("She makes 18 dollars. (Verification: 18 / 2 = 9.)", "18"),
        ("She makes 18 dollars.\n\nLet's verify: 18 / 2 = 9 eggs.", "18"),
        ("She makes 18 dollars.\n\nLet me check my answer: 18 / 2 = 9 eggs.", "18"),
        ("1. Sell 18 eggs\n2. Done", "18"),
        ("the list 1,2,3", "3"),
        ("18 = 9 * 2 = 18", "18"),
        # Reasoning
        ("<think>maybe #### 7, no</think>\nThe answer is 18.", "18"),
        ("maybe #### 7, no</think>The answer is 18.", "18"),
        ("[THINK]#### 7[/THINK]18", "18"),
        (r"<reasoning>\boxed{7}</reasoning><answer>18</answer>", "18"),
        ("<|channel|>analysis<|message|>#### 7<|end|><|start|>assistant<|channel|>final<|message|>18", "18"),
    ],
)  # fmt: skip
def test_which_number_of_an_answer_counts(text, number):
    assert final_number(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    ["", "####", "none", "-", "$", ".", ",,", "#### .", "eighteen", "<think>#### 18", r"\boxed{}", "1" * 5000],
)  # fmt: skip
def test_no_number_is_none(text):
    assert final_number(text) is None


def test_a_fraction_without_end_is_exact():
    assert final_number("#### 1/3") == final_number(r"\boxed{\frac{2}{6}}") == Fraction(1, 3)
    assert final_number("#### 1/3") != final_number("#### 0.3333333333333333")
    assert final_number("#### 7/0") == Decimal(7)


@given(st.text())
def test_any_text_has_a_number_or_none(text):
    assert isinstance(final_number(text), Decimal | Fraction | None)


@given(
    st.lists(
        st.sampled_from([*"0123456789.,-$/ ^e{}=\\#\n", r"\frac", r"\boxed{", "####", "answer is "])
    )
)
def test_what_resembles_numbers_is_read_without_error(parts):
    final_number("".join(parts))


AMOUNTS = st.decimals(
    allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9
)


@given(
    AMOUNTS,
    st.sampled_from(["", "$", "€", r"\$"]),
    st.sampled_from([",", "\u202f", r"\,", "{,}", "'", ""]),
    st.sampled_from(["", ".", "%", " dollars", "\n", "**"]),
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="#<[{\\|◁")),
)
def test_style_around_an_amount_changes_nothing(number, currency, mark, ending, before):
    written = f"{number:,}".replace(",", mark)
    assert final_number(f"{before}\n#### {currency}{written}{ending}") == number


@pytest.mark.parametrize(
    "line", ["\n", " \n", "1\n", "** a ", "to find the answer ", "Let's check "]
)
def test_a_long_text_is_read_in_a_moment(line):
    began = process_time()
    final_number(line * 10_000)
    assert process_time() - began < 2
