r"""GSM8K (Cobbe et al. 2021): 1 319 grade-school word problems, from the Hugging Face hub.

{"question": "Natalia sold clips to 48 of her friends in April, and then she sold half as ...",
 "answer": "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\n... altogether.\n#### 72"}
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from harness.tasks.base import Sample, Training
from harness.tasks.data_files import read_records
from harness.tasks.hub import hub_records
from harness.tasks.maths import FIELDS, MathsTask, fault

_HUB_NAME = "openai/gsm8k"


def training_records() -> Iterable[dict[str, Any]]:
    """The 7 473 problems of the train split, which vectors may be built from."""
    return _from_hub("train")


@dataclass(frozen=True, eq=False)
class GSM8K(MathsTask):
    """The test split of GSM8K, or the problems of a file in the same format."""

    name = "gsm8k"
    training = Training(FIELDS, fault, training_records, held_out=False)

    @classmethod
    def load(cls, path: str | None = None) -> GSM8K:
        """Read a local JSONL file, or fetch the test split from the hub."""
        records: Iterable[dict[str, Any]] = (
            read_records(path, FIELDS, check=fault) if path else _from_hub("test")
        )
        return cls(
            tuple(Sample(f"GSM8K/{index}", dict(record)) for index, record in enumerate(records))
        )


def _from_hub(split: Literal["train", "test"]) -> Iterable[dict[str, Any]]:
    field = {"train": "intervention.vector.data", "test": "task.path"}[split]
    remedy = f", or give a local JSONL file as `{field}`"
    return (record for _, record in hub_records(_HUB_NAME, "main", split, remedy))
