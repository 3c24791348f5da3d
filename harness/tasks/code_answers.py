"""Which code of an answer completes a prompt, and why that one.

The answer is what follows the model's reasoning. Taken is the last piece of the first kind that it
has; of each kind, fences come before fences labelled with another language, and these before text
without a fence:

1. Python that defines the function, rather so that it gives a value back
2. a body: what continues the prompt and gives a value back
3. Python that defines one function, of another name, or a class with a method of that name
4. any other body; then the mere head of the function, or an import of its name

A piece whose end does not parse counts up to its last whole statement at the margin: what was cut
at the length limit there, or is prose, stands behind the function. A function that does not parse
itself does not count as Python.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from harness.tasks import indentation, python_source
from harness.tasks.code_blocks import Block, bare_runs, bare_stretches, fenced_blocks
from harness.tasks.programs import helpers, without_examples, without_future
from harness.tasks.python_source import Function
from harness.tasks.reasoning import without_reasoning

_INDENT = " " * 4
#: Web pages indent by no-break blanks, and models learned from them.
_BLANKS = re.compile(r"^[ \u00a0]*\u00a0[ \u00a0]*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CodeReading:
    """What is to be appended to the prompt, None if the answer holds no Python; and why that."""

    completion: str | None
    why: str


def read_code(text: str, prompt: str, entry_point: str) -> CodeReading:
    """Read a chat answer as a HumanEval completion of `prompt`, whose end is `entry_point`."""
    answer = without_reasoning(_plain_lines(text))
    if not answer.strip():
        return CodeReading(None, "no code behind the reasoning" if text.strip() else "no code")
    return _Answer(answer, _Question.of(prompt, entry_point)).reading()


@dataclass(frozen=True, slots=True)
class _Module:
    """A block that is Python by itself; `cut` if it is only the beginning of the block."""

    block: Block
    source: str
    tree: ast.Module
    cut: bool

    def other_name(self, name: str) -> str | None:
        """What the one function is called that stands in for `name`; None without one.

        It may be a method of that name, whose class is made without arguments.
        """
        made = [s for s in self.tree.body if isinstance(s, Function | ast.ClassDef)]
        if len(made) != 1 or self.binds(name) or python_source.is_stub(made[0]):
            return None
        if isinstance(made[0], Function):
            return made[0].name
        methods = {inner.name for inner in made[0].body if isinstance(inner, Function)}
        return f"{made[0].name}().{name}" if name in methods else None

    def binds(self, name: str) -> bool:
        """Whether a statement gives the name a value."""
        return name in python_source.bound_names(self.tree)

    def makes(self, name: str) -> bool:
        """The same, by more than an import or the head of a function."""
        return any(
            name in python_source.names(statement)[0]
            for statement in self.tree.body
            if not isinstance(statement, ast.Import | ast.ImportFrom)
            and not python_source.is_stub(statement)
        )

    def is_excerpt(self, name: str) -> bool:
        """Whether a function of the name is part of one: it gives nothing back, or leaves out."""
        made = [s for s in self.tree.body if isinstance(s, Function) and s.name == name]
        return bool(made) and (
            not python_source.returns(made[-1]) or python_source.leaves_out(made[-1])
        )


@dataclass(frozen=True, slots=True)
class _Question:
    """A prompt with a line break at its end, the indent of its function's body, and the name."""

    prompt: str
    gap: str
    indent: str
    entry_point: str

    @classmethod
    def of(cls, prompt: str, entry_point: str) -> _Question:
        gap = "" if prompt.endswith("\n") else "\n"
        return cls(prompt + gap, gap, _body_indent(prompt), entry_point)

    def continued(self, source: str) -> tuple[str, Function] | None:
        """A source as the prompt's function's body, and that function; None if it is not a body."""
        above = self.prompt.count("\n")
        for body in indentation.forms(source, self.indent):
            tree = python_source.parsed(self.prompt + body)
            if tree is None or not python_source.compiles(self.prompt + body):
                continue
            if (function := python_source.function_at(tree, above)) is None:
                continue
            own = [statement for statement in function.body if statement.lineno > above]
            behind = [statement for statement in tree.body if statement.lineno > above]
            if not all(map(self._is_idle, own)) and all(map(self._follows, behind)):
                return body, function
        return None

    def _is_idle(self, statement: ast.stmt) -> bool:
        """Whether a statement does nothing for a body: it has no effect, or is an example."""
        example = isinstance(statement, ast.Expr) and self.entry_point in ast.unparse(statement)
        return example or python_source.does_nothing(statement)

    def _follows(self, statement: ast.stmt) -> bool:
        """Whether a statement at the margin can stand behind a body: it defines, or is an example.

        Anything else is a body that fell apart.
        """
        bound, used = python_source.names(statement)
        return bool(bound) or self.entry_point in used

    def completion(self, code: str) -> str:
        """What of code, which follows the prompt, is to be judged."""
        above = self.prompt.count("\n")
        program = without_examples(self.prompt + code, self.entry_point, above)
        return self.gap + "\n".join(program.split("\n")[above:])


