"""The section of a spec that masks routers: which points, how many of them, and in which mode."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Discriminator, JsonValue, NonNegativeInt, PositiveInt, Tag

from harness.errors import FieldError
from harness.spec.intervention import Control, InterventionSettings
from harness.spec.settings import Settings, SpecPath
from harness.spec.usage_expression import UsageText
from harness.spec.variants import variant


class UsagePoints(Settings):
    """Router points ordered by usage measured on this model and task, most used first."""

    usage: UsageText
    """What points are ordered by: an average usage, or a difference of two, such as
    avg_last_agentic or avg_all_agentic - avg_all_assisted."""
    samples: PositiveInt = 164
    """How many samples of the task, the first ones, usage is measured on; 164 by default.
    `task.limit` does not change it."""


class FilePoints(Settings):
    """Router points from a JSON file `[{"layer": 0, "router": 3}, ...]`, in the file's order."""

    file: SpecPath
    """The points are read, in their order, from this JSON file, [{"layer": 0, "router": 3}, ...];
    relative to the folder of the spec."""


class RandomPoints(Settings):
    """All router points of the model in a seeded random order."""

    random: NonNegativeInt
    """The seed of the random order in which all points of the model are masked."""


Points = Annotated[
    Annotated[UsagePoints, Tag("usage")]
    | Annotated[FilePoints, Tag("file")]
    | Annotated[RandomPoints, Tag("random")],
    Discriminator(variant),
]


class RouterMaskSettings(InterventionSettings):
    """Masks experts in the routers of a mixture-of-experts model."""

    controlled: ClassVar[Control] = Control("points", other={"random": 0})
    says_how: ClassVar[frozenset[str]] = frozenset({"mode", "on_empty"})

    kind: Literal["router_mask"]
    """The kind of intervention is router_mask: masked experts."""
    mode: Literal["keep_topk", "replace_topk"] = "keep_topk"
    """What becomes of a token's masked experts. keep_topk, the default: they drop out of its top-k.
    replace_topk: the next best experts take their places."""
    on_empty: Literal["fallback", "zero"] = "fallback"
    """What a token gets whose whole top-k is masked. fallback, the default: its unmasked routing.
    zero: no expert at all."""
    points: Points
    """Where the ordered list of (layer, expert) points comes from: {usage: ...}, {file: ...} or
    {random: SEED}."""
    count: NonNegativeInt
    """How many points are masked, the first ones of the list. It is the dose; 0 is neutral."""

    def neutral(self) -> Self:
        """The same mask with no points."""
        return self.model_copy(update={"count": 0})

    def control_axis(self) -> dict[str, list[JsonValue]]:
        """As many random points beside its own, unless they are random."""
        return {} if isinstance(self.points, RandomPoints) else super().control_axis()

    def check_held_out(self) -> None:
        """Refuse an ordering that is measured."""
        if self.usage is not None:
            raise FieldError(
                "intervention.points",
                "usage is measured on the task's own samples, those of the test split among them; "
                "write an ordering from other samples to a file and give points: {file: ...}",
            )

    @property
    def usage(self) -> UsagePoints | None:
        """The points, if their ordering is measured."""
        return self.points if isinstance(self.points, UsagePoints) else None
