"""The process that runs a completion: it loads the program, then answers calls with plain data.

It holds the prompt and the completion and nothing of the tests. What it says is an answer, never a
verdict; whatever the completion does to this interpreter, it can at best give other answers.

    ready    {"ready": true}                        or how loading failed, as below
    call     {"arguments": [...], "keywords": {}}   encoded by `plain_data`
    answer   {"returned": ..., "changed": null}     `changed`: the arguments, where the call changed
                                                    them
    failure  {"raised": {"types": ["ValueError"], "name": "ValueError", "message": "no", "errno":
             null, "line": "raise ValueError('no')"}, "changed": null}
"""

from __future__ import annotations

import os
import sys
from typing import Any, Never

from harness.sandbox import frames
from harness.sandbox.plain_data import decode, encode

#: The judge's socket; the only descriptor beside the three standard ones.
CHANNEL = 3
_FILE = "<completion>"
_LONGEST_MESSAGE = 300


def run(program: str, entry_point: str) -> Never:
    """Serve calls of a program's function until the judge hangs up or this process is killed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "harness"]:
        del sys.modules[name]  # importing the harness must look as it does anywhere
    try:
        _serve(program, entry_point)
    finally:
        os._exit(0)


def _serve(program: str, entry_point: str) -> None:
    scope: dict[str, Any] = {"__name__": "completion"}
    try:
        exec(compile(program, _FILE, "exec"), scope)  # noqa: S102
        if entry_point not in scope:
            raise NameError(f"name {entry_point!r} is not defined")  # noqa: TRY301
    except BaseException as error:
        frames.send(CHANNEL, _failure(error, program))
        return
    function = scope[entry_point]
    frames.send(CHANNEL, {"ready": True})
    while True:
        try:
            call = frames.receive(CHANNEL)
        except EOFError:
            return
        answer = _answer(function, call, program)
        try:
            frames.send(CHANNEL, answer)
        except ValueError as error:  # too long
            frames.send(CHANNEL, {**_failure(error, program), "changed": None})


def _answer(function: Any, call: Any, program: str) -> dict[str, Any]:
    """What calling the function came to, small enough to be sent."""
    arguments = [decode(argument) for argument in call["arguments"]]
    keywords = {name: decode(value) for name, value in call["keywords"].items()}
    answer: dict[str, Any]
    try:
        answer = {"returned": encode(function(*arguments, **keywords))}
    except BaseException as error:
        answer = _failure(error, program)
    changed = [encode(argument) for argument in arguments]
    answer["changed"] = None if changed == call["arguments"] else changed
    return answer


def _failure(error: BaseException, program: str) -> dict[str, Any]:
    """An exception as plain data: its built-in types, nearest first, and the line that raised."""
    try:
        message = str(error)[:_LONGEST_MESSAGE]
    except BaseException:  # even its own message
        message = ""
    types = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    number = error.errno if isinstance(error, OSError) else None
    raised = {
        "types": types,
        "name": type(error).__name__,
        "message": message,
        "errno": number if type(number) is int else None,
        "line": _line(error, program),
    }
    return {"raised": raised}


def _line(error: BaseException, program: str) -> str:
    """The program's innermost line that was running."""
    number, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            number = trace.tb_lineno
        trace = trace.tb_next
    lines = program.split("\n")
    return lines[number - 1].strip()[:_LONGEST_MESSAGE] if 0 < number <= len(lines) else ""
