"""Calibrated accuracy: keeps tokens that a fit expects to be right often enough (2510.05987).

The fit is of a model's own calibration: `log c = A + B log p`, c how often a token of probability p
is the reference's. B is positive, so that the rule is an epsilon of (threshold / base^A)^(1 / B).
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    create_model,
    model_validator,
)

from harness.files.relative import SpecPath
from harness.sampling.masks import ThresholdRule
from harness.sampling.rule import Value

if TYPE_CHECKING:
    from torch import Tensor, device


FILE = "calibration.json"
"""What a report has of a calibration, below calibration/CASE/."""


def _file(place: str) -> Path:
    """The one calibration at a place: a report, a case's folder in it, or the file itself."""
    path = Path(place)
    found = [path] if path.is_file() else sorted(path.glob(f"calibration/*/{FILE}"))
    found = [path / FILE] if (path / FILE).is_file() else found
    if not found:
        raise ValueError(
            f"{place} holds no calibration; name the report of a `measure: calibration`"
        )
    if len(found) > 1:
        raise ValueError(
            f"{place} holds {len(found)} calibrations; name the folder of one, such as "
            f"{found[0].parent}"
        )
    return found[0]


def _read(place: str) -> dict[str, Any]:
    """A calibration. Raises ValueError where there is none, or none that has a fit."""
    file = _file(place)
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        fit, _ = found["fit"], found["asked"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as a calibration: {error}") from None
    if fit is None:
        raise ValueError(f"{file} has no fit: too few cells of its grid are filled")
    if not fit["b"] > 0:
        raise ValueError(f"{file}: b is {fit['b']:.3g}; a fit that can be used has one above 0")
    return found


def _readable(place: str | None) -> str | None:
    if place is not None:
        _read(place)
    return place


class _Calibrated(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    a: float
    """The intercept A, in the unit of `base`, of the fit log c = A + B log p, which says what
    accuracy c to expect of a token of probability p."""
    b: float = Field(gt=0)
    """The slope B of the fit log c = A + B log p, which is above 0 and has no unit."""
    threshold: float = Field(default=0.0, ge=0, lt=1)
    """The accuracy (0 to 1) that a token is expected to have at least, or it is not drawn; 0, the
    default, keeps all."""
    base: Literal["e", 10] = "e"
    """The base of the logarithms that `a` is given in: e, the default, or 10."""

    @property
    def source(self) -> str | None:
        """Where the fit was taken from, if it was."""
        found: str | None = getattr(self, "from")
        return found

    @model_validator(mode="before")
    @classmethod
    def _taken_over(cls, values: Any) -> Any:
        """Fill in what `from` says. Records have both, and need not have the file any more."""
        if not isinstance(values, Mapping) or not isinstance(values.get("from"), str):
            return values
        given = {"a", "b"} & values.keys()
        try:
            fit = _read(values["from"])["fit"]
        except ValueError:
            # The field itself says what is wrong with it; a fit in its place, of a record, stays.
            return {"a": 0.0, "b": 1.0, **values, **({"from": None} if len(given) == 2 else {})}
        for name in given:
            if values[name] != fit[name]:
                raise ValueError(f"from excludes {name}, which is given too; keep one of them")
        return {**values, "a": fit["a"], "b": fit["b"]}

    @property
    def least(self) -> float:
        """The probability at which the fit expects the threshold's accuracy."""
        if self.threshold == 0:
            return 0.0
        unit = 1.0 if self.base == "e" else math.log(10)
        exponent = (math.log(self.threshold) - self.a * unit) / self.b
        return math.exp(min(exponent, 1.0))  # above 1 the best token alone stays


_FROM: dict[str, Any] = {
    "from": (
        Annotated[SpecPath, AfterValidator(_readable)] | None,
        Field(
            default=None,
            description="Where a and b are taken from: the report of a `measure: calibration`, or "
            "a case's folder in it; relative to the folder of the spec. The samples that it was "
            "fitted on may not be among those that are asked. None when left out.",
        ),
    )
}
# `from` is a word of Python's own, so that no class can have it as a field.
Calibrated = create_model(
    "Calibrated",
    __base__=_Calibrated,
    __doc__="A fit of how often tokens are right, and how often they have to be.",
    **_FROM,
)


class CalibratedAccuracy(ThresholdRule):
    """Keeps tokens whose expected accuracy, by a fit, reaches a threshold."""

    name = "calibrated"
    field = Calibrated | None
    description = (
        "Tokens are drawn from those that a fit of the model's calibration expects to be right at "
        "least so often. null, the default, is all."
    )
    neutral = None
    place = 13
    idle = Calibrated(a=0.0, b=1.0, threshold=1e-30)
    strictest = Calibrated(a=-1.0, b=0.5, threshold=0.9)
    example = Calibrated(a=-1.165, b=0.5376, threshold=0.05)

    def is_neutral(self, value: Value) -> bool:
        """Where there is no fit, or no threshold."""
        return value is None or value.threshold == 0

    def plain(self, value: Value) -> Any:
        """A value without where its numbers were read."""
        found = super().plain(value)
        return found and {name: each for name, each in found.items() if name != "from"}

    def fitted_on(self, value: Value) -> Collection[str]:
        """The samples of the calibration that the fit was read from."""
        if value is None or value.source is None:
            return ()
        asked: list[str] = _read(value.source)["asked"]
        return asked

    def files(self, value: Value) -> Sequence[Path]:
        """The calibration that the fit was read from."""
        return () if value is None or value.source is None else (_file(value.source),)

    def tensors(self, rows: Sequence[Value], device: device) -> Tensor:
        """The least probabilities [R], in float32."""
        return super().tensors([row.least for row in rows], device)

    def least(self, probabilities: Tensor, rows: Tensor) -> Tensor:
        """The value itself."""
        del probabilities
        return rows

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """A token that is expected to be right less often."""
        if score < min(math.log(value.least), best[0]) - slack:
            return f"probability {math.exp(score):.4f}, the fit asks for {value.least:.4f}"
        return None


RULE = CalibratedAccuracy()
