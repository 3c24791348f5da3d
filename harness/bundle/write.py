"""A report, its records, the data and the tokenizers behind it, in one file for strangers.

The root of a bundle stands for the folder in which the run was started.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from harness.bundle.archive import BundleManifest, Tokenizer, entry_of, pack
from harness.bundle.data import Data
from harness.bundle.differences import replaced
from harness.bundle.drawn import drawn
from harness.bundle.measured import READINGS
from harness.bundle.samples import sample_hashes
from harness.errors import BundleError, ModelError
from harness.files.given import content
from harness.files.portable import portable
from harness.report.load import RECORDS, load_report
from harness.report.measured_files import folders
from harness.report.recorded import recorded_results
from harness.runs.rescore import recorded
from harness.spec import Case
from harness.store.journal import encoded
from harness.store.records import FORMAT, portable_json, read_records
from harness.store.results import CaseResult

REPORT = "report"
SAMPLES = "samples.json"
#: What the curves and dots of the plots are drawn through.
DRAWN = "drawn.json"
_TOKENIZERS = "tokenizers"
#: Tables that are made anew from the rest, and folders of them.
_TABLES = ("cases.csv", "paired", "draws")
PICTURES = "plots"
#: Endings of pictures, and of tables that hold once more what another file does.
_REPEATED = (".png", ".pdf", ".svg", ".parquet")
#: What a search tells of its trials.
WRITTEN_ONCE = "search"


def bundle(
    report: Path,
    target: Path,
    warn: Callable[[str], None] = lambda _: None,
    *,
    withheld: Iterable[Path] = (),
) -> BundleManifest:
    """Write the bundle of a report to `target`.

    Args:
        report: The report's directory, which must have its records.
        target: The file to write; an older one is replaced.
        warn: Told in one line of what is left out, and why.
        withheld: Files of data that may not be given away: of these it has hashes.

    Raises:
        StoreError: there are no records, or they cannot be used.
        ReportError: the report cannot be read.
        BundleError: the file cannot be written.
    """
    info, results, _, _ = recorded(str(report), Path.cwd())
    document = load_report(report)
    found = Data(warn, withheld=[each.resolve() for each in withheld])
    found.add(_cases(results))
    found.files[f"{REPORT}/report.json"] = content(report / "report.json")
    found.files[f"{REPORT}/{RECORDS}"] = b"".join(_records(recorded_results(report), found.moved))
    found.files[f"{REPORT}/{DRAWN}"] = _json(drawn(document))
    found.files[SAMPLES] = _json(sample_hashes(results))
    for file in _beside(report):
        found.files[f"{REPORT}/{file.relative_to(report).as_posix()}"] = file.read_bytes()
    for name, file in _readings(report, warn):
        found.files[name] = file.read_bytes()
    tokenizers = dict(_tokenizers(found, results, warn))
    manifest = BundleManifest(
        format="titrate bundle",
        version=1,
        titrate=version("pytest-titrate"),
        run=info.id,
        files={name: entry_of(each) for name, each in sorted(found.files.items())},
        moved=found.moved,
        absent=found.absent,
        tokenizers=tokenizers,
    )
    try:
        pack(manifest, found.files, target)
    except OSError as error:
        raise BundleError(
            f"{target}: cannot be written: {error.strerror or error}; choose another place"
        ) from error
    return manifest


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def _records(results: Iterable[CaseResult], moved: Mapping[str, str]) -> Iterator[bytes]:
    """The lines of the records, with the files that moved where they are in the bundle."""
    yield encoded({"format": FORMAT.name, "version": FORMAT.version})
    for result in results:
        record = portable_json(result)
        yield encoded({**record, "case": replaced(record["case"], moved)})


def _beside(report: Path) -> Iterator[Path]:
    """Tables and measured files of a report; pages, pictures and samples are made of these."""
    for name in sorted({*_TABLES, WRITTEN_ONCE, *folders()}):
        place = report / name
        if place.is_file():
            yield place
        elif place.is_dir():
            files = (file for file in place.rglob("*") if file.suffix not in _REPEATED)
            yield from sorted(file for file in files if file.is_file())


def _readings(report: Path, warn: Callable[[str], None]) -> Iterator[tuple[str, Path]]:
    """What was read of each sample, where its run keeps it, by the names in the bundle."""
    for result in read_records(report / RECORDS):
        kept = result.measure.readings_kept
        if kept is None or result.artefacts is None:
            continue
        folder = Path(result.artefacts).parent / kept
        if not folder.is_dir():
            warn(
                f"{result.case.id}: what was read of its samples is not in {folder}, so that its "
                "numbers cannot be counted again"
            )
            continue
        for file in sorted(each for each in folder.iterdir() if each.is_file()):
            yield f"{READINGS}/{result.case.id}/{kept}/{file.name}", file


def _cases(results: Iterable[CaseResult]) -> Iterator[Case]:
    for result in results:
        yield result.case
        if result.case.baseline is not None:
            yield result.case.baseline


def _tokenizers(
    found: Data, results: Iterable[CaseResult], warn: Callable[[str], None]
) -> Iterator[tuple[str, Tokenizer]]:
    """Add the files of each model's tokenizer, where it is at hand."""
    from harness.models.end_tokens import end_tokens
    from harness.models.loading import descriptions, load_config, load_tokenizer

    models = dict.fromkeys(case.experiment.model for case in _cases(results))
    for number, model in enumerate(models):
        try:
            tokenizer = load_tokenizer(model)
            ends = end_tokens(descriptions(model), load_config(model), tokenizer)
        except ModelError as error:
            found.absent[str(portable(model))] = f"its tokenizer is not at hand: {error}"
            warn(f"texts are not decoded again from their tokens: {error}")
            continue
        folder = f"{_TOKENIZERS}/{number}"
        with tempfile.TemporaryDirectory() as temporary:
            tokenizer.save_pretrained(temporary)
            for file in sorted(Path(temporary).rglob("*")):
                if file.is_file():
                    name = file.relative_to(temporary).as_posix()
                    found.files[f"{folder}/{name}"] = file.read_bytes()
        yield str(portable(model)), Tokenizer(folder=folder, end_tokens=tuple(sorted(ends)))
