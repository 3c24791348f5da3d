"""lm-eval's own runs of the same tasks: with its HF backend, and with answers that we have."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from lm_eval.api.model import LM
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from harness.tasks.lm_eval.loading import quiet


def evaluated(lm: LM, task: Path, name: str | None = None, **settings: Any) -> dict[str, Any]:
    """What `simple_evaluate` returns for a task file, or for a name that its folder knows."""
    own = task.stem if task.stem.startswith("group") else str(task)
    with quiet():
        found = simple_evaluate(
            model=lm,
            tasks=[name or own],
            bootstrap_iters=0,
            log_samples=True,
            task_manager=TaskManager(include_path=str(task.parent), include_defaults=False),
            **settings,
        )
    assert found is not None
    return dict(found)


def hf(model: str, batch_size: int = 4) -> HFLM:
    """Its HF backend in float32 on the CPU."""
    with quiet():
        return HFLM(pretrained=model, dtype="float32", device="cpu", batch_size=batch_size)


class ReplayLM(LM):
    """Answers from a table by (task, document, instance, occurrence).

    `answers`: task/document -> instance -> answers.
    """

    def __init__(self, answers: Any, template: Any = None) -> None:
        super().__init__()
        self._answers = answers
        self._template = template
        self._seen: dict[Any, int] = defaultdict(int)

    tokenizer_name = "replayed"

    def apply_chat_template(self, chat_history: Any, add_generation_prompt: bool = True) -> str:
        return str(self._template(chat_history, add_generation_prompt=add_generation_prompt))

    def _next(self, instance: Any) -> Any:
        key = (instance.task_name, instance.doc_id, instance.idx)
        occurrence = self._seen[key]
        self._seen[key] += 1
        own = self._answers[f"{instance.task_name}/{instance.doc_id}"][instance.idx]
        answer = own[occurrence]
        return tuple(answer) if isinstance(answer, list) else answer

    def _all(self, requests: Any, disable_tqdm: bool = False) -> list[Any]:
        return [self._next(each) for each in requests]

    loglikelihood = loglikelihood_rolling = generate_until = _all
