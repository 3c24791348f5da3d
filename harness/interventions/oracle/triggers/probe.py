"""`probe`: where a linear read-out of a hidden state says so."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, JsonValue, NonNegativeInt

from harness.errors import FieldError
from harness.files.given import is_file
from harness.files.relative import SpecPath
from harness.interventions.oracle.trigger import Moment, Reads, ThresholdTrigger
from harness.interventions.steering_terms import Site
from harness.interventions.vector_file import SteeringVectors, read_vectors


class ProbeTrigger(ThresholdTrigger):
    """Asks where a probe gives a hidden state of the model a large probability.

    The probe is a logistic regression on the state of one layer and site at the last token, as
    `titrate vectors build` makes it of pairs (`method: probe`).
    """

    summary = "where a linear probe of a hidden state says so"
    reads: ClassVar[frozenset[Reads]] = frozenset({"hidden"})
    statistic: ClassVar[str] = "probe"

    kind: Literal["probe"] = "probe"
    """The trigger is probe, by default and always; its settings stand beside it."""
    file: SpecPath
    """The probe is read from this .safetensors file of vectors of `method: probe`, as `titrate
    vectors build` writes it; relative to the folder of the spec."""
    layer: NonNegativeInt
    """The layer, counted from 0, whose probe is taken from the file and reads the model's state
    there; the site is the file's."""
    above: float | None = Field(None, ge=0, le=1)
    """The probability (0 to 1) by the probe above which the oracle is asked. It is fitted to
    `share` or `pgr` when left out."""

    @property
    def place(self) -> tuple[int, Site]:
        """As every trigger."""
        return self.layer, self._vectors.site

    def content(self) -> JsonValue:
        """What the file holds, and not where it lies."""
        told = self.model_dump(mode="json", exclude={"file"})
        return {**told, "file": sha256(Path(self.file).read_bytes()).hexdigest()}

    def check(self) -> None:
        """Raise `FieldError` for a file that has no such probe."""
        probes = self._vectors.probes
        if self.layer not in probes:
            known = ", ".join(map(str, probes)) or "none; build it with method: probe"
            raise FieldError(
                "intervention.trigger.layer",
                f"{self.file} has no probe of layer {self.layer}; its probes are of {known}",
            )

    def measured(self, moment: Moment) -> float:
        """As every threshold."""
        import numpy as np  # here: who only reads specs waits for no numpy

        assert moment.hidden is not None
        vector, probe = self._vectors.vectors[self.layer], self._vectors.probes[self.layer]
        along = float(moment.hidden.double() @ vector.tensor().double())
        return float(1 / (1 + np.exp(-(probe.steepness * along + probe.bias))))

    @property
    def _vectors(self) -> SteeringVectors:
        return _read(self.file, is_file(self.file) and Path(self.file).stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read(file: str, written: int) -> SteeringVectors:
    del written  # another time makes it another file
    try:
        return read_vectors(file)
    except FieldError as error:
        raise FieldError("intervention.trigger.file", error.problem) from error


TRIGGER = ProbeTrigger
