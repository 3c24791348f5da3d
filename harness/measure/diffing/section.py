"""`measure: diff`: what a model has that another has not, read on text about something else.

The case's model under its intervention is compared with the same model without; or, where
`diff.tuned` names one, that model with the case's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from harness.errors import FieldError, ModelError
from harness.models.organisms import Organism, load_organism
from harness.spec import Experiment
from harness.spec.engine_kind import engine_named
from harness.spec.experiment import EngineSettings
from harness.spec.measure import Measure
from harness.spec.settings import ModelReference, Settings


class JudgeSettings(Settings):
    """A model that is asked which tokens have to do with what a model was tuned on."""

    model: ModelReference
    """The model that is asked which tokens are relevant, a reference as in `model`."""
    engine: EngineSettings = EngineSettings()
    """What runs it, as the section engine of a spec; transformers on this machine by default."""
    rotations: PositiveInt = 3
    """The judge is asked in so many orders of the tokens, each of which counts as a rater; 3 by
    default."""
    temperature: NonNegativeFloat = 0.0
    """The temperature at which it answers; 0, the default, is greedy decoding."""
    max_new_tokens: PositiveInt = 512
    """How many tokens an answer has at most, where it is cut off; 512 by default."""
    seed: NonNegativeInt = 0
    """The seed by which its answers are drawn; 0 by default. An answer that cannot be read is drawn
    again by the next seeds."""

    @property
    def called(self) -> str:
        """What requests call its engine."""
        return _called(self.model, self.engine)


def _called(model: str, engine: EngineSettings) -> str:
    """The model, and a hash of what runs it."""
    return f"{model} by {hashlib.sha256(engine.model_dump_json().encode()).hexdigest()[:8]}"


class SteeredSettings(Settings):
    """Texts that the model writes while it is steered by the mean difference of activations."""

    prompts: Annotated[list[str], Field(min_length=1)]
    """The texts begin with these: each prompt is continued at every position, steered and not."""
    positions: PositiveInt = 1
    """The difference is taken at so many positions, from the first on, and steers by each of them;
    1 by default."""
    draws: PositiveInt = 10
    """How many texts of each strength that is tried are judged for their coherence; 10 by default.
    More make the strength surer, and take as much longer."""
    searched_tokens: PositiveInt = 128
    """How many tokens the texts have at most by which a strength is judged; 128 by default."""
    shown: PositiveInt = 5
    """How many texts of each prompt are written at the strength that was found, and as many without
    steering; 5 by default."""
    shown_tokens: PositiveInt = 512
    """How many tokens the texts that are shown have at most; 512 by default."""
    seed: NonNegativeInt = 0
    """The seed by which the texts are drawn; 0 by default."""


class AgentSettings(Settings):
    """A model that finds out from the evidence what the other one was tuned on."""

    model: ModelReference
    """The model that investigates the evidence, a reference as in `model`."""
    engine: EngineSettings = EngineSettings()
    """What runs it, as the section engine of a spec; transformers on this machine by default."""
    interactions: NonNegativeInt = 5
    """How often an agent may ask the two models, in questions of its own; 5 by default, and 0
    leaves it with the evidence alone."""
    calls: PositiveInt = 100
    """How often the model is called at most, by one agent; 100 by default. An agent that is not
    ready by then has no hypothesis."""
    tokens: PositiveInt = 100_000
    """How many tokens one agent may write in all; 100000 by default. An agent that is not ready by
    then has no hypothesis."""
    runs: PositiveInt = 2
    """So many agents investigate, each from the beginning; their scores are averaged. 2 by
    default."""
    gradings: PositiveInt = 2
    """How often each hypothesis is graded, by draws of their own; its score is their mean. 2 by
    default."""
    blackbox: bool = True
    """Whether as many agents are run without the evidence, whose scores say what it was worth; true
    by default."""
    temperature: NonNegativeFloat = 0.7
    """The temperature at which it writes; 0.7 by default, and 0 is greedy decoding."""
    max_new_tokens: PositiveInt = 1024
    """How many tokens one of its answers has at most, where it is cut off; 1024 by default."""
    seed: NonNegativeInt = 0
    """The seed by which its answers are drawn; 0 by default. Another seed gives other answers above
    temperature 0."""

    @property
    def called(self) -> str:
        """What requests call its engine."""
        return _called(self.model, self.engine)


class DiffSettings(Settings):
    """How two models are compared, and who says what of the evidence is relevant."""

    method: Literal["logit_diff", "adl", "patchscope", "kl"] = "logit_diff"
    """What speaks for a difference. logit_diff, the default: tokens that are among the largest
    differences of logits most often. adl: tokens that the mean difference of activations says
    through the final norm and head. patchscope: tokens that it says in place of a token of a
    prompt. kl: tokens that add most to the divergence of the predictions."""
    tuned: ModelReference | None = None
    """The model that is compared with `model`, where it is another checkpoint. When left out, the
    model under the intervention is compared with the model without."""
    organism: ModelReference | None = None
    """The organism whose facts say what is relevant: one that ships (titrate list organisms), or a
    file (./x.yaml). None when left out."""
    relevant: list[Annotated[str, Field(min_length=1)]] = []
    """Words, in lower case, that have to do with what the model was tuned on, beside those of the
    organism's facts. None by default; without any of the two nothing is judged."""
    judges: list[JudgeSettings] = []
    """Models that judge which tokens are relevant. By default none: a token is relevant if it is a
    word of a fact."""
    agreement: Literal["all", "majority"] = "all"
    """How several judges and rotations become one label. all, the default: relevant if all say so.
    majority: what most of those say that know."""
    samples: PositiveInt | None = None
    """How many texts of the task are read, drawn by the seed; all of them when left out, and where
    there are fewer."""
    positions: PositiveInt = 30
    """How many tokens of each text are read, from its beginning; 30 by default. Shorter texts are
    dropped."""
    depth: PositiveInt = 100
    """How many of the largest differences of a position logit_diff counts; 100 by default."""
    ordering: Literal["top_k_occurring", "fraction_positive_diff", "nmf"] = "top_k_occurring"
    """The number by which logit_diff orders tokens is this. top_k_occurring, the default: how often
    they are counted. fraction_positive_diff: at which share of positions they gain. nmf: three
    topics."""
    logits: Literal["logits", "logit_lens", "patchscope_lens"] = "logits"
    """Whose logits logit_diff compares. logits, the default: the models' own. logit_lens: what a
    layer says through the final norm and head. patchscope_lens: what it says in place of a token
    of a prompt."""
    steered: SteeredSettings | None = None
    """Texts that are written under steering by the difference. None when left out."""
    agent: AgentSettings | None = None
    """An agent that investigates with the evidence. None when left out."""
    mode: Literal["full", "diffing", "plotting"] = "full"
    """How much is done. full, the default: all; diffing: all but agents; plotting: nothing is read
    or asked, and only what is stored is shown."""
    layer: Annotated[float, Field(ge=0, le=1)] | Literal["legible"] = 0.5
    """Which layer hidden states are read of, as a share of the model's depth: 0.5, the default, is
    the middle one. legible: the first whose lens says the untuned model's own next token at half of
    the positions, which is found without the tuned one."""
    listed: PositiveInt = 100
    """How many tokens of each list are kept; 100 by default."""
    candidates: PositiveInt = 20
    """How many tokens of each list are judged; 20 by default."""
    read_positions: PositiveInt = 5
    """So many positions, from the first on, are those at which adl and patchscope read the mean
    difference; 5 by default."""
    scales: Literal["excess", "judged"] = "excess"
    """Patchscope chooses the scale at which it listens by this. excess, the default: where the
    difference says most that a random vector does not. judged: the first of `judges` chooses the
    list whose tokens belong together, and says which these are."""
    skipped: NonNegativeInt = 5
    """The first positions that are left out of the typical norm of hidden states by which adl and
    patchscope scale, as they are outliers; 5 by default."""

    @model_validator(mode="after")
    def _has_its_judge(self) -> Self:
        if self.scales == "judged" and not self.judges:
            raise ValueError("scales: judged asks the first of judges, and there is none; give one")
        return self


