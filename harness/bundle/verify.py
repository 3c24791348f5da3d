"""What a bundle's stored tokens come to today, and everything that is stored otherwise.

Nothing of it asks a model, the network, or a file outside of the bundle: texts are decoded, answers
scored, metrics counted, claims judged and tables written anew, and compared with what is stored.
Code answers run in the sandbox, where this machine has one. What tokens a model says is beyond
that; `spot.py` asks it, where it is at hand.
"""

from __future__ import annotations

import json
import platform
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.bundle.archive import BundleManifest, unpack
from harness.bundle.differences import NOTHING, Mismatch, compared, replaced, shown
from harness.bundle.drawn import drawn
from harness.bundle.measured import against_readings, same_file
from harness.bundle.resolved import against_sections
from harness.bundle.samples import against_samples
from harness.bundle.specs import against_specs
from harness.bundle.spot import AskedAgain, asked_again
from harness.bundle.texts import Tokenizers, against_tokens
from harness.bundle.write import DRAWN, PICTURES, REPORT, SAMPLES, WRITTEN_ONCE
from harness.errors import (
    BundleError,
    ModelError,
    SandboxError,
    SpecError,
    StoreError,
    TitrateError,
    one_line,
)
from harness.report.load import RECORDS
from harness.report.write import write_tables
from harness.runs.conclude import Finished, conclude
from harness.runs.rescore import again_scored, as_before, is_counted, recorded
from harness.store.results import CaseResult, DrawResult
from harness.store.verdicts import Verdicts

_SETTING = re.compile(r"cases\[(\d+)\]\.settings\.(.+)")


