"""lm-eval's instances as requests and scorings in tokens, as its HF backend makes them.

- A log-likelihood: blanks at the context's end belong to the continuation; both are encoded as one
  and divided behind the context's tokens; nothing in front is the prefix token. What does not fit
  the model is cut off on the left, so that a last token is predicted at most one behind its end.
- A whole text: in disjoint windows, the first behind the prefix token.
- A generation: the context is cut on the left to what leaves room for its answer; stops are `until`
  and the end token, and the text is cut at each of them in turn.

Continuations of one context share it. One thing is not as there: whether a text gets a first token
is decided for each text, where the HF backend decides it for a batch by the batch's first.

Source: lm_eval 0.4.13, api/model.py and models/huggingface.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.engines.contract import Completion, Reply, Request, Scored, Scoring, Stop
from harness.errors import FieldError, RegistryError, TaskError
from harness.metrics.column import logged
from harness.sampling import registered, rules
from harness.sampling.chosen import SamplingRules
from harness.spec import Case

#: Settings of it that change nothing at these values.
_IDLE = {"num_beams": 1, "num_return_sequences": 1, "repetition_penalty": 1.0, "use_cache": True}
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
#: Tokens of an answer where nothing says how many.
_MAX_GEN_TOKS = 256


@dataclass(frozen=True)
class Tokenization:
    """How a model's texts become tokens.

    Args:
        tokenizer: The model's.
        longest: Tokens that it reads at most.
    """

    tokenizer: Any
    longest: int

    @property
    def prefix(self) -> int:
        """The token behind which a text begins: the first one, or else the last one."""
        token = self.tokenizer.bos_token_id
        return int(self.tokenizer.eos_token_id if token is None else token)

    def encoded(self, text: str) -> list[int]:
        """A text, with what the tokenizer puts around it unless it begins so already."""
        if text.startswith(self.tokenizer.decode(self.prefix)):
            return list(self.tokenizer.encode(text, add_special_tokens=False))
        return list(self.tokenizer.encode(text))

    def prompt(self, text: str, room: int) -> tuple[int, ...]:
        """A context that is continued, of at most `room` tokens."""
        first = self.tokenizer.bos_token
        special = first is None or not text.startswith(first)
        tokens = self.tokenizer(text, **({} if special else {"add_special_tokens": False}))
        return tuple(tokens["input_ids"][-room:])

    def pair(self, context: str, continuation: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """A context and its continuation, cut to what the model can read."""
        if not context:
            behind = list(self.tokenizer.encode(continuation, add_special_tokens=False))
            ahead = [self.prefix]
            if behind[:1] == ahead:
                behind = behind[1:]
        else:
            kept = context.rstrip()
            continuation = context[len(kept) :] + continuation
            whole, ahead = self.encoded(kept + continuation), self.encoded(kept)
            behind = whole[len(ahead) :]
        if not behind:
            raise TaskError(f"no token is left of {continuation[:40]!r} behind its context")
        if len(behind) > self.longest:
            raise TaskError(
                f"{continuation[:40]!r} has {len(behind)} tokens; the model reads {self.longest}"
            )
        room = self.longest + 1 - len(behind)
        return tuple(ahead[-room:]), tuple(behind)

    def windows(self, text: str) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """A text as contexts with disjoint continuations, none longer than the model reads."""
        from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

        windows = get_rolling_token_windows(
            token_list=self.encoded(text),
            prefix_token=self.prefix,
            max_seq_len=self.longest,
            context_len=1,
        )
        return [
            (tuple(context), tuple(behind))
            for context, behind in map(make_disjoint_window, windows)
        ]


@dataclass
class DocumentRequests:
    """What a document asks: `asked` in order, and which of the replies answer which instance."""

    texts: Tokenization
    asked: list[Request | Scoring] = field(default_factory=list)
    _contexts: dict[tuple[int, ...], dict[tuple[int, ...], int]] = field(default_factory=dict)
    _parts: list[Any] = field(default_factory=list)

    def add(self, instance: Any, case: Case, sample: str) -> None:
        """Take in one of the document's instances. Raises TaskError where it cannot be asked."""
        kind = instance.request_type
        if kind == "generate_until":
            self._generate(instance, case, sample)
        elif kind == "loglikelihood":
            context, continuation = instance.args[:2]
            pairs = [self.texts.pair(context, continuation)]
            self._parts.append((False, self._scored(pairs), instance.repeats))
        elif kind == "loglikelihood_rolling":
            pairs = self.texts.windows(instance.args[0])
            self._parts.append((True, self._scored(pairs), instance.repeats))
        else:
            raise TaskError(f"asks for {kind}, which is not known here")

    def close(self) -> None:
        """Make a scoring of every context, behind the generations."""
        at = {context: len(self.asked) + i for i, context in enumerate(self._contexts)}
        for context, continuations in self._contexts.items():
            self.asked.append(Scoring(context, tuple(continuations)))
        self._parts = [
            part
            if isinstance(part[0], list)
            else (part[0], [(at[c], self._contexts[c][b]) for c, b in part[1]], part[2])
            for part in self._parts
        ]

    def answers(self, replies: Sequence[Reply]) -> list[list[Any]]:
        """By instance the answer of each repeat: a text, `[log-likelihood, greedy]`, or, of a whole
        text, the log-likelihood.
        """
        found: list[list[Any]] = []
        for first, second, *rest in self._parts:
            if isinstance(first, list):
                found.append([self._text(replies[at], second) for at in first])
                continue
            total, greedy = 0.0, True
            for at, index in second:
                scored = replies[at]
                assert isinstance(scored, Scored)
                total += sum(scored.log_probabilities[index])
                greedy = greedy and all(scored.greedy[index])
            found.append([total if first else [total, greedy]] * rest[0])
        return found

    def _text(self, reply: Reply, until: Sequence[str]) -> str:
        assert isinstance(reply, Completion)
        text = str(self.texts.tokenizer.decode(reply.tokens, skip_special_tokens=True))
        for stop in until:
            text = text.split(stop)[0]
        return text

    def _scored(
        self, pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
    ) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        for context, behind in pairs:
            own = self._contexts.setdefault(context, {})
            own.setdefault(behind, len(own))
        return list(pairs)

    def _generate(self, instance: Any, case: Case, sample: str) -> None:
        context, kwargs = instance.args[:2]
        until, length, sampling = generation(kwargs, case)
        room = self.texts.longest - length
        if room <= 0:
            raise FieldError(
                "sampling.max_new_tokens",
                f"{length} new tokens leave nothing of the model's {self.texts.longest} to a "
                f"prompt; use {self.texts.longest - 1} at most",
            )
        prompt = self.texts.prompt(context, room)
        end = self.texts.tokenizer.decode(self.texts.tokenizer.eos_token_id)
        stops = [each for each in dict.fromkeys([*until, end]) if each]
        draws = case.experiment.sampling.draws
        count = draws if _said(case, "draws") else instance.repeats
        places = []
        for number in range(count):
            places.append(len(self.asked))
            self.asked.append(
                Request(
                    prompt=prompt,
                    max_new_tokens=length,
                    sampling=sampling,
                    stop=Stop(strings=tuple(each for each in stops if each != end)),
                    seed=case.experiment.seed if sampling.random else 0,
                    sample=sample,
                    draw=number if sampling.random else 0,
                    logged=logged(case.experiment.columns),
                )
            )
        self._parts.append((places, stops))


