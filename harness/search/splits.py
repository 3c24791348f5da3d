"""Which samples are for what: train, validation and test, disjoint by content.

Content is the text of what is asked, whatever its id, its place in the data or the style in which
it is put: two samples of the same text are one, and a sample that a vector was built from is not
evaluated on. Order comes from the hash of seed and content, so that the splits are the same on
every machine and do not depend on the order of the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations

from harness.errors import FieldError, TaskError
from harness.spec.search import SplitSettings
from harness.tasks.base import Sample, Task, texts_of
from harness.tasks.contrast import ContrastPair


@dataclass(frozen=True)
class Splits:
    """The three splits: pairs of the first, tasks of the others, and the hashes of all contents."""

    train: Sequence[ContrastPair]
    validation: Task
    test: Task
    left_out: int = 0
    """Samples of the task that are in none: their content is in another one, or in train."""
    contents: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Split -> SHA-256 (hex) of every text in it."""

    def check(self) -> str:
        """Say how the splits are disjoint; raises `TaskError` where they are not."""
        for one, other in combinations(self.contents, 2):
            shared = self.contents[one] & self.contents[other]
            if shared:
                raise TaskError(
                    f"{len(shared)} texts are in both the {one} and the {other} split, such as the "
                    f"one with SHA-256 {min(shared)[:12]}; no number of this search can be trusted"
                )
        sizes = {
            "train": len(self.train),
            "validation": self.validation.size,
            "test": self.test.size,
        }
        said = ", ".join(f"{size} {name}" for name, size in sizes.items())
        return f"{said}: no text of one is in another"

    @cached_property
    def digest(self) -> str:
        """Hash of all splits' contents: studies of different samples have different ones."""
        said = repr({name: sorted(hashes) for name, hashes in sorted(self.contents.items())})
        return hashlib.sha256(said.encode()).hexdigest()


def split(task: Task, pairs: Sequence[ContrastPair], sizes: SplitSettings, seed: int) -> Splits:
    """Deal the samples of a task out to validation and test, apart from what `pairs` hold.

    Raises:
        FieldError: there are fewer samples than are asked for.
        TaskError: the splits share a text after all.
    """
    contents = sample_contents(task)
    trained = pair_contents(pairs)
    taken = set(trained)
    free: list[Sample] = []
    for sample in sorted(task.samples, key=lambda each: _rank(seed, contents[each.id])):
        if not contents[sample.id] & taken:
            free.append(sample)
            taken |= contents[sample.id]
    wanted = sizes.validation + sizes.test
    left_out = task.size - len(free)
    if wanted > len(free):
        less = f", {left_out} of whose {task.size} are in train or there twice" if left_out else ""
        raise FieldError(
            "search.splits",
            f"{sizes.validation} validation and {sizes.test} test samples asked for, but there are "
            f"{len(free)} of {task.name}{less}; ask for fewer",
        )
    validation, test = free[: sizes.validation], free[sizes.validation : wanted]
    splits = Splits(
        train=pairs,
        validation=replace(task, samples=tuple(validation)),
        test=replace(task, samples=tuple(test)),
        left_out=left_out,
        contents={
            "train": trained,
            "validation": frozenset().union(*(contents[each.id] for each in validation)),
            "test": frozenset().union(*(contents[each.id] for each in test)),
        },
    )
    splits.check()
    return splits


def chunks(task: Task, size: int) -> list[Task]:
    """A task in parts of so many samples, the last one maybe smaller."""
    return [
        replace(task, samples=task.samples[start : start + size])
        for start in range(0, task.size, size)
    ]


def sample_contents(task: Task) -> dict[str, frozenset[str]]:
    """Sample id -> hashes of the texts that ask for it, in all styles.

    A text that all samples share (the user's request to read a file) does not count, unless it is
    all that they ask.
    """
    found = {sample.id: frozenset(_hashes(task.texts(sample))) for sample in task.samples}
    shared = frozenset.intersection(*found.values()) if len(found) > 1 else frozenset()
    return {sample: hashes - shared or hashes for sample, hashes in found.items()}


def pair_contents(pairs: Iterable[ContrastPair]) -> frozenset[str]:
    """Hashes of the texts that both sides of all pairs ask."""
    return frozenset(
        hashed
        for pair in pairs
        for side in (pair.positive, pair.negative)
        for hashed in _hashes(texts_of(side.prompt))
    )


def _hashes(texts: Iterable[str]) -> Iterator[str]:
    """SHA-256 of each text, with its white space made plain."""
    for text in texts:
        plain = " ".join(text.split())
        if plain:
            yield hashlib.sha256(plain.encode()).hexdigest()


def _rank(seed: int, hashes: frozenset[str]) -> str:
    return hashlib.sha256(f"{seed} {min(hashes)}".encode()).hexdigest()