@dataclass
class Verified:
    """What was recomputed, what could not be, and what is stored otherwise."""

    run: str
    """The run's id."""
    cases: int = 0
    answers: int = 0
    """Answers that were scored again."""
    differences: list[Mismatch] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What could not be recomputed, and why, a line each."""
    asked: list[AskedAgain] = field(default_factory=list)
    """Requests that the model was asked again."""

    def add(self, each: Mismatch | str) -> None:
        """Add something that does not fit, or a line of what could not be recomputed."""
        if isinstance(each, Mismatch):
            self.differences.append(each)
        else:
            self.left.append(each)


def verify(file: Path, *, unsafe_code: bool = False, spot: int = 0) -> Verified:
    """Recompute a bundle from its tokens, and compare.

    Args:
        file: The bundle.
        unsafe_code: Whether code of it may run without isolation.
        spot: How many requests, drawn by chance, are asked of the model again, which must be at
            hand.

    Raises:
        BundleError: it is no bundle, damaged, of a newer version, or not to be opened.
    """
    with tempfile.TemporaryDirectory(prefix="titrate-") as temporary:
        root = Path(temporary) / "run"
        root.mkdir()
        manifest, there = unpack(file, root)
        outcome = Verified(manifest.run)
        outcome.differences += _files(manifest, there)
        outcome.left += (
            f"not in the bundle: {path}: {why}" for path, why in manifest.absent.items()
        )
        with chdir(root):
            results: Sequence[CaseResult] = ()
            try:
                results = _recompute(
                    manifest, outcome, Path(temporary) / "again", unsafe_code=unsafe_code
                )
            except Exception as error:  # a stranger's records may be anything at all
                outcome.differences.append(
                    Mismatch(REPORT, "a report of these records", "possible", repr(error))
                )
            if spot:
                try:
                    outcome.asked += asked_again(results, spot)
                except TitrateError as error:
                    outcome.left.append(f"not asked again: {error}")
        return outcome


def _files(manifest: BundleManifest, there: Mapping[str, Any]) -> Iterator[Mismatch]:
    """Files that are missing, or are not what the manifest says."""
    for name, entry in manifest.files.items():
        found = there.get(name)
        if found is None:
            yield Mismatch(name, "file", entry.sha256[:12], "it is missing")
        elif found != entry:
            yield Mismatch(name, "SHA-256", entry.sha256[:12], found.sha256[:12])


def _recompute(
    manifest: BundleManifest, outcome: Verified, again: Path, *, unsafe_code: bool
) -> Sequence[CaseResult]:
    """From records to a report, each step held against what is stored; returns the records."""
    missing = [name for name in ("report.json", RECORDS) if not Path(REPORT, name).is_file()]
    if missing:
        each = Mismatch(f"{REPORT}/{missing[0]}", "file", "it is missing", "needed for the rest")
        outcome.differences.append(each)
        return ()
    try:
        info, results, findings, claims = recorded(REPORT, Path.cwd())
    except TitrateError as error:
        outcome.differences.append(
            Mismatch(f"{REPORT}/{RECORDS}", "records", "unusable", str(error))
        )
        return ()
    if info.id != manifest.run:
        outcome.differences.append(Mismatch("manifest.json", "run", manifest.run, info.id))
    outcome.cases = len(results)
    for found in against_specs(results, manifest, info):
        outcome.add(found)
    for found in against_sections(results):
        outcome.add(found)
    for found in against_samples(results, _json(Path(SAMPLES))):
        outcome.add(found)
    tokenizers = Tokenizers(manifest)
    outcome.differences += against_tokens(results, tokenizers)
    outcome.differences += against_readings(
        results,
        Path(REPORT),
        tokenizers.of_experiment,
        outcome.left.append,
        unsafe_code=unsafe_code,
    )
    scored = _scored(results, outcome, tokenizers, unsafe_code=unsafe_code)
    outcome.differences += _details(results, scored, info.versions.get("python", ""), outcome)
    try:
        finished = conclude(info, scored, again, findings, claims, write_tables)
    except TitrateError as error:
        outcome.differences.append(Mismatch(f"{REPORT}/report.json", "report", "there", str(error)))
        return results
    back = {ours: theirs for theirs, ours in manifest.moved.items()}
    document = replaced(finished.report.model_dump(mode="json"), back)
    stored = _json(Path(REPORT) / "report.json")
    # How and where it was run is on record alone; nothing here can tell it anew.
    for each in (stored, document):
        if isinstance(each, dict):
            each.pop("run", None)
    apart = list(compared(stored, document, f"{REPORT}/report.json"))
    later = [each for each in apart if each.stored == NOTHING and _SETTING.match(each.what)]
    if later:
        later = list(_unrecorded(later, results))
    if later:
        outcome.left.append(
            f"not compared: {len(later)} settings that titrate {manifest.titrate} did not store, "
            f"{later[0].what} for one"
        )
    outcome.differences += [each for each in apart if each not in later]
    outcome.differences += compared(
        _json(Path(REPORT) / DRAWN), drawn(finished.report), f"{REPORT}/{DRAWN}"
    )
    outcome.differences += _tables(Path(REPORT), again)
    outcome.differences += _searched(Path(REPORT, WRITTEN_ONCE), finished, results, back, outcome)
    return results


def _unrecorded(settings: Iterable[Mismatch], results: Sequence[CaseResult]) -> Iterator[Mismatch]:
    """Settings that the records do not have either: specs have got them since.

    The records are read with what such a setting is by default, and a spec that says otherwise is
    held against that.
    """
    with Path(REPORT, RECORDS).open("rb") as records:
        lines = (json.loads(line)["record"] for line in records)
        raw = {line["case"]["id"]: line["case"]["experiment"] for line in lines if "case" in line}
    for each in settings:
        number, name = _SETTING.match(each.what).groups()  # type: ignore[union-attr]
        inside = raw[results[int(number)].case.id]
        for part in name.split("."):
            inside = inside.get(part, NOTHING) if isinstance(inside, dict) else NOTHING
        if inside is NOTHING:
            yield each


def _searched(
    folder: Path,
    finished: Finished,
    results: Sequence[CaseResult],
    names: Mapping[str, str],
    outcome: Verified,
) -> Iterator[Mismatch]:
    """What a search says of its trials, against its study."""
    if not folder.is_dir():
        return
    try:
        from harness.search.recounted import recounted
    except ImportError as error:
        outcome.left.append(
            f"not recomputed: the files in {folder}: {error}; pip install 'pytest-titrate[search]'"
        )
        return
    try:
        made, apart = recounted(folder, finished, results)
    except BundleError as error:
        yield Mismatch(str(folder), "files", "those of a search", str(error))
        return
    for each in apart:
        yield Mismatch(str(folder), each.what, shown(each.stored), shown(each.found))
    for name, content in made.items():
        if name.endswith(".json"):
            content = json.dumps(replaced(json.loads(content), names))
        yield from same_file(folder / name, content)


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return "it is missing"
    except (OSError, ValueError) as error:
        return f"no JSON: {error}"


def _scored(
    results: Sequence[CaseResult], outcome: Verified, tokenizers: Tokenizers, *, unsafe_code: bool
) -> list[CaseResult]:
    """The results scored again; one that cannot be stays as it is, and is told."""
    again: dict[str, CaseResult] = {}
    verdicts = Verdicts()  # none that was kept: what is verified is judged here
    for result in results:
        new = result
        count = _answers(result)
        if is_counted(result):
            try:
                scored = again_scored(
                    result,
                    again,
                    verdicts,
                    unsafe_code=unsafe_code,
                    tokenizer=tokenizers.of_experiment,
                )
            except StoreError as error:
                outcome.differences.append(
                    Mismatch(result.case.id, "samples", f"{count} answers", str(error))
                )
            except (SpecError, ModelError) as error:
                what = "re-executed" if isinstance(error.__cause__, SandboxError) else "re-scored"
                outcome.left.append(f"not {what}: {count:,} answers of {result.case.id}: {error}")
            else:
                new = as_before(scored, result)
                outcome.answers += count
                outcome.differences += _scores(result, new)
        again[result.case.id] = new
    return list(again.values())


def _answers(result: CaseResult) -> int:
    """Completions of a case, and samples whose continuations were scored."""
    return len(result.draws) + len(result.replies.get(result.measure.name, {}))


def _scores(old: CaseResult, new: CaseResult) -> Iterator[Mismatch]:
    """Scores and values of samples that come out otherwise."""
    for mine, theirs in zip(old.draws, new.draws, strict=True):
        for name in ("correct", "parsed", "tool_call", "doubt"):
            stored, found = getattr(mine.score, name), getattr(theirs.score, name)
            if stored != found:
                yield Mismatch(place(old, mine), f"score.{name}", shown(stored), shown(found))
        if mine.agreement != theirs.agreement:
            yield Mismatch(
                place(old, mine), "agreement", shown(mine.agreement), shown(theirs.agreement)
            )
    yield from compared(
        {metric: dict(values) for metric, values in old.sample_metrics.items()},
        {metric: dict(values) for metric, values in new.sample_metrics.items()},
        f"{old.case.id} sample_metrics",
    )
    if old.status != new.status:
        yield Mismatch(old.case.id, "status", old.status, new.status)


def _details(
    results: Sequence[CaseResult], scored: Sequence[CaseResult], python: str, outcome: Verified
) -> Iterator[Mismatch]:
    """Why answers are wrong, in words; of code they are Python's own, which differ by version."""
    here = platform.python_version()
    other = 0
    for result, again in zip(results, scored, strict=True):
        for mine, theirs in zip(result.draws, again.draws, strict=True):
            stored, found = mine.score.detail, theirs.score.detail
            if stored == found:
                continue
            if (
                python.split(".")[:2] != here.split(".")[:2]
                and mine.score.correct == theirs.score.correct
            ):
                other += 1
            else:
                yield Mismatch(place(result, mine), "score.detail", shown(stored), shown(found))
    if other:
        outcome.left.append(
            f"not compared: why {other:,} answers are wrong, in the words of Python {python}; this "
            f"is {here}"
        )


