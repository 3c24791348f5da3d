"""Every error that Titrate raises on purpose, as one tree.

    TitrateError                 catch this to catch them all
    ├── FieldError               a value of a spec is impossible; knows its field, not yet its file
    │   └── UnstoredError        what is not stored, where only what is stored is shown
    ├── SpecError                the same with its place: `file:line field: problem; remedy`
    ├── OptionError              an option of a run that cannot be followed; knows its name
    ├── ModelError               a model that is missing, or lacks what was asked of it
    ├── TaskError                a task that is missing, or data that is not what it claims to be
    │   ├── TemplateError        a prompt that the model's chat template does not render whole
    │   └── UnreachableError     data that are somewhere else, and cannot be had now
    ├── MetricError              a sample of which a metric has no value; the samples beside it have
    ├── VectorError              a file of steering vectors that cannot be read or written
    ├── OutputError              an output that was asked for where nothing can be written
    ├── RegistryError            a name that nothing is registered by, or that two things would have
    ├── RequestError             one request that an engine refuses; the requests beside it go on
    ├── SandboxError             untrusted code cannot be run at the isolation that was asked for
    ├── StoreError               a completion store, or a run's records, that cannot be used
    │   └── ReadOnlyError        one that nothing can be written to; what it holds can be used
    ├── ReportError              a report that cannot be written or read
    └── BundleError              a bundle that cannot be written, or is none

A message has three parts: the offending value, the place, and what would be accepted. A spec with
several mistakes has a line for each.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from harness.options import spelled

LONGEST_LINE = 400
"""Characters of a line about a spec; its middle is left out, place and remedy are at its ends."""
MOST_LINES = 20
"""Lines about one spec at most; of more mistakes than that only the first are shown."""


def printable(text: str) -> str:
    """`text` with control characters, and others that no reader would see, as their escapes.

    Files and models put them into messages; a terminal would obey them.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(each) if _is_hidden(each) else each for each in text)


def one_line(text: str) -> str:
    """`text` as one line of a message: printable, and without its middle where it is too long."""
    line = printable(text.replace("\n", "\\n"))
    if len(line) <= LONGEST_LINE:
        return line
    half = (LONGEST_LINE - 5) // 2
    return f"{line[:half]} ... {line[-half:]}"


def _is_hidden(character: str) -> bool:
    """Whether a character is invisible: Unicode's categories C*, and line separators."""
    category = unicodedata.category(character)
    return character != "\n" and (category[0] == "C" or category in {"Zl", "Zp"})


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


class TitrateError(Exception):
    """Base of all errors that are addressed to the user; its text is one line, and printable.

    >>> import harness
    >>> try:
    ...     harness.run("specs/router_masks/keep_topk.yaml", overrides=["task.limit=999"])
    ... except harness.TitrateError as error:
    ...     print(error)
    overrides=task.limit=999: 999 samples asked for, but micro_humaneval has 164; ...
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class FieldError(TitrateError):
    """A value that a room further down the road found impossible.

    Rooms that check values (masks against a model's shape, a task's name against the registry) do
    not know which file a value came from. They raise this with the dotted field, and
    `harness.spec.Source.locate` turns it into a `SpecError` with file and line. What else is wrong
    with the same spec goes along as `others`.
    """

    def __init__(self, field: str, problem: str, others: Sequence[FieldError] = ()) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem
        self.others = tuple(others)


class UnstoredError(FieldError):
    """Something that is not stored, where a spec's `field` has only what is stored be shown."""


class SpecError(TitrateError):
    """A spec that cannot be run: `specs/x.yaml:14 intervention.count: 70 is not ...`.

    Mistakes beyond the first `MOST_LINES` are counted, not told.
    """

    def __init__(self, message: str) -> None:
        lines = [one_line(line) for line in message.split("\n")]
        if len(lines) > MOST_LINES:
            left = len(lines) - MOST_LINES + 1
            lines[MOST_LINES - 1 :] = [f"... and {left} more mistakes in the same spec"]
        super().__init__("\n".join(lines))


class OptionError(TitrateError):
    """An option that cannot be followed: `--titrate-compare-fail 'pass@1: wors': is no rule; ...`.

    It is named as the caller writes it: `--compare-fail` to `titrate`, `compare_fail=` to Python.

    >>> import harness
    >>> try:
    ...     harness.run("specs/router_masks/keep_topk.yaml", compare_fail=["pass@1: worse"])
    ... except harness.OptionError as error:
    ...     print(error)
    compare_fail='pass@1: worse': nothing to compare with; add compare=NAME

    Args:
        option: Its name in `harness.options`, such as `compare_fail`.
        problem: Its value, what is wrong with it, and what would be accepted.
        add: An option that would help, and a name for its value.
    """

    def __init__(self, option: str, problem: str, *, add: tuple[str, str] | None = None) -> None:
        remedy = "" if add is None else f"; add {spelled(*add)}"
        super().__init__(one_line(f"{spelled(option, problem)}{remedy}"))
        self.option = option
        self.problem = problem
        self.add = add


class ModelError(TitrateError):
    """A model that cannot be found or loaded, or whose architecture lacks what was asked of it."""


class TaskError(TitrateError):
    """A task that does not exist, or a data file that is not what it claims to be."""


class TemplateError(TaskError):
    """A prompt that a model's chat template does not render whole.

    `fault` says what it does to it. What to do about it depends on who asked for the prompt, and on
    whether the model `has_one` that may render another.
    """

    def __init__(self, fault: str, remedy: str, *, has_one: bool = True) -> None:
        super().__init__(f"{fault}; {remedy}")
        self.fault = fault
        self.has_one = has_one


class UnreachableError(TaskError):
    """A task's data, which cannot be had: no mistake in a spec, and no reason to run no other one.

    `check_case` says the place of the spec, and raises the same again.
    """


class MetricError(TitrateError):
    """A sample of which a metric has no value: it counts as failed, which is not a value of 0."""


class VectorError(TitrateError):
    """A file of steering vectors that cannot be read, converted or written."""


class OutputError(TitrateError):
    """A file or a folder that was asked for where nothing can be written."""


class RegistryError(TitrateError):
    """A name that nothing is registered by, that is taken, or whose object cannot be imported."""


class RequestError(TitrateError):
    """One request that an engine refuses before it reaches the model."""


class SandboxError(TitrateError):
    """Untrusted code cannot be run as asked for on this machine."""


class StoreError(TitrateError):
    """A completion store, or the records of a run, that cannot be read or written."""


class ReadOnlyError(StoreError):
    """A completion store, or the place of a run's records, that only lacks the right to write."""


class ReportError(TitrateError):
    """A report that cannot be written, read or validated."""


class BundleError(TitrateError):
    """A bundle that cannot be written, or a file that is none, or is not to be opened.

    Its text is made harmless here: it may quote what a stranger wrote.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(one_line(problem))
