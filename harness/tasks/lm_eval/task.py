"""A task, group or tag of lm-eval's: its documents are the samples, `TASK/POSITION` their ids.

Nothing is loaded before the first question about samples, because loading downloads. What is asked
of a document are lm-eval's own instances (`asked`), and what comes of them is counted by its own
filters, `process_results` and aggregates (`counting.py`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Any, overload

from harness.errors import FieldError, TaskError
from harness.spec import TaskSettings
from harness.tasks.base import Reference, Sample, Score, Style, Task, TaskMetric
from harness.tasks.lm_eval import consent, loading
from harness.tasks.lm_eval.naming import metrics_of

#: From chat messages to text: `(messages, add_generation_prompt=True) -> text`.
Template = Callable[..., str]


class _Deferred(Sequence[Sample]):
    """Samples that are loaded when they are asked for."""

    def __init__(self, load: Callable[[], tuple[Sample, ...]]) -> None:
        self._load = load

    @cached_property
    def _found(self) -> tuple[Sample, ...]:
        return self._load()

    @overload
    def __getitem__(self, at: int) -> Sample: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, at: int | slice) -> Sample | tuple[Sample, ...]:
        return self._found[at]

    def __len__(self) -> int:
        return len(self._found)


@dataclass(frozen=True, eq=False, kw_only=True)
class LmEvalTask(Task):
    """What a spec's `task: {lm_eval: ...}` asks; see `own_task` for its parts."""

    name: str
    source: str
    shots: int | None
    seed: int
    limit: int | None
    only: tuple[str, ...] | None
    unsafe_code: bool = False
    """Whether what a model wrote may be run as a task does it, where that is not the sandbox."""
    _built: dict[tuple[str, str | None], Mapping[str, Sequence[Any]]] = field(
        default_factory=dict, repr=False
    )

    @cached_property
    def loaded(self) -> loading.Loaded:
        """lm-eval's tasks. Raises TaskError where they cannot be had."""
        return loading.load(self.source, self.shots, self.seed, unsafe_code=self.unsafe_code)

    @cached_property
    def metric(self) -> str:  # type: ignore[override]
        """The first metric of the group, or of the first task, by its first filter."""
        return next(iter(self.entries))

    @cached_property
    def entries(self) -> Mapping[str, TaskMetric]:  # type: ignore[override]
        """What its metrics are, the primary one first; some tasks count more than they say."""
        found = metrics_of(self.loaded)
        return MappingProxyType({name: each.stated for name, each in found.items()})

    @cached_property
    def version(self) -> int:  # type: ignore[override]
        """28 bits of a SHA-256 of its configurations and documents."""
        configs = {name: task.dump_config() for name, task in self.loaded.tasks.items()}
        records = [[sample.id, sample.record] for sample in self.samples]
        text = json.dumps([configs, records], sort_keys=True, default=_described)
        return int(hashlib.sha256(text.encode()).hexdigest()[:7], 16)

    @property
    def completes(self) -> bool:  # type: ignore[override]
        """Whether any of its tasks asks for texts."""
        return any(task.OUTPUT_TYPE == "generate_until" for task in self.loaded.tasks.values())

    @property
    def scored(self) -> str | None:  # type: ignore[override]
        """What its tasks ask beside texts, as lm-eval calls it."""
        kinds = (str(task.OUTPUT_TYPE) for task in self.loaded.tasks.values())
        return next((kind for kind in kinds if kind != "generate_until"), None)

    @property
    def isolated_by(self) -> str | None:
        """Our sandbox, where a task of it runs what a model wrote: that number is ours."""
        if not any(getattr(task, "UNSAFE_CODE", False) for task in self.loaded.tasks.values()):
            return None
        from harness import sandbox

        return str(sandbox.choose())

    def asked(
        self, sample: Sample, template: Template | None, named: str, system: str | None
    ) -> Sequence[Any]:
        """lm-eval's instances of a document, in the order in which they are scored.

        Args:
            sample: The document.
            template: What renders a chat; None for bare text.
            named: What tells this template from others.
            system: The system message, or text.
        """
        key = (named, system)
        if key not in self._built:
            self._built[key] = self._build(template, system)
        return self._built[key][sample.id]

    def prompt(self, sample: Sample, style: Style) -> str:
        """The bare text in front of what is asked, for those who only look at a sample."""
        del style
        first = self.asked(sample, None, "", None)[0].args
        return str(first[0]) if len(first) > 1 else ""

    def reference(self, sample: Sample) -> Reference:
        """The document's target, where it is a text."""
        task, doc = self._of(sample)
        target = task.doc_to_target(doc)
        if not isinstance(target, str):
            raise TaskError(f"{sample.id}: its target {target!r:.60} is no text")
        return Reference("", target, "")

    def score(self, answers: Sequence[tuple[Sample, Style, str]]) -> list[Score]:
        """Nothing by itself: lm-eval counts what came of all documents together."""
        return [Score(correct=None, parsed=True) for _ in answers]

    def metrics(self, scores: Sequence[Score]) -> dict[str, float]:
        """The names of its metrics, as far as they are known before a run."""
        del scores
        return dict.fromkeys(self.entries, 0.0)

    def scored_here(self, *, unsafe_code: bool) -> Task:
        """Ask for consent where a file would run code."""
        if self.source.startswith("/"):
            consent.check(self.source, unsafe_code=unsafe_code)
        return self

    def _of(self, sample: Sample) -> tuple[Any, Any]:
        return self.loaded.tasks[sample.id.rpartition("/")[0]], sample.record

    def documents(self) -> tuple[Sample, ...]:
        """The documents, up to the limit of each task; raises FieldError for one beyond all."""
        found = []
        sizes = []
        for name, task in self.loaded.tasks.items():
            docs = list(islice(task.eval_docs, self.limit))
            sizes.append(len(docs))
            found += [Sample(f"{name}/{number}", doc) for number, doc in enumerate(docs)]
        if self.limit is not None and self.limit > max(sizes):
            raise FieldError(
                "task.limit",
                f"{self.limit} documents asked for, but {self.name} has {max(sizes)}; use 1 to "
                f"{max(sizes)}, or leave it out",
            )
        if self.only is None:
            return tuple(found)
        by_id = {sample.id: sample for sample in found}
        for each in self.only:
            if each not in by_id:
                problem = f"{each!r} is not a sample of {self.name}"
                raise FieldError("task.only", f"{problem}, whose first is {found[0].id!r}")
        return tuple(by_id[each] for each in self.only)

    def _build(self, template: Template | None, system: str | None) -> Mapping[str, Sequence[Any]]:
        """All instances, built once for all cases, from the first document on: the worked examples
        of a document depend on how many were built before it.
        """
        wanted: dict[str, int] = {}
        for sample in self.samples:
            name, _, number = sample.id.rpartition("/")
            wanted[name] = max(wanted.get(name, 0), int(number) + 1)
        built: dict[str, list[Any]] = {}
        for name, count in wanted.items():
            task = self.loaded.tasks[name]
            task.set_fewshot_seed(seed=self.seed)
            try:
                with loading.quiet():
                    task.build_all_requests(
                        limit=count,
                        system_instruction=system,
                        apply_chat_template=template is not None,
                        fewshot_as_multiturn=True,
                        chat_template=template,
                    )
            except Exception as error:  # templates and functions of whoever wrote the task
                first = next(iter(str(error).strip().splitlines()), "")
                raise TaskError(
                    f"{name}: its documents cannot be asked: {type(error).__name__}: {first}"
                ) from error
            for instance in task.instances:
                built.setdefault(f"{name}/{instance.doc_id}", []).append(instance)
        return {each: sorted(own, key=lambda one: one.idx) for each, own in built.items()}


def own_task(
    settings: TaskSettings, only: tuple[str, ...] | None = None, *, unsafe_code: bool = False
) -> LmEvalTask:
    """The task that a spec names, of which nothing is loaded yet; `only` are ids of samples."""
    assert settings.lm_eval is not None
    shots = settings.shots
    task = LmEvalTask(
        samples=(),
        name=settings.title,
        source=settings.lm_eval,
        shots=None if shots is None else shots.n,
        seed=1234 if shots is None else shots.seed,
        limit=settings.limit,
        only=only,
        unsafe_code=unsafe_code,
    )
    # The dataclass is frozen, and its samples are to be found by the task itself.
    object.__setattr__(task, "samples", _Deferred(task.documents))
    return task


def _described(value: Any) -> Any:
    """What JSON has no form for, such that it is the same in every process."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    name = getattr(value, "__qualname__", None)
    return name if isinstance(name, str) else str(type(value))
