"""What methods find in an organism's controls, stored: what a limit of detection is held against.

A file has a task, whose texts were read, and for every method the settings that decide its values,
and the values: metric by metric, control by control, one for each seed of texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from pydantic import JsonValue, ValidationError

from harness.errors import ModelError
from harness.models.organisms.organism import Organism
from harness.spec.settings import Settings


class Blank(Settings):
    """What one method finds, under these settings of `diff`."""

    settings: Mapping[str, JsonValue]
    values: Mapping[str, Mapping[str, Sequence[float]]]


class Blanks(Settings):
    """What was found in the controls of one organism."""

    made: str
    """By which command."""
    task: str
    methods: Sequence[Blank]

    def of(
        self, task: str, settings: Mapping[str, JsonValue], metric: str
    ) -> list[Sequence[float]] | None:
        """A metric's values, control by control; None where none were measured with these settings.

        Args:
            task: The name of the task whose texts are read.
            settings: The whole section `diff` of a case.
            metric: The metric's name.
        """
        for each in self.methods if task == self.task else ():
            same = all(settings.get(name) == value for name, value in each.settings.items())
            if same and metric in each.values:
                return list(each.values[metric].values())
        return None


def blanks_of(organism: Organism) -> Blanks | None:
    """What was stored; None where nothing is. Raises ModelError for a file that cannot be read."""
    if organism.blanks is None:
        return None
    file = Path(organism.blanks)
    try:
        return _read(file, file.stat().st_mtime_ns)
    except (OSError, ValueError, ValidationError) as error:
        said = str(error).splitlines()[0]
        raise ModelError(f"organism {organism.name}: {file} cannot be read: {said}") from error


@cache
def _read(file: Path, _changed: int) -> Blanks:
    return Blanks.model_validate(json.loads(file.read_text("utf-8")))
