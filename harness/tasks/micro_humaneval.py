r'''Micro HumanEval: generated functions of one to three steps, in HumanEval's record format.

    {"task_id": "MicroHumanEval/0", "entry_point": "add_x",
     "prompt": 'def add_x(x):\n    """Add 3 to x.\n    >>> add_x(4)\n    7\n    """\n',
     "canonical_solution": "    return x + 3\n",
     "test": "def check(candidate):\n    assert candidate(5) == 8\n ..."}

The 164 evaluation problems are held out by operations and constants, whatever their wording and
names. Some operations share their code (multiplying a number by 2, repeating a text 2 times), so
that 7 of the 164 programs do occur in training as the answer to another question, up to the name of
the parameter (measured on 120 000 training problems). Their tests kill every single-constant mutant
of the solution, the identity, and every constant function.
'''

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from harness.tasks.base import Sample, Training
from harness.tasks.code import FIELDS, CodeTask, fault
from harness.tasks.holdout import is_held_out
from harness.tasks.micro_operations import (
    BY_INPUT,
    PARAMETERS,
    Constants,
    DataType,
    Operation,
    Value,
)
from harness.tasks.mutants import single_constant_mutants

SIZE = 164
_SEED = 164
#: Test problems may share a key under different wordings; more than this would count one twice.
_MOST_PER_KEY = 2
_INPUTS_TRIED = 40
_ASSERTIONS = 8

Program = Sequence[tuple[Operation, Constants]]

_GENERIC_NAMES = ("solve", "func", "compute", "run", "task", "work")
_NOTHING: dict[DataType, Value] = {"integer": 0, "text": "", "list": []}
_STEP_COUNTS, _STEP_WEIGHTS = (1, 2, 3), (5, 4, 1)


@dataclass(frozen=True, slots=True)
class CodeProblem:
    """A generated problem before it becomes a record, with what the record must not hold.

    `key` is what is asked: operations and constants. `program` computes the expected result.
    """

    entry_point: str
    parameter: str
    takes: DataType
    sentence: str
    solution: str
    program: Program
    example: Value

    @property
    def key(self) -> str:
        """Operations and constants, without wording and names."""
        return "|".join(operation.key(constants) for operation, constants in self.program)

    @property
    def prompt(self) -> str:
        """Signature and docstring, as in HumanEval."""
        call, result = f"{self.entry_point}({self.example!r})", self.result(self.example)
        return (
            f'def {self.entry_point}({self.parameter}):\n    """{self.sentence}\n'
            f'    >>> {call}\n    {result!r}\n    """\n'
        )

    @property
    def may_be_held_out(self) -> bool:
        """Whether other problems can teach it: a lone operation without constants has no twin."""
        return len(self.program) > 1 or bool(self.program[0][1])

    def result(self, value: Value) -> Any:
        """What the solution returns for a value."""
        for operation, constants in self.program:
            value = operation.apply(value, **constants)
        return value


def draw_problem(random: Random) -> CodeProblem:
    """A random problem, of either side of the hold-out."""
    steps = random.choices(_STEP_COUNTS, _STEP_WEIGHTS)[0]
    takes = random.choice(tuple(BY_INPUT))
    parameter = random.choice(PARAMETERS[takes])
    program: list[tuple[Operation, Constants]] = []
    phrases: list[str] = []
    kind: DataType = takes
    for step in range(steps):
        operation = _draw_operation(random, kind, program, last=step == steps - 1)
        constants = operation.draw_constants(random)
        phrase = random.choice(operation.phrases)
        phrases.append(phrase.format(it="it" if step else parameter, **constants))
        program.append((operation, constants))
        kind = operation.gives
    sentence = ", then ".join(phrases)
    return CodeProblem(
        entry_point=_draw_name(random, program, parameter),
        parameter=parameter,
        takes=takes,
        sentence=f"{sentence[0].upper()}{sentence[1:]}.",
        solution=_solution(program, parameter),
        program=tuple(program),
        example=_draw_input(random, takes, program),
    )


def training_problem(random: Random) -> CodeProblem:
    """A random problem that is not held out."""
    while True:
        problem = draw_problem(random)
        if not (problem.may_be_held_out and is_held_out(problem.key)):
            return problem


def held_out_problems(seed: int = _SEED) -> Iterator[tuple[CodeProblem, str]]:
    """Yield held-out problems with their tests, all different, without end."""
    random = Random(seed)
    prompts: set[str] = set()
    times: Counter[str] = Counter()
    while True:
        problem = draw_problem(random)
        fresh = problem.prompt not in prompts and times[problem.key] < _MOST_PER_KEY
        if not (fresh and problem.may_be_held_out and is_held_out(problem.key)):
            continue
        test = _killing_test(random, problem)
        if test is not None:
            prompts.add(problem.prompt)
            times[problem.key] += 1
            yield problem, test


@cache
def _samples() -> tuple[Sample, ...]:
    samples = []
    for index, (problem, test) in zip(range(SIZE), held_out_problems(), strict=False):
        record = {
            "task_id": f"MicroHumanEval/{index}",
            "prompt": problem.prompt,
            "canonical_solution": problem.solution,
            "test": test,
            "entry_point": problem.entry_point,
        }
        samples.append(Sample(record["task_id"], record))
    return tuple(samples)


