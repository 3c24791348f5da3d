r"""Micro GSM8K: generated word problems of one to three steps, in GSM8K's record format.

    {"question": "Mia has 4 boxes with 6 pens each. Mia loses 5. How many pens does Mia have now?",
     "answer": "Mia has 4*6=<<4*6=24>>24 pens.\nNow Mia has 24-5=<<24-5=19>>19 pens.\n#### 19"}

The 164 evaluation problems are held out by their chain of operations and numbers, whatever their
wording: names, items and verbs do not make a problem new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from random import Random

from harness.tasks.base import Sample, Training
from harness.tasks.holdout import is_held_out
from harness.tasks.maths import FIELDS, MathsTask, fault

SIZE = 164
_SEED = 164
_LARGEST = 99
_NAMES = ("Tom", "Ann", "Sam", "Mia", "Ben", "Eva", "Max", "Zoe", "Leo", "Amy")
_ITEMS = ("apples", "books", "coins", "cards", "pens", "eggs", "shells", "stamps", "toys", "cups")
_GAINS = ("{who} buys {n} more.", "{who} finds {n} more.", "{friend} gives {who} {n} more.")
_LOSSES = ("{who} loses {n}.", "{who} sells {n}.", "{who} gives {n} to {friend}.")
_STEP_COUNTS, _STEP_WEIGHTS = (1, 2, 3), (3, 4, 3)


@dataclass(frozen=True, slots=True)
class WordProblem:
    """A generated problem; `key` is its chain of operations and numbers, without wording."""

    question: str
    answer: str
    key: str


@dataclass(slots=True)
class _Story:
    """A problem while it is being told: who owns how much of what."""

    who: str
    friend: str
    item: str
    amount: int = 0
    told: list[str] = field(default_factory=list)
    worked: list[str] = field(default_factory=list)
    chain: list[str] = field(default_factory=list)
    ending: str = "How many {item} does {who} have now?"

    def tell(self, sentence: str, number: int = 0) -> None:
        """Add a sentence to the question."""
        self.told.append(
            sentence.format(who=self.who, friend=self.friend, item=self.item, n=number)
        )

    def work(self, opening: str, operator: str, number: int, result: int, unit: str) -> None:
        """Add a line to the answer, in the calculator notation of GSM8K."""
        sum_ = f"{self.amount}{operator}{number}"
        self.worked.append(f"{opening} {sum_}=<<{sum_}={result}>>{result} {unit}.")
        self.chain.append(f"{operator}{number}")
        self.amount = result

    def problem(self) -> WordProblem:
        """The story as told so far, with its closing question."""
        self.tell(self.ending)
        answer = "\n".join([*self.worked, f"#### {self.amount}"])
        return WordProblem(" ".join(self.told), answer, "|".join(self.chain))


def _gain(story: _Story, random: Random) -> bool:
    number = random.randint(2, 40)
    if story.amount + number > _LARGEST:
        return False
    story.tell(random.choice(_GAINS), number)
    story.work(f"Now {story.who} has", "+", number, story.amount + number, story.item)
    return True


def _lose(story: _Story, random: Random) -> bool:
    if story.amount < 4:
        return False
    number = random.randint(2, min(40, story.amount - 1))
    story.tell(random.choice(_LOSSES), number)
    story.work(f"Now {story.who} has", "-", number, story.amount - number, story.item)
    return True


def _double(story: _Story, _random: Random) -> bool:
    if 2 * story.amount > _LARGEST:
        return False
    story.tell("Then the number of {item} doubles.")
    story.work(f"Now {story.who} has", "*", 2, 2 * story.amount, story.item)
    return True


def _share(story: _Story, random: Random) -> bool:
    divisors = [n for n in range(2, 10) if story.amount % n == 0 and story.amount // n <= 12]
    if not divisors:
        return False
    number = random.choice(divisors)
    story.tell("{who} shares them equally among {n} friends.", number)
    story.work("Each friend gets", "/", number, story.amount // number, story.item)
    story.ending = "How many {item} does each friend get?"
    return True


def _price(story: _Story, random: Random) -> bool:
    if story.amount > 9:
        return False
    number = random.randint(2, 9)
    story.tell("{who} sells each one for {n} dollars.", number)
    story.work(f"{story.who} earns", "*", number, story.amount * number, "dollars")
    story.ending = "How many dollars does {who} earn?"
    return True


_Event = Callable[[_Story, Random], bool]
_EVENTS: tuple[_Event, ...] = (_gain, _gain, _lose, _lose, _double)
_LAST_EVENTS: tuple[_Event, ...] = (*_EVENTS, _share, _price)


def draw_problem(random: Random) -> WordProblem:
    """A random problem, of either side of the hold-out."""
    while True:
        who, friend = random.sample(_NAMES, 2)
        story = _Story(who, friend, random.choice(_ITEMS))
        steps = random.choices(_STEP_COUNTS, _STEP_WEIGHTS)[0]
        if random.random() < 0.35:
            steps -= 1
            _start_with_boxes(story, random)
        else:
            story.amount = random.randint(3, 60)
            story.tell("{who} has {n} {item}.", story.amount)
            story.chain.append(str(story.amount))
        # An event that does not fit the amount spoils the story: start over.
        if all(
            random.choice(_LAST_EVENTS if step == steps - 1 else _EVENTS)(story, random)
            for step in range(steps)
        ):
            return story.problem()


def training_problem(random: Random) -> WordProblem:
    """A random problem that is not held out."""
    while True:
        problem = draw_problem(random)
        if not is_held_out(problem.key):
            return problem


def held_out_problems(seed: int = _SEED) -> Iterator[WordProblem]:
    """Yield held-out problems, no chain of numbers twice, without end."""
    random = Random(seed)
    seen: set[str] = set()
    while True:
        problem = draw_problem(random)
        if is_held_out(problem.key) and problem.key not in seen:
            seen.add(problem.key)
            yield problem


@cache
def _samples() -> tuple[Sample, ...]:
    return tuple(
        Sample(f"MicroGSM8K/{index}", {"question": problem.question, "answer": problem.answer})
        for index, problem in zip(range(SIZE), held_out_problems(), strict=False)
    )


def training_records() -> Iterator[dict[str, str]]:
    """Problems that are not held out, always the same ones, without an end."""
    random = Random(0)
    while True:
        problem = training_problem(random)
        yield {"question": problem.question, "answer": problem.answer}


@dataclass(frozen=True, eq=False)
class MicroGSM8K(MathsTask):
    """164 generated word problems; the small sibling of GSM8K."""

    name = "micro_gsm8k"
    training = Training(FIELDS, fault, training_records)

    @classmethod
    def load(cls) -> MicroGSM8K:
        """The evaluation problems, the same on every machine."""
        return cls(_samples())


def _start_with_boxes(story: _Story, random: Random) -> None:
    boxes, each = random.randint(2, 9), random.randint(2, 9)
    story.tell(f"{{who}} has {boxes} boxes with {each} {{item}} each.")
    story.chain.append(f"{boxes}")
    story.amount = boxes
    story.work(f"{story.who} has", "*", each, boxes * each, story.item)
