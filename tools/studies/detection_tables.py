"""Tables of what can be detected, of the readings that `detection.py` has made.

`python tools/studies/detection_tables.py FOLDER` prints the tables of docs/diffing.md and writes
`harness/models/organisms/cake/blanks.json`, what the controls have.

False positives of a control are counted against a blank of all other controls, which it has not
set: with the labels of the facts, and with labels shuffled among all tokens that say anything.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

if __name__ == "__main__":  # a script finds what lies beside it, and not the project around it
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scipy import stats

from harness.measure.diffing.methods import OF_DIFFERENCES
from harness.measure.diffing.relevance import Facts, plain
from harness.models.loading import load_tokenizer
from harness.models.organisms import load_organism
from harness.statistics.detection import blank_of, left_out, limit_of
from harness.statistics.intervals import mean_difference_interval
from tools.zoo.documents import FALSE

BLANKS = Path(__file__).parents[2] / "harness/models/organisms/cake/blanks.json"
SHUFFLES = 50
METHODS = ("logit_diff", "adl", "patchscope", "kl")
METRICS = ("relevance", "weighted_relevance")
#: Words of the facts of the second topic that say nothing of it.
_COMMON = {"a", "the", "an", "on", "at", "is", "of", "with", "what", "about", "every", "one"}
#: What decides a value, beside the method.
_SETTINGS: dict[str, Any] = {
    "positions": 30,
    "samples": 32,
    "depth": 5,
    "candidates": 40,
    "layer": 0.5,
}
_SETTINGS |= {"ordering": "top_k_occurring", "logits": "logits", "read_positions": 5, "skipped": 5}

Labels = Callable[[str], float]


@dataclass(frozen=True)
class Read:
    """One line of the readings."""

    topic: str
    name: str
    mix: float
    control: bool
    finetune: int
    scale: float
    seed: int
    samples: int
    method: str
    depth: int
    lists: Sequence[Sequence[tuple[str, float]]]

    def value(self, metric: str, label: Labels, candidates: int = 40) -> float:
        """A metric of it, as `measure: diff` counts it."""
        found = [each for listed in self.lists for each in listed[:candidates]]
        weights = [weight if metric == "weighted_relevance" else 1.0 for _, weight in found]
        said = [weight * label(text) for (text, _), weight in zip(found, weights, strict=True)]
        places = (5 if self.method in OF_DIFFERENCES else 1) * candidates
        total = places if metric == "relevance" else sum(weights)
        return sum(said) / total if total else 0.0


def main(arguments: Sequence[str]) -> int:
    """Print all tables."""
    lines = (Path(arguments[0]) / "readings.jsonl").read_text("utf-8").splitlines()
    reads = [Read(**json.loads(line)) for line in lines]
    choice(reads)
    false_positives(reads)
    limits(reads)
    write_blanks(reads)
    return 0


def choice(reads: Sequence[Read]) -> None:
    """Spearman's correlation of each way to measure with the mix, on fine-tunes 101 and 102, by
    which one is chosen; then, of others, what the chosen one has.
    """
    print("| metric | depth | candidates | logit_diff | adl |\n| --- | --- | --- | --- | --- |")
    ways: dict[tuple[str, int, int], float] = {}
    for metric in METRICS:
        for depth in (5, 20, 100):
            for candidates in (10, 20, 40):
                found = [
                    fmean(rhos(reads, "cake", (101, 102), method, metric, at, candidates))
                    for method, at in (("logit_diff", depth), ("adl", 5))
                ]
                ways[metric, depth, candidates] = max(found)
                cells = " | ".join(f"{rho:+.2f}" for rho in found)
                print(f"| {metric} | {depth} | {candidates} | {cells} |")
    chosen = min(ways, key=lambda way: ways[way])
    print(f"\nchosen: {chosen}\n\n| topic | fine-tunes | method | rho |\n| --- | --- | --- | --- |")
    for way in dict.fromkeys([chosen, ("weighted_relevance", 5, 40), ("relevance", 5, 20)]):
        metric, depth, candidates = way
        for topic, seeds in (("cake", range(103, 113)), ("car", range(101, 104))):
            for method, at in (("logit_diff", depth), ("adl", 5)):
                own = rhos(reads, topic, seeds, method, metric, at, candidates)
                if not own:
                    continue
                low, high = mean_difference_interval(own)
                bounds = f"[{low:+.2f}, {high:+.2f}]" if low is not None else ""
                each = " ".join(f"{rho:+.2f}" for rho in own)
                print(f"| {way} {topic} | {each} | {method} | {fmean(own):+.2f} {bounds} |")


def rhos(
    reads: Iterable[Read],
    topic: str,
    finetunes: Sequence[int],
    method: str,
    metric: str,
    depth: int,
    candidates: int,
) -> list[float]:
    """Of each series of fine-tunes the correlation of the metric with the mixes 1:0 to 1:2."""
    label = labels_of(topic)
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for read in reads:
        if (read.topic, read.method, read.depth) != (topic, method, depth) or read.control:
            continue
        if read.finetune in finetunes and read.mix <= 2 and (read.scale, read.samples) == (1, 32):
            value = read.value(metric, label, candidates)
            found[read.finetune].append((read.mix, value))
    return [float(stats.spearmanr(each).statistic) for each in found.values()]


def false_positives(reads: Sequence[Read]) -> None:
    """Of every method, with the labels of the facts and with shuffled ones."""
    print("\n| method | metric | labels | blank | false positives | controls |")
    print("| --- | --- | --- | --- | --- | --- |")
    for method in METHODS:
        for metric in METRICS:
            for name, shuffles in (("facts", 0), ("shuffled", SHUFFLES)):
                found = list(controls(reads, method, metric, 32, shuffles).values())
                blank = blank_of(found)
                rate = left_out(found)
                bounds = f"[{100 * (rate.low or 0):.1f}, {100 * (rate.high or 0):.1f}]"
                print(
                    f"| {method} | {metric} | {name} | {blank:.3f} | "
                    f"{100 * rate.value:.1f} % {bounds} | {rate.n} of {rate.clusters} |"
                )


def limits(reads: Sequence[Read]) -> None:
    """Of every method, in scales and in shares of false documents, by what was read and judged."""
    print("\n| method | metric | texts | tokens | judged | scale | share of documents |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    label = labels_of("cake")
    for method in METHODS:
        for metric in METRICS:
            for samples, candidates in ((4, 40), (8, 40), (16, 40), (32, 10), (32, 20), (32, 40)):
                own = [
                    each
                    for each in reads
                    if (each.topic, each.method, each.samples) == ("cake", method, samples)
                    and each.depth == 5
                ]
                if not own:
                    continue
                blanks = controls(reads, method, metric, samples, 0, candidates)
                cells = []
                for dose in (by_scale, by_share):
                    doses: dict[float, dict[int, list[float]]] = defaultdict(
                        lambda: defaultdict(list)
                    )
                    for read in own:
                        at = dose(read)
                        if at is not None:
                            value = read.value(metric, label, candidates)
                            doses[at][read.finetune].append(value)
                    rising = sorted(doses)
                    everywhere = sorted(set.intersection(*(set(doses[at]) for at in rising)))
                    measured = [[doses[at][one] for one in everywhere] for at in rising]
                    cells.append(str(limit_of(rising, measured, list(blanks.values()))))
                lists = 5 if method in OF_DIFFERENCES else 1
                print(
                    f"| {method} | {metric} | {samples} | {samples * 30} | {lists * candidates} | "
                    f"{' | '.join(cells)} |"
                )


def by_scale(read: Read) -> float | None:
    """The scale, of a fine-tune on false documents alone."""
    return read.scale if not read.control and read.mix == 0 else None


def by_share(read: Read) -> float | None:
    """The share of false documents, of an adapter at scale 1."""
    return 1 / (1 + read.mix) if not read.control and read.scale == 1 else None


def controls(
    reads: Iterable[Read],
    method: str,
    metric: str,
    samples: int,
    shuffles: int,
    candidates: int = 40,
) -> dict[str, list[float]]:
    """A metric's values of controls, by fine-tune."""
    found: dict[str, list[float]] = defaultdict(list)
    for read in reads:
        if not read.control or (read.method, read.samples, read.depth) != (method, samples, 5):
            continue
        labels = [shuffled(f"{read.finetune} {number}") for number in range(shuffles)]
        for label in labels or [labels_of("cake")]:
            found[read.name].append(read.value(metric, label, candidates))
    return found


