from __future__ import annotations

import gzip
import json
import random
from base64 import b64decode

from hypothesis import given
from hypothesis import strategies as st

from harness.report.build import build
from harness.report.page import embed
from harness.report.page.samples import ROW
from harness.report.written_samples import records
from tests.report.small_run import METRIC, sweep


def unpacked(text):
    return json.loads(gzip.decompress(b64decode(text)))


def restored(cases, embedded):
    """The records that a page holds, as a browser reads them."""
    found = []
    for packed in embedded.indexes.values():
        index = unpacked(packed)
        for sample, place in zip(index["samples"], index["chunks"], strict=True):
            chunk = unpacked(embedded.chunks[place])
            for position, rows in chunk["samples"][sample].items():
                for row in rows:
                    record = dict(zip(ROW, row, strict=True))
                    for name in ("prompt", "completion", "finish_reason", "error", "detail"):
                        if record[name] is not None:
                            record[name] = chunk["texts"][record[name]]
                    found.append({"case": cases[int(position)].id, "sample": sample, **record})
    return found


def by_key(lines):
    return sorted(lines, key=lambda line: (line["case"], line["sample"], line["draw"]))


# Any text at all, with characters that HTML, JSON and UTF-8 treat specially drawn often.
texts = st.text(st.characters(codec=None) | st.sampled_from("<\0\ud800\u2028&'\""), max_size=40)


@given(st.data())
def test_every_record_comes_back_whatever_is_in_it(run, data):
    results = sweep(doses=(0, 1), styles=("agentic",), n=3)
    report = build(run, results)
    lines = [
        line
        | {"completion": data.draw(texts), "prompt": data.draw(texts), "error": error}
        | data.draw(st.sampled_from([{}, {"traces": {"alpha": [0.0, 1.5]}}]))
        for line, error in zip(
            records(results), data.draw(st.lists(st.none() | texts, min_size=9)), strict=False
        )
    ]
    random.Random(0).shuffle(lines)
    embedded = embed(report.cases, lines)
    # Values per metric are in the index; the chunks hold what was said.
    said = [{name: line.get(name) for name in ("case", "sample", *ROW)} for line in lines]
    assert by_key(restored(report.cases, embedded)) == by_key(said)


def test_prompts_are_stored_once(run):
    results = sweep(n=2)
    report = build(run, results)
    (chunk,) = embed(report.cases, records(results)).chunks
    stored = unpacked(chunk)["texts"]
    assert len(stored) == len(set(stored))
    assert sum(text.startswith("prompt of") for text in stored) == 2


def test_large_samples_are_spread_over_chunks(run):
    results = sweep(n=4)
    report = build(run, results)
    lines = [line | {"completion": "x" * 120_000} for line in records(results)]
    embedded = embed(report.cases, lines)
    index = unpacked(embedded.indexes["keep_topk"])
    assert index["chunks"] == [0, 1, 2, 3]
    assert len(restored(report.cases, embedded)) == len(lines)


def test_what_exceeds_the_limit_is_in_the_index_only(run):
    results = sweep(n=3)
    report = build(run, results)
    lines = [
        line | {"completion": random.Random(number).randbytes(100_000).hex()}
        for number, line in enumerate(records(results))
    ]
    embedded = embed(report.cases, lines, most=3_400_000)
    index = unpacked(embedded.indexes["keep_topk"])
    assert index["samples"] == ["s/0", "s/1", "s/2"]
    assert index["chunks"] == [0, 1, None]
    assert len(embedded.chunks) == 2
    assert index["cases"]["1"]["draws"] == [1, 1, 1]


def test_the_index_counts_what_became_of_each_sample(run):
    results = sweep(n=4, styles=("agentic",), doses=(0, 1))
    report = build(run, results)
    lines = list(records(results))
    lines[4]["parsed"] = False
    index = unpacked(embed(report.cases, lines).indexes["keep_topk"])
    baseline, neutral, dosed = (index["cases"][str(position)] for position in range(3))
    assert baseline["value"] == [1, 1, 1, 0]
    assert baseline["parted"] == [0, 0, 0, 0]
    assert neutral["parted"] == [0, 0, 0, 0]
    assert neutral["unread"] == [1, 0, 0, 0]
    assert dosed["value"] == [1, 0, 0, 0]
    assert dosed["parted"] == [1, 1, 1, 1]


def test_values_are_the_primary_metrics_or_else_the_share_of_right_draws(run):
    results = sweep(n=2, styles=("agentic",), doses=(0,))
    report = build(run, results)
    lines = list(records(results))
    lines[2]["metrics"] = {METRIC: 0.25, "other": 3.0}
    second = lines[3] | {"draw": 1, "correct": not lines[3]["correct"]}
    for line in (lines[3], second):
        del line["metrics"]
    index = unpacked(embed(report.cases, [*lines, second]).indexes["keep_topk"])
    assert index["cases"]["1"]["value"] == [0.25, 0.5]


def test_a_completion_that_only_ends_early_has_parted(run):
    results = sweep(n=1, styles=("agentic",), doses=(0,))
    report = build(run, results)
    lines = list(records(results))
    # It agrees over its whole length, and the baseline is longer.
    lines[1] |= {"tokens": 3, "agreement": 3}
    index = unpacked(embed(report.cases, lines).indexes["keep_topk"])
    assert index["cases"]["1"]["parted"] == [1]


def test_records_of_other_runs_are_left_out(run, report):
    line = {"case": "other[baseline]", "sample": "s/0", "draw": 0}
    assert embed(report.cases, [line]) == ({}, [], [])


def test_rows_that_come_to_disk_in_pieces_make_the_same_page(run, monkeypatch):
    results = sweep(doses=(0, 1), styles=("agentic",), n=3)
    report = build(run, results)
    whole = embed(report.cases, records(results))
    monkeypatch.setattr("harness.report.page.samples._WAITING", 1)
    assert embed(report.cases, records(results)) == whole