def training_heads() -> Iterator[dict[str, str]]:
    """Heads of functions that are not held out, always the same ones, without an end."""
    random = Random(0)
    while True:
        yield {"prompt": training_problem(random).prompt}


#: HumanEval's, too, which has no training problems of its own.
TRAINING = Training(FIELDS, fault, training_heads, heads=True)


@dataclass(frozen=True, eq=False)
class MicroHumanEval(CodeTask):
    """164 generated code problems; the small sibling of HumanEval."""

    name = "micro_humaneval"
    version = 2
    training = TRAINING

    @classmethod
    def load(cls) -> MicroHumanEval:
        """The evaluation problems, the same on every machine."""
        return cls(_samples())

    def distractors(self, sample: Sample) -> tuple[str, ...]:
        """Mutants of the solution in one constant, all of which the sample's tests tell from it;
        where it has no constant, the function that gives back what it is given.
        """
        body = self.reference(sample).answer
        parameter = sample.record["prompt"].partition("(")[2].partition(")")[0]
        found = dict.fromkeys(single_constant_mutants(body))
        return tuple(found) or (f"    return {parameter}",)


def _draw_operation(random: Random, kind: DataType, program: Program, *, last: bool) -> Operation:
    """An operation on `kind`; no operation twice in a row, and a truth value only at the end."""
    before = program[-1][0] if program else None
    while True:
        operation = random.choice(BY_INPUT[kind])
        if operation is not before and (last or operation.gives in BY_INPUT):
            return operation


def _draw_name(random: Random, program: Program, parameter: str) -> str:
    if random.random() < 0.5:
        return random.choice(_GENERIC_NAMES)
    names = [operation.name for operation, _ in program]
    return "_".join([*names, parameter] if len(names) == 1 else names)


def _solution(program: Program, parameter: str) -> str:
    lines = []
    name = parameter
    for operation, constants in program[:-1]:
        lines.append(f"    r = {operation.source(name, constants)}\n")
        name = "r"
    operation, constants = program[-1]
    lines.append(f"    return {operation.source(name, constants)}\n")
    return "".join(lines)


def _draw_input(random: Random, kind: DataType, program: Program) -> Value:
    """A value on which the constants of the program are likely to matter."""
    constants = [constant for _, filled in program for constant in filled.values()]
    if kind == "text":
        letters = "abcdeorstABCT" + 3 * "".join(str(c) for c in constants if isinstance(c, str))
        return "".join(random.choice(letters) for _ in range(random.randint(3, 7)))
    numbers = [constant for constant in constants if isinstance(constant, int)]
    if kind == "integer":
        near = random.choice(numbers) + random.randint(-1, 1) if numbers else 0
        return near if numbers and random.random() < 0.3 else random.randint(-9, 30)
    items = [random.randint(0, 14) for _ in range(random.randint(4, 7))]
    if numbers and random.random() < 0.5:
        items[random.randrange(len(items))] = random.choice(numbers) + random.randint(-1, 1)
    return items


def _killing_test(random: Random, problem: CodeProblem) -> str | None:
    """HumanEval's `check` for a problem, or None when some mutant survives all inputs tried.

    A mutant can be equivalent to the solution ("at most 3, then greater than 5" is always False);
    such a problem is a bad question and is dropped.
    """
    inputs: list[Value] = [_NOTHING[problem.takes]]
    inputs += [_draw_input(random, problem.takes, problem.program) for _ in range(_INPUTS_TRIED)]
    expected = [problem.result(value) for value in inputs]
    rivals = [
        _function(problem.parameter, body) for body in single_constant_mutants(problem.solution)
    ]
    rivals.append(_function(problem.parameter, f"    return {problem.parameter}\n"))
    alive = [
        {index for index, value in enumerate(inputs) if _differs(rival, value, expected[index])}
        for rival in rivals
    ]
    # A constant function agrees with at most one of two different results.
    alive.append({index for index, result in enumerate(expected) if result != expected[-1]})
    if not all(alive):
        return None
    chosen = [len(inputs) - 1]
    while alive := [killers for killers in alive if not killers.intersection(chosen)]:
        chosen.append(max(range(len(inputs)), key=lambda i: sum(i in killers for killers in alive)))
    spare = [index for index in range(1, len(inputs)) if index not in chosen]
    chosen += spare[: max(0, _ASSERTIONS - len(chosen))]
    lines = [f"    assert candidate({inputs[i]!r}) == {expected[i]!r}\n" for i in chosen]
    return "def check(candidate):\n" + "".join(lines)


def _function(parameter: str, body: str) -> Callable[[Any], Any]:
    """A function from source that this module wrote itself; never from a model's."""
    scope: dict[str, Any] = {}
    exec(f"def rival({parameter}):\n{body}", scope)  # noqa: S102
    rival: Callable[[Any], Any] = scope["rival"]
    return rival


def _differs(rival: Callable[[Any], Any], value: Value, expected: object) -> bool:
    """Whether a rival gives another result, or none at all."""
    try:
        return bool(rival(value) != expected)
    except (ArithmeticError, TypeError, ValueError):
        return True