class _Answer:
    """The pieces of one answer, each in the order in which they are looked at: last ones first."""

    def __init__(self, answer: str, question: _Question) -> None:
        self._question = question
        self._name = question.entry_point
        self._answer = answer
        self._modules: dict[Block, _Module | None] = {}
        fences = fenced_blocks(answer)[::-1]
        self._fenced = sorted(fences, key=lambda block: block.is_foreign)

    @cached_property
    def _bare(self) -> list[Block]:
        return [
            block
            for stretch in reversed(bare_stretches(self._answer))
            for block in (stretch, *reversed(bare_runs(stretch)))
        ]

    def reading(self) -> CodeReading:
        """The first way to read the answer that applies, or why none does."""
        for reading in self._readings():
            return reading
        fault = next((f": {b.place}, {_fault(b)}" for b in self._fenced or self._bare), "")
        return CodeReading(None, f"no code{fault}".removesuffix(", "))

    def _readings(self) -> Iterator[CodeReading]:
        """Every way to read the answer, best first."""
        for excerpts in (False, True):
            for pieces in (self._fenced, self._bare if self._name in self._answer else []):
                for module in self._naming(pieces):
                    if module.makes(self._name) and module.is_excerpt(self._name) is excerpts:
                        yield self._whole(module, module.source)
        blocks = [*self._fenced, *(block for block in self._bare if block.apart)]
        bodies = [(block, *body) for block in blocks if (body := self._body(block))]
        for block, source, function in bodies:
            if python_source.returns(function):
                yield self._continued(block, source)
        for found in map(self._module, blocks):
            if found and (other := found.other_name(self._name)):
                yield self._whole(found, f"{found.source}\n\n\n{self._name} = {other}", other)
        for block, source, _ in bodies:
            yield self._continued(block, source)
        for module in self._naming([*self._fenced, *self._bare]):
            yield self._whole(module, module.source)

    def _naming(self, blocks: Iterable[Block]) -> Iterator[_Module]:
        """The blocks that are Python and bind the function's name, whatever to."""
        for block in blocks:
            module = self._module(block) if self._name in block.source else None
            if module and module.binds(self._name):
                yield module

    def _module(self, block: Block) -> _Module | None:
        if block not in self._modules:
            self._modules[block] = _module(block)
        return self._modules[block]

    def _body(self, block: Block) -> tuple[str, Function] | None:
        """A block as the body of the prompt's function, unless it defines that anew."""
        return None if any(self._naming([block])) else self._question.continued(block.source)

    def _whole(self, module: _Module, source: str, other: str | None = None) -> CodeReading:
        """Code that stands below the prompt, whose function it defines anew; maybe as another."""
        question, code = self._question, without_future(source)
        empty = "" if python_source.compiles(question.prompt) else f"{question.indent}pass\n"
        more = self._helpers(question.prompt + empty + code, module.block)
        why = f"{module.block.place} defines {other or self._name}"
        if module.cut:
            why += f" in its first {source.count(chr(10)) + 1} lines"
        parts = [empty, *([more, ""] if more else []), code, ""]
        return CodeReading(question.completion("\n".join(parts)), why)

    def _continued(self, block: Block, body: str) -> CodeReading:
        """Code that is the body of the prompt's function."""
        more = self._helpers(self._question.prompt + body, block)
        parts = [body, *(["", "", more] if more else []), ""]
        why = f"{block.place} continues the prompt"
        return CodeReading(self._question.completion("\n".join(parts)), why)

    def _helpers(self, program: str, chosen: Block) -> str:
        """What a program needs of the answer's other blocks, in their order."""
        if not python_source.missing_names(program):
            return ""
        blocks = self._fenced if chosen in self._fenced else self._bare
        others = [self._module(block) for block in reversed(blocks) if block is not chosen]
        return helpers(program, [without_future(module.source) for module in others if module])


def _module(block: Block) -> _Module | None:
    for source in indentation.forms(block.source):
        if python_source.compiles(source) and (tree := python_source.parsed(source)):
            return _Module(block, source, tree, cut=False)
    source = python_source.whole_statements(indentation.moved(block.source))
    if source.strip() and python_source.compiles(source) and (tree := python_source.parsed(source)):
        return _Module(block, source, tree, cut=True)
    return None


def _fault(block: Block) -> str:
    return python_source.fault(indentation.moved(block.source))


def _body_indent(prompt: str) -> str:
    """What stands in front of the statements of the prompt's last function."""
    tree = python_source.parsed(prompt)
    function = python_source.function_at(tree, prompt.count("\n") + 1) if tree else None
    if function is None:
        return _INDENT
    first = function.body[0]
    return prompt.split("\n")[first.lineno - 1][: first.col_offset]


def _plain_lines(text: str) -> str:
    """A text without a byte order mark, its lines ended and indented as Python's are."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return _BLANKS.sub(lambda blanks: " " * len(blanks.group()), lines)