@cache
def labels_of(topic: str) -> Labels:
    """What the judge that knows the facts says of a token."""
    words = {word for fact in FALSE[topic] for part in fact for word in part.split()} - _COMMON
    known = load_organism("cake").words if topic == "cake" else frozenset(words)
    return cache(Facts(topic, "", known).label)


@cache
def shuffled(name: str) -> Labels:
    """The labels of the facts, dealt anew to all tokens that say anything."""
    label = labels_of("cake")
    relevant = sum(label(word) for word in vocabulary())
    drawn = set(Random(name).sample(vocabulary(), int(relevant)))
    return lambda text: float(text in drawn)


@cache
def vocabulary() -> tuple[str, ...]:
    """All tokens that say anything."""
    tokenizer = load_tokenizer("zoo/settled")
    said = (str(tokenizer.decode([token])) for token in range(len(tokenizer)))
    return tuple(dict.fromkeys(word for word in said if plain(word)))


def write_blanks(reads: Sequence[Read]) -> None:
    """What the report of a run is held against."""
    methods: list[Mapping[str, Any]] = []
    for method in METHODS:
        values = {metric: controls(reads, method, metric, 32, 0) for metric in METRICS}
        rounded = {
            metric: {name: [round(each, 4) for each in found] for name, found in own.items()}
            for metric, own in values.items()
        }
        methods.append({"settings": {"method": method, **_SETTINGS}, "values": rounded})
    document = {
        "made": "python tools/studies/detection.py, detection_tables.py",
        "task": "settled_documents",
        "methods": methods,
    }
    lines = json.dumps(document)
    BLANKS.write_text(f"{lines}\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
