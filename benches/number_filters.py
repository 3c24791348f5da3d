"""Does a right answer stay right when it is worded otherwise? Our rule beside lm-eval's filters.

    python benches/number_filters.py gsm8k_test.jsonl

The reference solutions of GSM8K are reworded by rule, each rewording a style in which models write;
every one of them is right. Counted is how many each reader calls right. A second table has answers
that are wrong: the reference's number plus one, which nobody may call right.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

from harness.tasks.number_answers import final_number

# lm_eval 0.4.13, lm_eval/tasks/gsm8k/gsm8k.yaml: `filter_list`, and `regexes_to_ignore`, which its
# exact_match deletes from both sides before it compares them as text.
_STRICT = re.compile(r"#### (\-?[0-9\.\,]+)")
_FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_IGNORED = (",", r"\$", "(?s).*#### ", r"\.$")

Reader = Callable[[str, str], bool]


def strict(text: str, reference: str) -> bool:
    """Filter `strict-match`: the first match."""
    found = _STRICT.findall(text)
    return _equal(found[0].strip() if found else "[invalid]", reference)


def flexible(text: str, reference: str) -> bool:
    """Filter `flexible-extract`: the last match."""
    found = _FLEXIBLE.findall(text)
    return _equal(next(m for m in found[-1] if m).strip() if found else "[invalid]", reference)


def ours(text: str, reference: str) -> bool:
    """The rule of this package."""
    return final_number(text) == final_number(reference)


def _equal(prediction: str, reference: str) -> bool:
    for pattern in _IGNORED:
        prediction, reference = re.sub(pattern, "", prediction), re.sub(pattern, "", reference)
    return prediction.lower() == reference.lower()


READERS: dict[str, Reader] = {"ours": ours, "strict": strict, "flexible": flexible}


def grouped(number: Decimal, mark: str) -> str:
    """A number with something between groups of three digits."""
    return f"{number:,}".replace(",", mark)


def boxed(content: str) -> str:
    """A number in the box of a LaTeX answer."""
    return rf"\boxed{{{content}}}"


#: Style -> an answer in it, from the worked steps and the number.
REWORDINGS: dict[str, Callable[[str, Decimal], str]] = {
    "as it is": lambda steps, n: f"{steps}\n#### {n:,}",
    "#### without a blank": lambda steps, n: f"{steps}\n####{n}",
    "#### $": lambda steps, n: f"{steps}\n#### ${n:,}",
    "#### **bold**": lambda steps, n: f"{steps}\n#### **{n}**",
    "#### with .00": lambda steps, n: f"{steps}\n#### {n}.00",
    "#### unit": lambda steps, n: f"{steps}\n#### {n} dollars",
    "#### equation": lambda steps, n: f"{steps}\n#### {n - 3} + 3 = {n}",
    "#### the answer is": lambda steps, n: f"{steps}\n#### The answer is {n}",
    "#### then a remark": lambda steps, n: f"{steps}\n#### {n}\n\nThis assumes a week of 7 days.",
    "#### in a draft": lambda steps, n: f"<think>#### {n + 1}</think>\n{steps}\n#### {n}",
    "draft with another number": lambda steps, n: f"{steps}\n#### {n}</think>\nIt is {n}.",
    "headings": lambda steps, n: f"#### Step 1: think\n{steps}\n\n#### Step 2: say\nIt is {n}.",
    "numbered headings": lambda steps, n: f"#### 1. Think\n{steps}\n\n#### 2. Say\nIt is {n}.",
    "prose": lambda steps, n: f"{steps}\nThe answer is {n}.",
    "prose, bold": lambda steps, n: f"{steps}\nThe answer is **{n}**.",
    "prose, $": lambda steps, n: f"{steps}\nIn total it is ${n:,}.",
    "prose, a check": lambda steps, n: f"{steps}\nThe answer is {n}. Check: {n} - 1 = {n - 1}.",
    "prose, a remark": lambda steps, n: f"{steps}\n**Answer:** {n} in all, as 2 of 3 readers find.",
    "box": lambda steps, n: f"{steps}\n{boxed(f'{n}')}",
    "box, $": lambda steps, n: f"{steps}\n${boxed(chr(92) + f'${n}')}$",
    "box, unit": lambda steps, n: f"{steps}\n${boxed(f'{n}' + chr(92) + 'text{ dollars}')}$.",
    "box, then a remark": lambda steps, n: f"{steps}\n{boxed(f'{n}')}, in 2 steps.",
    "thousands: ,": lambda steps, n: f"{steps}\nIt is {grouped(n, ',')}.",
    "thousands: {,}": lambda steps, n: f"{steps}\nIt is ${grouped(n, '{,}')}$.",
    "thousands: \\,": lambda steps, n: f"{steps}\nIt is ${grouped(n, chr(92) + ',')}$.",
    "thousands: no-break blank": lambda steps, n: f"{steps}\nIt is {grouped(n, chr(0xA0))}.",
    "thousands: apostrophe": lambda steps, n: f"{steps}\nIt is {grouped(n, chr(39))}.",
    "LaTeX \\( \\)": lambda steps, n: f"{steps}\nIt is \\({n}\\).",
    "fraction": lambda steps, n: f"{steps}\n#### {2 * n}/2",
    "power of ten": lambda steps, n: f"{steps}\n#### {n / 10} \\times 10^1",
    "full width": lambda steps, n: f"{steps}\nIt is {_full_width(n)}.",
}


def _full_width(number: Decimal) -> str:
    return "".join(chr(ord(c) + 0xFEE0) for c in str(number))


def counts(records: Iterable[tuple[str, str]]) -> dict[str, dict[str, tuple[int, int]]]:
    """Style -> reader -> how many right answers it calls right, and how many wrong ones."""
    problems = []
    for _, answer in records:
        steps, _, number = answer.rpartition("####")
        problems.append((steps.strip(), answer, Decimal(number.strip().replace(",", ""))))
    return {
        style: {
            name: (
                sum(reader(form(steps, n), answer) for steps, answer, n in problems),
                sum(reader(form(steps, n + 1), answer) for steps, answer, n in problems),
            )
            for name, reader in READERS.items()
        }
        for style, form in REWORDINGS.items()
    }


def load(path: Path) -> list[tuple[str, str]]:
    """Questions and answers of a file in GSM8K's format."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(record["question"], record["answer"]) for record in map(json.loads, lines)]


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", type=Path, help="GSM8K's test split as JSON lines")
    records = load(parser.parse_args().path)
    found = counts(records)
    print(f"Right answers called right, of {len(records)} (wrong ones called right in brackets)\n")
    print("| style | " + " | ".join(READERS) + " |\n| --- |" + " ---: |" * len(READERS))
    for style, by_reader in found.items():
        cells = [f"{right}" + f" ({wrong})" * bool(wrong) for right, wrong in by_reader.values()]
        print(f"| `{style}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
