"""lm-eval's own tasks, loaded as its `simple_evaluate` loads them; this downloads their data.

Where it would do something behind the user's back, it is kept from it: its bars and logs are
silent, templates of a task file are filled in by Jinja's sandbox, and what `evaluate` would run as
model-written code (`code_eval`) goes through our own.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.errors import TaskError, UnreachableError
from harness.options import spelled
from harness.spec.suggestion import suggestion
from harness.tasks.lm_eval import catalogue, code_eval

_UNREACHABLE = "its data cannot be loaded"


@dataclass(frozen=True)
class Loaded:
    """The leaf tasks that a name stands for, in lm-eval's order, and its groups by their names."""

    tasks: Mapping[str, Any]
    groups: Mapping[str, Any] = field(default_factory=dict)


def load(source: str, shots: int | None, seed: int, *, unsafe_code: bool = False) -> Loaded:
    """The tasks of a name, or of a YAML file (an absolute path).

    Args:
        source: What to load.
        shots: Worked examples in front of each document; the task's own number when None.
        seed: By which these are drawn.
        unsafe_code: Whether a task may run what a model wrote outside of the sandbox.

    Raises:
        TaskError: a name that lm-eval does not know, a file or data that cannot be read, a filter
            that is not there, a task without documents, or one that is no text.
    """
    if not source.startswith("/"):
        catalogue.folder_of(source)  # a name is looked up before anything slow is imported
    with quiet(), code_eval.sandboxed():
        try:
            found = _found(source)
        except TaskError:
            if not source.startswith("/"):
                raise
            # As in lm-eval relative data start at the working directory, or else at the file.
            with chdir(Path(source).parent):
                found = _found(source)
    tasks, groups = found["tasks"], found.get("groups", {})
    for name, task in tasks.items():
        _check(name, task)
        if not unsafe_code and getattr(task, "UNSAFE_CODE", False) and not _sandboxed(task):
            raise TaskError(
                f"{name}: runs what a model wrote by code of its own, which is not isolated; read "
                f"it, and add {spelled('unsafe_code')}"
            )
        _show(task, shots)
        task.set_fewshot_seed(seed=seed)
    if shots and all(task.get_config("num_fewshot") == 0 for task in tasks.values()):
        raise TaskError(
            f"shots.n: {shots} worked examples asked for, but {source} says num_fewshot: 0, "
            "which lm-eval does not change; leave shots out"
        )
    return Loaded(tasks, groups)


def _show(task: Any, shots: int | None) -> None:
    """The number of worked examples, by lm-eval's rule: a task that says 0 shows none."""
    said = task.get_config("num_fewshot")
    if said is None or (shots is not None and said != 0):
        task.set_config(key="num_fewshot", value=shots or 0)


def _found(source: str) -> Any:
    from lm_eval.tasks import TaskManager

    path = Path(source)
    folder = path.parent if path.is_absolute() else catalogue.folder_of(source)
    sandbox_templates()
    try:
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        if not _complete(manager, _name(manager, source)):
            manager = TaskManager(include_path=str(folder))  # which indexes all that lm-eval has
        return manager.load(_name(manager, source))
    except Exception as error:  # whatever a YAML file, its data or their loader may raise
        problem, kind = _problem(error), TaskError
        if problem.startswith(_UNREACHABLE):
            kind = UnreachableError
        raise kind(f"{source}: {problem}") from error


def _complete(manager: Any, name: str) -> bool:
    """Whether a group's tasks are indexed, too: it may name some of other folders."""
    entry = manager.task_index.get(name)
    members = (entry.cfg or {}).get("task") if entry is not None else None
    names = [each for each in members if isinstance(each, str)] if isinstance(members, list) else []
    return all(each in manager.task_index and _complete(manager, each) for each in names)


def _name(manager: Any, source: str) -> str:
    """The name by which something is loaded: 0.4.13 loads no group by the path of its file."""
    named = (
        name
        for name, entry in manager.task_index.items()
        if str(entry.yaml_path) == source and (entry.cfg or {}).get(entry.kind.name.lower()) == name
    )
    return next(named, source)


def _problem(error: Exception) -> str:
    """Why a task cannot be loaded, in one line that says what to do."""
    from lm_eval.api.registry import filter_registry

    first = next(iter(str(error).strip().splitlines()), "").strip("'\"")
    frames = _frames(error)
    if isinstance(error, KeyError) and "get_filter" in frames:
        name = first.split("'")[1] if "'" in first else first
        known = list(filter_registry)
        return f"{name!r} is no filter;{suggestion(name, known)} use one of {', '.join(known)}"
    if isinstance(error, StopIteration | IndexError) or (
        "corresponds to no data" in first  # as readers say who know the columns
    ):
        return "it has no documents; its split is empty"
    if "load_dataset" in frames or "download" in frames:
        return f"{_UNREACHABLE}: {first}; check dataset_path and the network"
    return f"cannot be loaded by lm-eval: {type(error).__name__}: {first}"


def _frames(error: Exception) -> list[str]:
    """The functions through which an error came, the one that raised it last."""
    found, trace = [], error.__traceback__
    while trace is not None:
        found.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return found


def _sandboxed(task: Any) -> bool:
    """Whether what a task runs goes to the sandbox: its code has asked `evaluate` for a judge."""
    functions = [*task._metric_fn_list.values(), task.get_config("process_results")]  # noqa: SLF001
    return any(
        isinstance(value, code_eval.SandboxedCodeEval)
        for function in functions
        # lm-eval keeps the `__call__` of a function, which is bound to it.
        for value in getattr(getattr(function, "__self__", function), "__globals__", {}).values()
    )


def _check(name: str, task: Any) -> None:
    if getattr(task, "MULTIMODAL", False):
        raise TaskError(f"{name}: shows images or sounds, and only texts are asked here")
    if len(task.eval_docs) == 0:
        raise TaskError(f"{name}: it has no documents; its split is empty")


def sandbox_templates() -> None:
    """Have lm-eval fill in templates in Jinja's sandbox, where they reach nothing but their doc.

    A template is compiled once: lm-eval itself compiles it for every document, and scoring the
    conditions of a sweep would do so for each of them.
    """
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from lm_eval import utils

    if not isinstance(utils.env, ImmutableSandboxedEnvironment):
        boxed = ImmutableSandboxedEnvironment(
            loader=utils.env.loader, undefined=utils.env.undefined, keep_trailing_newline=True
        )
        boxed.filters.update(utils.env.filters)
        compiled: Any = lru_cache(maxsize=256)(boxed.from_string)
        boxed.from_string = compiled  # type: ignore[method-assign]
        utils.env = boxed


@contextmanager
def quiet() -> Iterator[None]:
    """Without the bars, warnings and prints of lm-eval and `datasets`."""
    from datasets.utils import logging as datasets_logging
    from datasets.utils.tqdm import are_progress_bars_disabled
    from datasets.utils.tqdm import disable_progress_bars as disable
    from datasets.utils.tqdm import enable_progress_bars as enable

    own = logging.getLogger("lm_eval")
    level, bars = own.level, not are_progress_bars_disabled()
    verbosity = datasets_logging.get_verbosity()
    own.setLevel(logging.CRITICAL)
    datasets_logging.set_verbosity(logging.ERROR)
    disable()
    try:
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            yield
    finally:
        own.setLevel(level)
        datasets_logging.set_verbosity(verbosity)
        if bars:
            enable()
