"""Records whose sums are right and whose content is not: skipped and made again, never a crash."""

from __future__ import annotations

import json
import math
import zlib
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.engines.contract import Completion, Scored, Scoring
from harness.errors import TitrateError
from harness.interventions.array import Array
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.vector_file import Logistic, SteeringVectors
from harness.launch import board
from harness.resolve import dac, steering
from harness.runs.conclude import conclude, run_info
from harness.spec import expand
from harness.store.care import contents, verify
from harness.store.completions import FORMAT as STORED
from harness.store.completions import CompletionStore
from harness.store.folder import Manifest, RunFolder
from harness.store.journal import encoded
from harness.store.places import runs_below
from harness.store.record_shapes import ENGINE
from harness.store.records import from_json, record_lines, to_json
from harness.store.replies import completion_json, scored_json
from harness.store.results import CaseResult, Departure, InvariantResult, UsageMap
from harness.store.usages import usage_from
from tests.runs.small import experiment, mask, result_of
from tests.store.altered import JSON, altered

#: Each example writes files or a report; `HYPOTHESIS_PROFILE=explore` still draws a hundred.
LESS = settings(max_examples=settings.default.max_examples // 5)

KEY = "ab" * 32
WHOLE = Completion((5, 6), "a\ud800", "stop", (-0.1, -2.0), {"routed": 3}, None, {"dose": (0.5,)})
RECORD = {
    "key": KEY,
    "kind": "completion",
    "engine": "e",
    "at": 1,
    "value": completion_json(WHOLE),
}
USAGE = UsageMap("avg_last_agentic", (0, 1), ((0.5, 0.5), (0.25, 0.75)))
VECTORS = SteeringVectors(
    "block", {1: Array([1.0, 2.0])}, {1: 3.0}, {"method": "mean"}, {1: Logistic(1.0, 0.0)}
)
CHECK = InvariantResult("neutral", "x", True, "", Departure("s/0", 1, 2, 3, None))


def plain(document):
    """As it comes back from a file."""
    return json.loads(json.dumps(document))


@contextmanager
def in_one_line():
    """Around what may be refused."""
    refused = None
    with suppress(TitrateError):
        try:
            yield
        except TitrateError as error:
            refused = str(error)
            raise
    assert refused is None or "\n" not in refused


def case_results():
    """A baseline and a dose, with all that a record may hold."""
    first, second = (
        result_of(case, [(1, 2), (3,)], sample_metrics={"pass@1": {"s/0": 1.0, "s/1": 0.0}})
        for each in expand(experiment(intervention=mask(count=4)))
        for case in (each.baseline, each)
    )
    record = to_json(second) | {"usage": asdict(USAGE), "checks": [asdict(CHECK)]}
    record["intervention"] = RouterMask(points=((0, 1), (2, 3))).model_dump(mode="json")
    return first, plain(record)


BASELINE, RESULT = case_results()


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    return tmp_path_factory.mktemp("store") / "completions-20260101T000000-1-a.jsonl"


# The completion store -----------------------------------------------------------------------------


@LESS
@given(altered(plain(RECORD)))
@example({**RECORD, "key": "zz" * 32})
@example({**RECORD, "value": {**RECORD["value"], "tokens": [True]}})
def test_a_completion_that_is_none_is_as_if_it_had_not_been_stored(shard, record):
    head = encoded({"format": STORED.name, "version": STORED.version})
    # JSON can be nested more deeply than Python reads.
    shard.write_bytes(head + encoded(record))
    warnings = []
    store = CompletionStore(shard.parent, warn=warnings.append)
    found = store.get(KEY)
    whole, damages = verify(shard.parent)
    assert whole + len(damages) == 1
    contents(shard.parent)
    if found is None:
        assert KEY not in store
        # A record of another key, or of another kind, is whole; but nobody asks for it.
        assert len(warnings) == len(damages) or whole
        store.put(KEY, WHOLE)
        assert store.get(KEY) == WHOLE
        store.close()
        next(path for path in shard.parent.iterdir() if path != shard).unlink()
    else:
        assert hash((found.tokens, found.text, found.finish_reason, found.log_probabilities))
        assert all(type(token) is int and token >= 0 for token in found.tokens)
        assert warnings == []


SCORED = Scored(((-0.5, -1.0), ()), ((True, False), ()), {"changed": 3})
SCORES = {**RECORD, "kind": "scores", "value": plain(scored_json(SCORED))}


@LESS
@given(altered(SCORES))
@example(SCORES)
@example({**SCORES, "value": {**SCORES["value"], "greedy": [[True], []]}})
@example({**SCORES, "value": {**SCORES["value"], "log_probabilities": [[-0.5, math.nan], []]}})
def test_scores_that_are_none_are_as_if_they_had_not_been_stored(shard, record):
    head = encoded({"format": STORED.name, "version": STORED.version})
    shard.write_bytes(head + encoded(record))
    warnings = []
    store = CompletionStore(shard.parent, warn=warnings.append)
    found = store.reply(KEY, Scoring((), ()))
    whole, damages = verify(shard.parent)
    assert whole + len(damages) == 1
    if found is None:
        assert len(warnings) == len(damages) or whole
    else:
        assert [*map(len, found.greedy)] == [*map(len, found.log_probabilities)]
        assert all(math.isfinite(value) for each in found.log_probabilities for value in each)
        assert found != SCORED or record["value"] == SCORES["value"]
        assert warnings == []


@pytest.mark.parametrize("body", [b"[" * 100_000, b"nul", b"1" * 5000, b'{"a":' * 9999])
@pytest.mark.parametrize("line", [0, 1])
def test_a_sum_may_be_right_of_what_no_parser_reads(shard, body, line):
    lines = [encoded({"format": STORED.name, "version": STORED.version}), encoded(RECORD)]
    if line:
        body = f'{{"key":"{KEY}","x":'.encode() + body
    lines[line] = b'{"check":"%08x","record":%s}\n' % (zlib.crc32(body), body)
    shard.write_bytes(b"".join(lines))
    warnings = []
    store = CompletionStore(shard.parent, warn=warnings.append)
    assert store.get(KEY) is None
    assert len(warnings) == 1
    assert len(verify(shard.parent)[1]) == 1


@LESS
@given(JSON)
def test_a_first_line_may_say_anything(shard, said):
    shard.write_bytes(encoded(said))
    warnings = []
    CompletionStore(shard.parent, warn=warnings.append)
    assert [warning.count("\n") for warning in warnings] == [0]


@pytest.mark.parametrize(
    ("decode", "document"),
    [
        (usage_from, asdict(USAGE)),
        (ENGINE.validate_python, {"model": "m", "fingerprint": "f", "determinism": {"a": "b"}}),
        (steering._from_json, steering._to_json(VECTORS)),
        (dac._from_json, [[1, Array([1.0, 2.0]).to_json()]]),
    ],
    ids=["ordering", "engine", "vectors", "differences"],
)
@LESS
@given(data=st.data())
def test_what_was_measured_is_read_back_or_refused(decode, document, data):
    document = plain(document)
    decode(document)
    with suppress(ValueError):
        decode(data.draw(altered(document)))


# Runs and reports ---------------------------------------------------------------------------------


@given(altered(RESULT))
def test_a_case_s_record_is_read_back_or_refused(document):
    try:
        result = from_json(document)
    except ValueError:
        return
    assert isinstance(result, CaseResult)
    json.dumps(to_json(result))


SHARD = {"index": 1, "of": 2, "cases": ["a"], "selection": "x"}
MANIFEST = Manifest(
    "x", datetime(2026, 1, 1, tzinfo=UTC), "titrate run x", "out", ("abc", True), {}, SHARD
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder, whose files are written by each test."""
    root = tmp_path_factory.mktemp("run")
    folder = RunFolder(runs_below(root) / "x")
    folder.begin(MANIFEST)
    folder.add_engine({"torch": "2"}, {"cores": 2})
    return root


@LESS
@given(altered(RESULT))
def test_a_report_of_a_run_with_an_altered_record_is_written_or_refused_in_one_line(run, document):
    """Values that are possible one by one and impossible together are found no later than here."""
    path = runs_below(run) / "x" / "cases-main.jsonl"
    path.write_bytes(b"".join([*record_lines([BASELINE]), encoded(document)]))
    warnings = []
    folder = RunFolder(path.parent, warn=warnings.append)
    results = folder.results()
    assert len(results) + len(warnings) in (1, 2)
    with in_one_line():
        conclude(run_info(folder.manifest(), *folder.engines(), None), results, run / "report")


@given(name=st.sampled_from(["run.json", "engine-main.json", "progress-main.json"]), data=st.data())
def test_a_run_s_small_files_may_say_anything(run, name, data):
    path = runs_below(run) / "x" / name
    whole = path.with_suffix(".whole")
    if not whole.exists():
        said = b'{"counts": {"tokens": 1}, "notes": ["a"]}'
        whole.write_bytes(path.read_bytes() if path.exists() else said)
    path.write_text(json.dumps(data.draw(altered(json.loads(whole.read_bytes())))))
    folder = RunFolder(path.parent)
    board.total(board.read(path.parent))
    folder.engines()
    with in_one_line():
        run_info(folder.manifest(), *folder.engines(), None)
    path.write_bytes(whole.read_bytes())
