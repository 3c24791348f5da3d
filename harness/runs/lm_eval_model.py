"""A model for lm-eval's own command line: one case of a spec, with its intervention, on its engine.

    titrate lm-eval run --model titrate --model_args spec=specs/steering/caa_alpha.yaml,case=... \
        --tasks hellaswag

What lm-eval asks is asked, stored and resumed as in a run of ours: under the engine's fingerprint
and the whole content of a request, intervention, sampling and seed included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from harness.engines import open_engine
from harness.engines.company import Company
from harness.engines.contract import Asked, Reply
from harness.engines.declared import Declared
from harness.errors import FieldError, TitrateError
from harness.measure.lm_eval_documents import longest
from harness.measure.lm_eval_requests import DocumentRequests, Tokenization, template_of
from harness.resolve.needs import needs_of
from harness.resolve.progress import Counts, Silent
from harness.resolve.resolver import Resolver, check_guided
from harness.runs.asking import Asking
from harness.runs.deferred import DeferredEngine
from harness.runs.watching import StreamWatch
from harness.spec import Case, expand, load
from harness.spec.experiment import EngineSettings
from harness.spec.suggestion import suggestion
from harness.store.completions import CompletionStore
from harness.store.places import store_below
from harness.tasks.lm_eval import code_eval

#: What `--model` calls it.
NAME = "titrate"


def case_of(
    spec: str | None = None, case: str | None = None, seed: Any = None, **overrides: Any
) -> Case:
    """The case that arguments of the model name; those that are none of a spec's are passed by.

    Raises:
        TitrateError: no spec, or a case that the spec does not have.
        SpecError: a spec that cannot be read, or an argument that is no field of it.
    """
    if spec is None:
        raise TitrateError("--model_args has no spec; write spec=FILE.yaml,case=ID")
    fields = {name: str(value) for name, value in overrides.items() if name not in _LM_EVALS}
    if seed is not None:
        fields["seed"] = str(seed)
    return _chosen(expand(*load(spec, fields)), case)


#: Arguments that are ours, or that lm-eval adds and which are the engine's own affair.
_LM_EVALS = frozenset({"store", "batch_size", "max_batch_size", "device"})


@register_model(NAME)
class TitrateLM(LM):
    """One case of a spec as lm-eval's model.

    Args:
        spec: The spec file.
        case: The id of one of its cases; may be left out where it has one alone.
        store: Where completions are kept; `.titrate/store` by default.
        seed: In the place of the spec's.
        overrides: Fields of the spec with other values.

    Raises:
        TitrateError: no spec, or a case that the spec does not have.
        SpecError: a spec that cannot be read, or an argument that is no field of it.
    """

    def __init__(
        self,
        spec: str | None = None,
        case: str | None = None,
        store: str | None = None,
        seed: int | None = None,
        **overrides: Any,
    ) -> None:
        super().__init__()
        self.case = case_of(spec, case, seed, **overrides)
        self._store = CompletionStore(store or store_below(Path.cwd()))
        experiment = self.case.experiment
        self.engine = self._deferred(experiment.model, experiment.engine, needs_of([experiment]))
        settings = experiment.intervention
        self._others = {
            name: self._deferred(model, own or experiment.engine)
            for name, (model, own) in ({} if settings is None else settings.engines()).items()
        }
        # Under guidance a task may yet turn out to ask what cannot be asked: nothing is loaded
        # before its requests are here.
        if not self.engine.known and not self._others:
            self.engine.load()
        counts = Counts()
        watch = StreamWatch(counts, Silent(), experiment.sampling.max_new_tokens, 1)
        self.asking = Asking(Company(self.engine, self._others), self._store, watch)

    def _deferred(
        self, model: str, settings: EngineSettings, needs: Declared | None = None
    ) -> DeferredEngine:
        return DeferredEngine(
            model, settings, lambda: open_engine(model, settings, needs), self._store
        )

    @cached_property
    def intervention(self) -> Any:
        """What is done to the model, measured where it must be."""
        resolver = Resolver(self.engine, Silent(), self._store, self._others)
        return resolver.resolve(self.case.experiment)

    @property
    def tokenizer(self) -> Any:
        """The model's own."""
        return self.engine.tokenizer

    @property
    def tokenizer_name(self) -> str:
        """What tells its chat template from others."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def max_length(self) -> int:
        """Tokens that the model reads at most."""
        return longest(self.case.experiment.model, self.tokenizer)

    def apply_chat_template(
        self,
        chat_history: list[dict[str, str]],
        add_generation_prompt: bool = True,  # noqa: FBT001, FBT002
    ) -> str:
        """A conversation as text."""
        rendered = template_of(self.tokenizer)
        return str(rendered(chat_history, add_generation_prompt=add_generation_prompt))

    def chat_template(self, chat_template: bool | str = False) -> str | None:  # noqa: FBT001, FBT002
        """The template as it stands in results."""
        return str(self.tokenizer.chat_template) if chat_template else None

    def get_model_info(self) -> dict[str, Any]:
        """What stands in the results' config: what decides these numbers."""
        experiment = self.case.experiment
        done = self.intervention
        level = code_eval.isolation()  # asked for when all is scored
        ours = (
            f"ran in titrate's sandbox ({level}), whose limits are not lm-eval's: a number of ours"
        )
        return {
            "titrate": {
                "case": self.case.id,
                "model": experiment.model,
                "engine": experiment.engine.name,
                "engine_fingerprint": self.engine.fingerprint,
                "determinism": dict(self.engine.determinism),
                "intervention": None if done is None else done.described(),
                "intervention_fingerprint": None if done is None else done.fingerprint(),
                "seed": experiment.seed,
                **({} if level is None else {"code": ours}),
            }
        }

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[Any]:  # noqa: FBT001, FBT002
        """`(log-likelihood, greedy)` of each."""
        del disable_tqdm
        return [tuple(each) for each in self._answered(requests)]

    def loglikelihood_rolling(
        self,
        requests: Sequence[Any],
        disable_tqdm: bool = False,  # noqa: FBT001, FBT002
    ) -> list[float]:
        """The log-likelihood of each text."""
        del disable_tqdm
        return [float(each) for each in self._answered(requests)]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:  # noqa: FBT001, FBT002
        """The text of each."""
        del disable_tqdm
        return [str(each) for each in self._answered(requests)]

    def _answered(self, requests: Sequence[Any]) -> list[Any]:
        """The answers in order. Repeats are the same instance several times over: the n-th of them
        is the n-th draw.

        Raises:
            TitrateError: a log-likelihood under guidance, or what an engine refuses.
        """
        kinds = dict.fromkeys(each.request_type for each in requests)
        scored = next((each for each in kinds if each != "generate_until"), None)
        try:
            check_guided(self.case.experiment, scored, by_task=True)
        except FieldError as error:
            raise self.case.source.locate(error) from error
        texts = Tokenization(self.tokenizer, self.max_length)
        documents: dict[tuple[str, int], dict[int, Any]] = {}
        for each in requests:
            documents.setdefault((each.task_name, each.doc_id), {})[id(each)] = each
        asked: dict[tuple[str, int], DocumentRequests] = {}
        wanted: dict[Asked, None] = {}
        for key, instances in documents.items():
            own = asked[key] = DocumentRequests(texts)
            for instance in instances.values():
                own.add(instance, self.case, f"{key[0]}/{key[1]}")
            own.close()
            wanted |= dict.fromkeys(self._done(own))
        replies = self._run(list(wanted))
        answers: dict[int, Iterator[Any]] = {}
        for key, instances in documents.items():
            came = asked[key].answers([replies[each] for each in self._done(asked[key])])
            answers |= {one: iter(said) for one, said in zip(instances, came, strict=True)}
        return [next(answers[id(each)]) for each in requests]

    def _done(self, asked: DocumentRequests) -> list[Asked]:
        return [replace(each, intervention=self.intervention) for each in asked.asked]

    def _run(self, asked: Sequence[Asked]) -> Mapping[Asked, Reply]:
        replies: dict[Asked, Reply] = {}
        engines = [self.engine, *self._others.values()]
        if not all(each.known for each in engines) or self.asking.missing(asked):
            for each in engines:  # all weights, before a cache takes its share of what is free
                each.load()
        for done in self.asking.run(asked):
            if done.reply.error is not None:
                raise TitrateError(f"{self.case.id}: {done.reply.error}")
            replies[done.asked] = done.reply
        return replies


def _chosen(cases: Sequence[Case], wanted: str | None) -> Case:
    known = {case.id: case for case in cases}
    known |= {each.id: each for case in cases if (each := case.baseline) is not None}
    if wanted is None and len(cases) == 1:
        return cases[0]
    if wanted not in known:
        names = ", ".join(list(known)[:6])
        meant = suggestion(wanted or "", known)
        raise TitrateError(f"--model_args case={wanted}: is no case;{meant} the spec has {names}")
    return known[wanted]