def place(result: CaseResult, draw: DrawResult) -> str:
    """Which answer it is, in words."""
    return f"{result.case.id}, {draw.sample}, draw {draw.draw}"


def _tables(stored: Path, again: Path) -> Iterator[Mismatch]:
    """Tables and measured files beside the report, cell by cell where they are CSV."""
    for name in sorted(_names(stored) | _names(again)):
        file, anew = stored / name, again / name
        if not anew.is_file():
            yield Mismatch(f"{REPORT}/{name}", "file", "there", "nothing makes it")
        elif not file.is_file():
            yield Mismatch(f"{REPORT}/{name}", "file", "it is missing", "there")
        else:
            yield from same_file(file, anew.read_bytes())


def _names(folder: Path) -> set[Path]:
    """Files below a report's folder that are held against others of their names."""
    found = (each.relative_to(folder) for each in folder.rglob("*") if each.is_file())
    return {
        name
        for name in found
        if name.as_posix() not in ("report.json", RECORDS, DRAWN)
        and name.parts[0] not in (WRITTEN_ONCE, PICTURES)
    }


def lines(outcome: Verified, most: int = 200) -> Iterator[str]:
    """What to print: a line per difference, what was left, and the verdict.

    Whatever a bundle says is in it as one printable line, which no terminal obeys.
    """
    return map(one_line, _lines(outcome, most))


def _lines(outcome: Verified, most: int) -> Iterator[str]:
    for each in outcome.differences[:most]:
        yield str(each)
    if len(outcome.differences) > most:
        yield f"... and {len(outcome.differences) - most:,} more"
    yield from outcome.left
    if outcome.asked:
        same = sum(each.agrees for each in outcome.asked)
        gap = max(each.gap for each in outcome.asked)
        yield (
            f"asked again: {same} of {len(outcome.asked)} completions have the same tokens; "
            f"log-probabilities of equal tokens are within {gap:.2g} nats"
        )
        yield from (str(each) for each in outcome.asked if each.told)
    count = len(outcome.differences)
    told = f"{outcome.run}: {outcome.cases} cases, {outcome.answers:,} answers scored again: "
    yield told + (f"{count:,} difference{'s' * (count != 1)}" if count else "everything fits")