def diff_of(experiment: Experiment) -> DiffSettings:
    """What an experiment's `diff:` says."""
    found: DiffSettings = experiment.section_of("diff")
    return found


def judges_tokens(settings: DiffSettings) -> bool:
    """Whether it is known what is relevant."""
    return settings.organism is not None or bool(settings.relevant)


def organism_of(settings: DiffSettings) -> Organism | None:
    """The organism whose facts are relevant, if one is named. Raises FieldError for no such one."""
    if settings.organism is None:
        return None
    try:
        return load_organism(settings.organism)
    except ModelError as error:
        raise FieldError("diff.organism", str(error)) from error


def _check(experiment: Experiment) -> None:
    """Refuse an organism that is not there, once and before anything is read."""
    organism_of(diff_of(experiment))


def _measured(experiment: Experiment) -> Collection[str]:
    """What a case counts: relevance where it is known what is relevant, agreement of several."""
    settings = diff_of(experiment)
    if not judges_tokens(settings):
        return {"found", "strength"} if settings.steered else {"found"}
    names = {"strength", "steered_relevance", "unsteered_relevance"} if settings.steered else set()
    if settings.agent is not None and settings.mode != "diffing":
        names |= {"agent_score", "agent_tokens"}
        names |= {"blackbox_score"} if settings.agent.blackbox else set()
    names |= {"relevance", "weighted_relevance", "trivial", "chance", "found"}
    if settings.judges:
        names |= {"agreed_relevance", "unknown", "judge_tokens"}
    if sum(judge.rotations for judge in settings.judges) > 1:
        names |= {"alpha"}
    return names


