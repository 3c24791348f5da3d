"""Whether the recorded texts are those of the recorded tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.bundle.archive import Manifest
from harness.bundle.differences import Difference, shown
from harness.errors import TitrateError
from harness.resolve.tasks import task_of
from harness.store.results import CaseResult


def against_tokens(results: Sequence[CaseResult], manifest: Manifest) -> Iterator[Difference]:
    """Yield every text that its tokens do not decode to, and tokens without a log-probability.

    A text ends in front of a token that ends sequences, or of a stop string of its task.
    """
    from transformers import AutoTokenizer

    loaded: dict[str, Any] = {}
    for result in results:
        known = manifest.tokenizers.get(result.case.experiment.model)
        if known is None or not result.draws:
            continue
        if known.folder not in loaded:
            if not Path(known.folder).is_dir():
                yield Difference(known.folder, "tokenizer", "listed", "it is missing")
                continue
            loaded[known.folder] = AutoTokenizer.from_pretrained(known.folder)
        yield from _case(result, loaded[known.folder], frozenset(known.end_tokens))


def _case(result: CaseResult, tokenizer: Any, ends: frozenset[int]) -> Iterator[Difference]:
    stops = _stops(result)
    for draw in result.draws:
        completion = draw.completion
        where = f"{result.case.id}, {draw.sample}, draw {draw.draw}"
        if completion.answer is not None:
            continue  # a server's: its tokens are the server's own
        tokens = list(completion.tokens)
        if tokens and tokens[-1] in ends:
            tokens = tokens[:-1]
        whole = str(tokenizer.decode(tokens))
        cut = min((at for stop in stops if (at := whole.find(stop)) >= 0), default=len(whole))
        if completion.text not in (whole[:cut], whole):
            yield Difference(
                where, "text of its tokens", shown(completion.text), shown(whole[:cut])
            )
        given = len(completion.log_probabilities)
        if given and given != len(completion.tokens):
            yield Difference(
                where, "log-probabilities", str(given), f"{len(completion.tokens)} tokens"
            )
        if any(value > 0 for value in completion.log_probabilities):
            yield Difference(where, "log-probabilities", "one above 0", "none can be")


def _stops(result: CaseResult) -> Sequence[str]:
    experiment = result.case.experiment
    try:
        task = task_of(experiment.task, experiment.prompt)
    except TitrateError:
        return ()
    return task.stop_strings(experiment.prompt.style)
