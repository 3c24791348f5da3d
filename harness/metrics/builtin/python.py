"""`python`: what a function of one's own says of a completion: `(sample, completion) -> number`.

The sample has `id`, `record` and `prompt` (`Seen`), the completion `text`, `tokens`,
`log_probabilities` and more (`Answer`). Where it raises, or returns no finite number, the sample
fails.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.errors import FieldError, MetricError
from harness.files.given import content
from harness.metrics.entry import Answer, MetricEntry, Seen, per_answer
from harness.metrics.kind import Checking, MetricKind
from harness.options import spelled
from harness.spec.metric import MetricSettings
from harness.spec.settings import FunctionReference

_MOST_BYTES = 4 << 20


class PythonSettings(MetricSettings):
    """The mean of what a function of one's own says of completions."""

    kind: Literal["python"]
    """The kind of metric is python: a function of one's own."""
    function: Annotated[FunctionReference, Field(pattern=r"^.+\.py:[A-Za-z_][A-Za-z0-9_]*$")]
    """The function that is called, as FILE.py:NAME: of a sample and a completion it returns a
    number; the file is relative to the folder of the spec. It runs in this process, and needs the
    same consent as other code (--titrate-unsafe-code)."""
    share: bool = False
    """Whether it says true or false (or 0 to 1): the metric is a rate then. false by default."""


def _parts(settings: PythonSettings) -> tuple[str, str]:
    file, _, name = settings.function.rpartition(":")
    return file, name


def _loaded(settings: PythonSettings) -> Any:
    """The function; its file is run once for each content that it has in this process."""
    file, name = _parts(settings)
    digest = hashlib.sha256(content(file, _MOST_BYTES)).hexdigest()
    return getattr(_module(file, digest), name)


@lru_cache(maxsize=64)
def _module(file: str, digest: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"titrate_metric_{digest[:16]}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check(settings: PythonSettings, checking: Checking) -> None:
    file, name = _parts(settings)
    if not Path(file).is_file():
        raise FieldError("function", f"{file}: there is no such file")
    if not checking.unsafe_code:
        raise FieldError(
            "function",
            f"{Path(file).name} would be run in this process, which is not isolated; read it, and "
            f"add {spelled('unsafe_code')}",
        )
    try:
        found = _loaded(settings)
    except (Exception, SystemExit) as error:  # whatever importing somebody's file may raise
        problem = f"{file}: has no {name}" if isinstance(error, AttributeError) else ""
        problem = problem or f"{file}: cannot be run: {type(error).__name__}: {error}"
        raise FieldError("function", problem) from error
    if not callable(found):
        raise FieldError("function", f"{file}: {name} is no function")


def _made(settings: PythonSettings) -> MetricEntry:
    _, name = _parts(settings)
    function = cache(lambda: _loaded(settings))

    def said(seen: Seen, answer: Answer) -> float:
        value = function()(seen, answer)
        if getattr(value, "shape", None) == ():
            value = value.item()  # a number of numpy's or torch's
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise MetricError(f"{name} returned {value!r:.80}, which is no finite number")
        if settings.share and not 0 <= value <= 1:
            raise MetricError(f"{name} returned {value!r}, which is no share from 0 to 1")
        return float(value)

    return MetricEntry(
        "python",
        f"mean of what {name} of {Path(_parts(settings)[0]).name} says of completions",
        kind="rate" if settings.share else "score",
        bounds=(0, 1) if settings.share else (None, None),
        value=per_answer(said),
    )


METRIC = MetricKind(
    "python",
    "what a function of one's own says of completions",
    PythonSettings,
    _made,
    files=lambda settings: [_parts(settings)[0]],
    check=_check,
)
