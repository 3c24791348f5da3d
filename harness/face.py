"""What Python users call: `harness.run` and the functions beside it.

Everything pytest can do is a function first. Options are those of the command line
(`harness.options`), and errors name them as arguments: `compare_fail=...`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import OptionError, TitrateError
from harness.options import RUN, Option, as_argument, spelling
from harness.options import overrides as overriding
from harness.spec import Experiment

if TYPE_CHECKING:
    from harness.claims.comparison import Comparison
    from harness.report.loaded import Report
    from harness.resolve.progress import Progress
    from harness.runs.forecast import Forecast
    from harness.spec import Case


def run(
    experiment: Experiment | Path | str,
    *,
    overrides: Sequence[str] = (),
    select: str | None = None,
    limit: int | None = None,
    model: str | None = None,
    engine: str | None = None,
    directory: Path | str | None = None,
    progress: Progress | None = None,
    store: Path | str | None = None,
    fresh: bool = False,
    further: bool = False,
    shard: str | None = None,
    unsafe_code: bool = False,
    gates: Sequence[str] = (),
    organism_variant: str | None = None,
    mode: str | None = None,
    save: str | None = None,
    compare: str | None = None,
    compare_fail: Sequence[str] = (),
) -> Report:
    """Run the cases of one experiment and write its report.

    >>> import harness
    >>> report = harness.run("specs/router_masks/keep_topk.yaml", limit=2, select="assisted")
    >>> report.cases[["id", "metrics.pass@1.value"]].to_numpy().tolist()
    [['keep_topk[baseline-style=assisted-seed=0]', 1.0], ...]

    Args:
        experiment: A spec file, or an experiment that was written in Python.
        overrides: `field=value` strings that change a spec file, as `--titrate-set` does.
        select: Run only the cases whose ids match, by the grammar of pytest's `-k`.
        limit: Only the first so many samples of the task (`task.limit`).
        model: Run on this model instead: `zoo/NAME`, `./folder` or a Hugging Face id.
        engine: Run on this engine instead; on each of several: `"transformers,vllm"`.
        directory: Where the report goes; by default a new folder below `reports/`.
        progress: Is told how far the run is; None, the default, is a line below the cell in a
            notebook, and nothing elsewhere.
        store: Where completions are looked for and kept; by default `.titrate/store`.
        fresh: Make all completions again instead of using stored ones.
        further: Let a run that stops itself go on with doses that it gave up, to the last sample.
        shard: `"I/N"` runs the I-th of N equal shares of the cases; `merge` joins their reports.
        unsafe_code: Run code that the model wrote as a plain process, with your rights, where it
            cannot be isolated.
        gates: Claims that must hold: `"pass@1 >= 0.9 where count=1"` (`docs/statistics.md`).
        organism_variant: The variant of the specs' organism that is run (`intervention.variant`).
        mode: How much of a comparison of models is done: `"full"`, `"diffing"`, `"plotting"`.
        save: Keep the run in `.titrate/saved` under this name.
        compare: The saved run (name or number), file or report's directory to compare with.
        compare_fail: What must not have come true since: `"pass@1: worse, p<0.05"`.

    Returns:
        The written report, as `load_report` reads it again.

    Raises:
        SpecError: a spec that cannot be run, with its file and line.
        OptionError: an argument that cannot be followed.
        TitrateError: an invariant is violated or a gate does not hold; the report is written.
    """
    arguments = locals()
    with spelling(as_argument):
        given = _given(arguments)
        from harness.claims.claims import Claims
        from harness.launch.local import run_cases
        from harness.launch.notebook import watching
        from harness.report.loaded import Report
        from harness.runs.shard import Shard

        finished = run_cases(
            _selected([experiment], given),
            directory,
            progress or watching(),
            "harness.run" if select is None else shlex.join(["harness.run", "-k", select]),
            store=store,
            fresh=fresh,
            further=further,
            shard=None if shard is None else Shard.parse(shard),
            unsafe_code=unsafe_code,
            claims=Claims.read(gates, compare, compare_fail, save),
        )
    if finished.problems:
        raise TitrateError(f"{finished.problems[0]} (report: {finished.directory})")
    return Report(finished.report, finished.directory)


def forecast(
    *experiments: Experiment | Path | str,
    overrides: Sequence[str] = (),
    select: str | None = None,
    limit: int | None = None,
    model: str | None = None,
    engine: str | None = None,
    store: Path | str | None = None,
    shard: str | None = None,
    unsafe_code: bool = False,
    gates: Sequence[str] = (),
    organism_variant: str | None = None,
    mode: str | None = None,
    save: str | None = None,
    compare: str | None = None,
    compare_fail: Sequence[str] = (),
) -> list[Forecast]:
    """What a run would take, found without loading a model; refuses what the run would refuse.

    >>> import harness
    >>> (of_model,) = harness.forecast("specs/router_masks/keep_topk.yaml", limit=2)
    >>> of_model.model, of_model.cases, of_model.asked
    ('zoo/moe', 14, 32)

    Args:
        experiments: Spec files, or experiments that were written in Python.
        overrides: Like all that follow, as those of `run`.
        select: Which cases.
        limit: Of the task's samples.
        model: Instead of the specs'.
        engine: Instead of the specs'.
        store: Where stored completions are looked for.
        shard: A share of the cases, `"I/N"`.
        unsafe_code: Do not refuse a task whose code cannot be isolated here.
        gates: Refused here as by the run.
        organism_variant: As for the run.
        mode: The same.
        save: The same.
        compare: The same.
        compare_fail: The same.

    Returns:
        For each model, in the order of loading: cases, requests, how many are stored, tokens.

    Raises:
        SpecError: a spec that cannot be run, with its file and line.
        OptionError: an argument that cannot be followed.
    """
    arguments = locals()
    with spelling(as_argument):
        given = _given(arguments)
        from harness.claims.claims import Claims
        from harness.launch.local import forecast_cases
        from harness.runs.shard import Shard

        return forecast_cases(
            _selected(experiments, given),
            store,
            unsafe_code=unsafe_code,
            shard=None if shard is None else Shard.parse(shard),
            claims=Claims.read(gates, compare, compare_fail, save),
        )


def compare(
    before: Report | Path | str,
    after: Report | Path | str,
    *,
    metric: str | None = None,
    cases: Sequence[str] = (),
) -> Comparison:
    """Two runs case by case, paired by sample; it prints as a table.

    >>> import harness
    >>> first = harness.run("specs/router_masks/keep_topk.yaml", limit=2, select="assisted")
    >>> comparison = harness.compare(first, first)
    >>> {row.versus.delta for row in comparison.rows}
    {0.0}

    Args:
        before: The run to compare with: a report, its directory, or a saved run's name or number.
        after: The run that is judged.
        metric: Compare by this one instead of each case's primary metric.
        cases: Ids of the cases to compare; all by default.

    Raises:
        ReportError: a run that is not there, or has no such metric or case.
    """
    from harness.claims.compare import compare as compared
    from harness.claims.saved import SAVED, SavedRuns

    saved = SavedRuns(Path.cwd() / SAVED)
    then, now = (saved.find(str(_folder(run))) for run in (before, after))
    return compared(then, now, metric=metric, cases=cases)


def merge(reports: Sequence[Report | Path | str], directory: Path | str) -> Report:
    """Join the reports of all shards of a run into the one that a single run would have written.

    >>> import harness
    >>> spec = "specs/router_masks/keep_topk.yaml"
    >>> shards = [harness.run(spec, limit=2, shard=f"{index}/2") for index in (1, 2)]
    >>> len(harness.merge(shards, "reports/whole").cases)
    16

    Args:
        reports: The reports of all shards, or their directories.
        directory: Where the joined report goes.

    Raises:
        ReportError: these are not the shards of one run, or a report cannot be read or written.
        TitrateError: an invariant is violated or a gate does not hold; the report is written.
    """
    from harness.report.loaded import Report
    from harness.runs.merge import merge as merged

    with spelling(as_argument):
        folders = [Path(_folder(report)) for report in reports]
        finished = merged(folders, Path(directory))
    if finished.problems:
        raise TitrateError(f"{finished.problems[0]} (report: {finished.directory})")
    return Report(finished.report, finished.directory)


def _folder(report: Report | Path | str) -> Path | str:
    return report if isinstance(report, str | Path) else report.directory


def _selected(
    experiments: Sequence[Experiment | Path | str], given: Mapping[str, Any]
) -> Sequence[Case]:
    from harness.launch.selection import selected

    for each in experiments:
        if not isinstance(each, Experiment | Path | str):
            problem = f"{each!r:.80}: expected an Experiment or a spec's path"
            raise OptionError("experiment", problem)
    changes = overriding(given)
    if changes and any(isinstance(each, Experiment) for each in experiments):
        raise OptionError(
            "set",
            f"{changes[0]}: overrides are for spec files; change an experiment with model_copy",
        )
    return selected(experiments, changes, given["select"]).cases


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The options among the arguments of a call, by their names in the table.

    Raises OptionError for one that would fail much later, or mean something else: a text in the
    place of a list, the commonest, would be taken letter by letter.
    """
    given = {}
    for option in RUN:
        if option.python and option.argument in arguments:
            value = given[option.name] = arguments[option.argument]
            if not _fits(option, value):
                raise OptionError(
                    option.name, f"{value!r:.80}: expected {option.wanted or 'a bool'}"
                )
    return given


def _fits(option: Option, value: object) -> bool:
    if option.many:
        return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
    if not option.metavar:
        return isinstance(value, bool)
    if option.type is int:
        return value is None or (isinstance(value, int) and not isinstance(value, bool))
    return value is None or isinstance(value, (str, Path) if option.type is Path else str)