def generation(kwargs: Mapping[str, Any], case: Case) -> tuple[list[str], int, SamplingRules]:
    """Stops, tokens at most and rules of a document: its task's `generation_kwargs`, in whose place
    what the spec says of `sampling` stands.

    Raises:
        TaskError: a setting that means nothing here, and that may change what is generated.
    """
    left = dict(kwargs)
    until = left.pop("until", None) or []
    until = [until] if isinstance(until, str) else list(until)
    lengths = [each for each in (left.pop(name, None) for name in _LENGTHS) if each is not None]
    length = int(lengths[0]) if lengths else _MAX_GEN_TOKS
    do_sample, temperature = left.pop("do_sample", None), float(left.pop("temperature", 0.0) or 0)
    values: dict[str, Any] = {}
    if do_sample is None:
        values["temperature"] = temperature
    elif do_sample:
        values["temperature"] = temperature or 1.0
    ours = {rule.in_transformers: rule.name for rule in registered()}
    for name, value in left.items():
        if _IDLE.get(name, _Nothing) == value or value is None:
            continue
        try:
            rules.get(ours.get(name, name))
        except RegistryError as error:
            raise TaskError(
                f"generation_kwargs: {name}: {value!r} has no meaning here, and may change what is "
                "generated; leave it out of the task"
            ) from error
        values[ours.get(name, name)] = value
    sampling = case.experiment.sampling
    if _said(case, "max_new_tokens"):
        length = sampling.max_new_tokens
    said = {name: value for name, value in sampling.rules.items() if _said(case, name)}
    made = SamplingRules(tried=case.tried, **{**values, **said})
    return until, length, made


class _Nothing:
    """Equal to no setting."""


def _said(case: Case, name: str) -> bool:
    """Whether a spec says something of `sampling`: by an axis, or by another value than what is so
    where nothing is said.
    """
    default = type(case.experiment.sampling)()
    value = getattr(case.experiment.sampling, name)
    return value != getattr(default, name) or f"sampling.{name}" in case.params


def template_of(tokenizer: Any) -> Any:
    """What renders a chat, as lm-eval's HF backend does: a template that takes no system message
    gets the conversation without it.
    """
    import jinja2

    def rendered(
        messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True
    ) -> str:
        def applied(said: Sequence[Mapping[str, Any]]) -> str:
            return str(
                tokenizer.apply_chat_template(
                    list(said),
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                    continue_final_message=not add_generation_prompt,
                )
            )

        try:
            return applied(messages)
        except jinja2.exceptions.TemplateError:
            return applied([each for each in messages if each["role"] != "system"])

    return rendered


def name_of_template(tokenizer: Any) -> str:
    """What tells a template from others."""
    return hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()
