"""Faults of one line each, planted in the engines one at a time: the diverse requests must notice.

A program: `python planted_faults.py transformers|vllm [NUMBER...]` prints a line for each
fault and exits with 1 if one survived. The engine is started once; then a process is forked for
every fault, in which the line is changed in the code that was loaded, and the engine answers
`diverse.py` as in its tests. No file is changed.

A fault that a reader would think of and that no request could show is no fault: what only saves
work (a set of columns that is too large, an upload that was not needed) and what is guarded twice
(stop tokens, which vLLM is told of and `Endings` heeds) has no line here.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

# A program of its own: the root of the project is not where Python looks.
sys.path.insert(0, str(Path(__file__).parents[2]))

from harness.engines.contract import Engine
from harness.engines.transformers.engine import TransformersEngine
from harness.invariants.tiny_models import tiny_model
from harness.models.loading import LoadedModel
from tests.engines.diverse import readings, requests
from tests.engines.reference64 import Reference

ENGINES = Path(__file__).parents[2] / "harness" / "engines"
# A faulty engine may wait for ever.
_SECONDS = 300
_MODEL = "qwen3_moe-unnormalised"


class Fault(NamedTuple):
    """A module of an engine, by its path under the engine's folder, and what becomes of a line."""

    module: str
    old: str
    new: str


def _faults(engine: str) -> list[Fault]:
    listed = Path(__file__).with_name(f"planted_in_{engine}.txt").read_text("utf-8")
    found: list[Fault] = []
    module = old = ""
    for line in listed.splitlines():
        kind, _, text = line.partition(" ")
        if kind == "@":
            module = text
        elif kind == "-":
            old = text
        elif kind == "+":
            found.append(Fault(module, old, text))
    return found


FAULTS = {engine: _faults(engine) for engine in ("transformers", "vllm")}


def missing(engine: str) -> list[Fault]:
    """The faults whose line is not there, or there more than once: the list is out of date."""
    sources = {
        module: (ENGINES / engine / module).read_text("utf-8")
        for module in {fault.module for fault in FAULTS[engine]}
    }
    return [fault for fault in FAULTS[engine] if sources[fault.module].count(fault.old) != 1]


def plant(engine: str, fault: Fault) -> None:
    """Change the code of the functions that are there, bound methods and hooks in use included."""
    parts = ["harness", "engines", engine, *fault.module.removesuffix(".py").split("/")]
    module = import_module(".".join(parts))
    assert module.__file__ is not None
    source = Path(module.__file__).read_text("utf-8")
    before = _codes(compile(source, module.__file__, "exec"))
    after = _codes(compile(source.replace(fault.old, fault.new), module.__file__, "exec"))
    changed = {key: after[key] for key in before if before[key] != after.get(key)}
    gc.unfreeze()  # vLLM hides what was there when its engine started
    for function in [each for each in gc.get_objects() if isinstance(each, FunctionType)]:
        code = changed.get((function.__code__.co_qualname, function.__code__.co_firstlineno))
        if code is not None and function.__code__.co_filename == module.__file__:
            with suppress(ValueError):  # it closes over less; whoever makes it anew makes it so
                function.__code__ = code
    if not changed:  # a constant of the module
        exec(fault.new, vars(module))


def _codes(code: CodeType) -> dict[tuple[str, int], CodeType]:
    """The code of every function in a module's, by name and line."""
    found: dict[tuple[str, int], CodeType] = {}
    for each in code.co_consts:
        if isinstance(each, CodeType):
            found[each.co_qualname, each.co_firstlineno] = each
            found |= _codes(each)
    return found


def opened(engine: str, loaded: LoadedModel, folder: str) -> list[Engine]:
    """The engine to plant faults in, of every policy that it has."""
    if engine == "transformers":
        strict = TransformersEngine(loaded, slots=7, columns=192, determinism="strict")
        return [TransformersEngine(loaded, slots=7), strict]
    from harness.engines.vllm.engine import VllmEngine
    from harness.spec import EngineSettings

    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return [VllmEngine(folder, EngineSettings(name="vllm", slots=7))]


def probe(reference: Reference, engine: Engine, *others: Engine) -> str | None:
    """How an engine is noticed to be faulty, in words; None where it is not."""
    queue, asked = requests(reference.model.config), readings(reference.model.config)
    steps: list[Callable[[], Iterable[tuple[int, str]]]] = [
        lambda: reference.complained(engine, queue),
        lambda: reference.complained(engine, queue[-20:]),  # with prefixes that are there
        lambda: reference.complaints_of(engine, asked).items(),
        *(partial(reference.complained, other, queue[::3]) for other in others),
    ]
    for step in steps:
        for at, complaint in step():
            return f"request {at} {complaint}"
    return None


def recalled(loaded: LoadedModel) -> Reference:
    """The reference, which has read beforehand what an engine without a fault will say.

    Most of what one with a fault says is that, too, and is then not read in every process.
    """
    reference, engine = Reference(loaded), TransformersEngine(loaded, slots=7)
    probe(reference, engine, engine)
    return reference


def _noticed(engine: str, fault: Fault | None, told_by: Callable[[], str | None]) -> bool:
    """Run the probe in a process of its own, in which the fault is planted."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        signal.alarm(_SECONDS)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            if fault is not None:
                plant(engine, fault)
            told = told_by()
        except BaseException as error:  # that is noticed, too
            told = f"{type(error).__name__} {error}".partition("\n")[0]
        print("    survives" if told is None else f"    {told[:150]}", flush=True)
        os._exit(told is not None)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        print(f"    signal {os.WTERMSIG(status)}")
    return status != 0


def main(engine: str, numbers: Sequence[int]) -> int:
    """Plant the faults, those of these numbers or all; 0 if each was noticed."""
    gone = missing(engine)
    for fault in gone:
        print(f"{fault.module}: no longer there, or not once: {fault.old}")
    if gone:
        return 2
    loaded = tiny_model(_MODEL)
    with tempfile.TemporaryDirectory() as folder:
        told_by = partial(probe, recalled(loaded), *opened(engine, loaded, folder))
        print("no fault at all")
        if _noticed(engine, None, told_by):
            return 2
        survivors = 0
        for number, fault in enumerate(FAULTS[engine]):
            if not numbers or number in numbers:
                print(f"{number} {fault.module}: {fault.old} -> {fault.new}")
                survivors += not _noticed(engine, fault, told_by)
    print(f"{survivors} survived")
    return int(survivors > 0)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1], [int(number) for number in sys.argv[2:]]))