def _engines(experiment: Experiment) -> Mapping[str, Any]:
    """The other model, and the judges."""
    from harness.metrics.entry import Opening  # above the room of specs

    settings = diff_of(experiment)
    asked = settings.mode != "plotting"
    found = {
        judge.called: Opening(judge.model, judge.engine, f"diff.judges[{at}]" if asked else "")
        for at, judge in enumerate(settings.judges)
    }
    agent = settings.agent
    if agent is not None and settings.mode != "diffing":
        found[agent.called] = Opening(agent.model, agent.engine, "diff.agent" if asked else "")
    if settings.tuned is not None:
        found[settings.tuned] = Opening(settings.tuned)
    return found


def _needs(experiment: Experiment) -> None:
    """Refuse what is not read of an engine; nothing has to be told to one that reads it."""
    settings = diff_of(experiment)
    engine = engine_named(experiment.engine.name)
    reads = settings.method in ("logit_diff", "kl") or settings.layer == "legible"
    if reads and "logits" not in engine.captures:
        what = "layer: legible" if settings.layer == "legible" else f"method: {settings.method}"
        raise FieldError(
            "engine.name",
            f"{engine.name} does not bring back logits, which diff.{what} reads; use transformers",
        )


def _only_stored(experiment: Experiment) -> str | None:
    """Plotting has nothing loaded and nobody asked."""
    return "diff.mode" if diff_of(experiment).mode == "plotting" else None


def _readings(experiment: Experiment) -> int:
    """Two of each text, and none where nothing is done to the one model."""
    return 2 if experiment.intervention is not None or diff_of(experiment).tuned else 0


MEASURE = Measure(
    "diff",
    "readings of two models",
    "what a change has put into a model, and what speaks for it",
    run="harness.runs.diffing:measured_case",
    metrics="harness.metrics.diff:METRICS",
    yields=_measured,
    engines=_engines,
    only_stored=_only_stored,
    check=_check,
    needs=_needs,
    readings=_readings,
    recounted="harness.runs.diffing_again:recounted",
    overview="harness.report.page.evidence:overview",
    section=DiffSettings,
    swept=True,
    units="seeds",
)
