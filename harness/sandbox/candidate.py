"""The process that runs a completion: it loads the program, then answers calls with plain data.

It holds the prompt and the completion and nothing of the tests. What it says is an answer, never a
verdict; whatever the completion does to this interpreter, it can at best give other answers.

    ready    {"ready": true}                        or how loading failed, as below
    call     {"arguments": [...], "keywords": {}, "objects": [...]}       written by `plain_data`
    answer   {"returned": ..., "objects": [...], "changed": [[0, ...]]}   `changed`: objects of the
             call with their new contents; `objects`: those that are new
    failure  {"raised": {"types": [["builtins", "KeyError"]], "message": "'no'", "args": ["no"],
             "state": {}, "errno": null, "line": "raise KeyError('no')"}, "objects": [], ...}
"""

from __future__ import annotations
import __future__

import ast
import json
import os
import sys
from types import CodeType, ModuleType
from typing import Any, Never

from harness.sandbox import frames
from harness.sandbox.plain_data import LoweringWriter, Reader

#: The judge's socket; the only descriptor beside the three standard ones.
CHANNEL = 3
#: The module that a program is: its classes can be found by name, as in a file that is imported.
MODULE = "completion"
_FILE = "<completion>"
#: Characters of an exception's text at most.
LONGEST_MESSAGE = 10_000
_LONGEST_LINE = 300


def run(prompt: str, completion: str, entry_point: str) -> Never:
    """Serve calls of a program's function until the judge hangs up or this process is killed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "harness"]:
        del sys.modules[name]  # importing the harness must look as it does anywhere
    try:
        _serve(prompt, completion, entry_point)
    finally:
        os._exit(0)


def module() -> dict[str, Any]:
    """The scope of a new, empty module, to be found in `sys.modules`."""
    made = sys.modules[MODULE] = ModuleType(MODULE)
    return made.__dict__


def compiled(prompt: str, completion: str) -> CodeType:
    """The program, without this file's own `__future__`.

    A completion that is a whole file may begin with imports from `__future__`: they hold although
    they stand behind the prompt.
    """
    program = f"{prompt}{completion}\n"
    try:
        return compile(program, _FILE, "exec", dont_inherit=True)
    except SyntaxError as error:
        try:
            compile(completion, _FILE, "exec", dont_inherit=True)
            tree = ast.parse(program, _FILE)
        except SyntaxError:
            raise error from None
    flags = 0
    for each in list(tree.body):
        if isinstance(each, ast.ImportFrom) and each.module == "__future__":
            tree.body.remove(each)
            for alias in each.names:
                flags |= getattr(__future__, alias.name).compiler_flag
    code: CodeType = compile(tree, _FILE, "exec", flags, dont_inherit=True)
    return code


def _serve(prompt: str, completion: str, entry_point: str) -> None:
    scope = module()
    program = f"{prompt}{completion}\n"
    kept: dict[int, Any] = {}
    try:
        exec(compiled(prompt, completion), scope)  # noqa: S102
        if entry_point not in scope:
            raise NameError(f"name {entry_point!r} is not defined")  # noqa: TRY301
    except BaseException as error:
        frames.send(CHANNEL, _failed(error, program, LoweringWriter(kept), []))
        return
    function = scope[entry_point]
    frames.send(CHANNEL, {"ready": True})
    while True:
        try:
            call = frames.receive(CHANNEL)
        except EOFError:
            return
        _answer(function, call, program, kept)


def _answer(function: Any, call: Any, program: str, kept: dict[int, Any]) -> None:
    """Call the function and say what came of it; what cannot be said is a failure too."""
    reader = Reader(lambda number: kept[number])
    reader.admit(call["objects"])
    arguments = reader.many(call["arguments"])
    keywords = {name: reader.read(value) for name, value in call["keywords"].items()}
    writer = LoweringWriter(kept, reader.objects)
    before = call["objects"]
    try:
        answer = {"returned": writer.write(function(*arguments, **keywords))}
        frames.send(CHANNEL, {**answer, **_objects(writer, before)})
    except BaseException as error:
        frames.send(CHANNEL, _failed(error, program, LoweringWriter(kept, reader.objects), before))


def _objects(writer: LoweringWriter, before: list[Any]) -> dict[str, Any]:
    """The objects of an answer, and those of the call that it changed."""
    contents = writer.contents()
    changed = [
        [number, now]
        for number, (now, then) in enumerate(zip(contents, before, strict=False))
        if now != then or json.dumps(now) != json.dumps(then)  # 1 is equal to True
    ]
    return {"objects": contents[len(before) :], "changed": changed}


def _failed(
    error: BaseException, program: str, writer: LoweringWriter, before: list[Any]
) -> dict[str, Any]:
    """An exception as plain data: its types, nearest first, and the line that raised."""
    raised: dict[str, Any] = {
        "types": [[kind.__module__, kind.__qualname__] for kind in type(error).__mro__],
        "message": "",
        "args": [],
        "state": {},
        "errno": _errno(error),
        "line": _line(error, program),
    }
    error.__traceback__ = None  # lets go of the program's own values: memory may be short
    try:
        raised["message"] = str(error)[:LONGEST_MESSAGE]
        # A file's name is not in the exception's args, but its constructor takes it.
        arguments = OSError.__reduce__(error)[1] if isinstance(error, OSError) else error.args
        raised["args"] = writer.many(arguments)
        raised["state"] = {
            name: writer.write(value) for name, value in vars(error).items() if type(name) is str
        }
        return {"raised": raised, **_objects(writer, before)}
    except BaseException:  # even of its own message
        return {"raised": {**raised, "args": [], "state": {}}, "objects": [], "changed": []}


def _errno(error: BaseException) -> int | None:
    number = error.errno if isinstance(error, OSError) else None
    return number if type(number) is int else None


def _line(error: BaseException, program: str) -> str:
    """The program's innermost line that was running."""
    number, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            number = trace.tb_lineno
        trace = trace.tb_next
    lines = program.split("\n")
    return lines[number - 1].strip()[:_LONGEST_LINE] if 0 < number <= len(lines) else ""
