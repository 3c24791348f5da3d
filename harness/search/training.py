"""What the vectors of a search may be built from: the pairs of every configuration of its space.

It is not known beforehand which configurations are drawn, so that the pairs of all of them are the
train split, which shares no text with the others. Values are looked at before the form is filled
in: which pairs are read must not depend on whether the rest of a configuration is possible.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from pydantic import JsonValue, ValidationError

from harness.errors import FieldError, TaskError
from harness.resolve.contrast_pairs import pairs_for
from harness.search.space import Space
from harness.search.treatment import pair_places, pair_sections, raw_pair_sections
from harness.spec import Experiment, PromptSettings
from harness.spec.intervention import PairSection
from harness.spec.intervention import sections as registered
from harness.tasks.base import Style
from harness.tasks.contrast import ContrastPair


def _deciding() -> frozenset[str]:
    """Fields whose values decide which pairs are read.

    Of every other field one value stands for all: it may put a section in another's place, but what
    it says itself names no pairs.
    """
    places = {f"intervention.{place}" for each in registered() for place in pair_places(each)}
    parts = {f"{place}.{name}" for place in places for name in ("data", "pairs", "samples")}
    return frozenset(
        {"intervention", "intervention.kind", "prompt", "prompt.style"} | places | parts
    )


@dataclass(frozen=True)
class PairSet:
    """Pairs that some configurations read, as many as any of them does."""

    source: str
    """styles, answers, or a file."""
    data: str | None
    """The file of training problems that built-in pairs are made of, where they have one."""
    style: Style
    """The prompt style that built-in pairs are put in."""
    pairs: tuple[ContrastPair, ...]

    @property
    def facts(self) -> dict[str, JsonValue]:
        """What it is, and the SHA-256 of all its texts."""
        hashes = " ".join(pair.content_hash for pair in self.pairs)
        return {
            "pairs": self.source,
            "data": self.data,
            "style": self.style,
            "count": len(self.pairs),
            "content": hashlib.sha256(hashes.encode()).hexdigest(),
        }


def pair_sets(space: Space) -> list[PairSet]:
    """The pairs of all configurations; of sets that begin alike the longest.

    A configuration whose pairs cannot be had is passed by: its trial fails before it reads any.

    Raises:
        FieldError: there are fewer pairs than are asked for, or not all of them may be read.
    """
    longest: dict[tuple[str, str | None, Style], tuple[Experiment, PairSection]] = {}
    for experiment, section in _read(space):
        key = section.pairs, section.data, experiment.prompt.style
        if key not in longest or section.samples > longest[key][1].samples:
            longest[key] = experiment, section
    sets = []
    for (source, data, style), (experiment, section) in longest.items():
        try:
            pairs = pairs_for(experiment, section)
        except TaskError as error:
            if not _has_any(experiment, section):
                continue
            raise FieldError("search.space", f"{section.samples} pairs: {error}") from error
        if len(pairs) < section.samples:
            raise FieldError(
                "search.splits.train",
                f"{section.samples} pairs asked for, but {data or source} has {len(pairs)}; ask "
                "for fewer",
            )
        sets.append(PairSet(source, data, style, pairs))
    return sets


def joined(sets: Sequence[PairSet]) -> list[ContrastPair]:
    """Every pair of the sets, once."""
    return list({pair.content_hash: pair for each in sets for pair in each.pairs}.values())


def check_train(space: Space, train: int) -> None:
    """Compare the size of the train split with what the space asks for.

    Raises:
        FieldError: no configuration reads pairs, or one wants more of them.
    """
    read = [section for _, section in _read(replace(space, train=None))]
    if not read:
        raise FieldError(
            "search.splits.train",
            f"{train} pairs asked for, but no vector of the intervention is built from pairs; "
            "leave it out",
        )
    written = [section for section in read if "samples" in section.model_fields_set]
    most = max(written, key=lambda section: section.samples, default=None)
    if most is not None and most.samples > train:
        raise FieldError(
            "search.splits.train",
            f"{train} pairs asked for, but search.space has a choice with {most.samples} samples "
            f"of {most.pairs}; write at most {train} there, or {most.samples} here",
        )


def check_trained(experiment: Experiment, train: Sequence[ContrastPair]) -> None:
    """Raise `TaskError` for an experiment that reads pairs which are not in the train split.

    They were when the samples were dealt out: a file has been written since.
    """
    known = {pair.content_hash for pair in train}
    for section in pair_sections(experiment):
        for pair in pairs_for(experiment, section):
            if pair.content_hash not in known:
                raise TaskError(
                    f"{section.data or section.pairs}: {pair.id} was not there when the search "
                    "began, so that nothing keeps its text out of the other splits; search anew"
                )


def _read(space: Space) -> Iterator[tuple[Experiment, PairSection]]:
    """Every section of pairs of every configuration, with the experiment that asks for it."""
    choices: dict[str, list[JsonValue]] = {}
    deciding = _deciding()
    for field, value in space.corners():
        if field in deciding or field not in choices:
            choices.setdefault(field, []).append(value)
    for chosen in product(*choices.values()):
        values = space.values(dict(zip(choices, chosen, strict=True)))
        try:
            prompt = PromptSettings.model_validate(values["prompt"])
            sections = list(_sections(values["intervention"]))
        except ValidationError:
            continue  # of a configuration that cannot be
        experiment = space.base.model_copy(update={"prompt": prompt})
        for section in sections:
            yield experiment, section


def _has_any(experiment: Experiment, section: PairSection) -> bool:
    try:
        return bool(pairs_for(experiment, section.model_copy(update={"samples": 1})))
    except TaskError:
        return False


def _sections(intervention: Any) -> Iterator[PairSection]:
    for kind, section in raw_pair_sections(intervention):
        named: Mapping[str, Any] = {
            name: section[name] for name in ("pairs", "data", "samples") if name in section
        }
        yield kind.model_validate(named)
