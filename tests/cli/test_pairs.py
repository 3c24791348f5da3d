"""`titrate pairs ...`, as a user types it."""

from __future__ import annotations

import gzip
import json

import pytest

from harness.cli.main import main
from harness.tasks.pairs.files import read_prompts, read_tokens
from tests.tasks.pairs.small import assisted_prompt, record, trace

SAMPLES = 3


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def study(here):
    """The files of a study: records, an assisted and an agentic run, and a fallback."""
    records = "\n".join(json.dumps(record(n)) for n in range(SAMPLES))
    (here / "data.jsonl.gz").write_bytes(gzip.compress(records.encode()))
    assisted = {f"humaneval_{n}": {"prompt": assisted_prompt(n)} for n in range(SAMPLES)}
    traces = {f"humaneval_{n}": {"message_trace": trace(n)} for n in range(SAMPLES)}
    (here / "assisted.json").write_text(json.dumps(assisted))
    (here / "fallback.json").write_text(json.dumps(traces))
    traces["humaneval_1"] = {"error": "timeout"}
    (here / "agentic.json").write_text(json.dumps(traces))
    return here


FILES = ["--data", "data.jsonl.gz", "--assisted", "assisted.json", "--agentic", "agentic.json"]


def titrate(capsys, *arguments):
    try:
        status = main(["pairs", *arguments])
    except SystemExit as exit_:
        status = exit_.code
    out, err = capsys.readouterr()
    return status, out, err


# From beginning to end ----------------------------------------------------------------------------


def test_without_files_the_micro_task_is_paired_and_aligned(here, capsys):
    assert titrate(capsys, "build") == (
        0,
        "built 164 pairs; left out 0 incomplete and 0 bad ones\npairs: pair_prompts.json\n",
        "",
    )
    assert titrate(capsys, "align", "--cache") == (
        0,
        "aligned 164 of 164 pairs, 0 of them with warnings\ntokens: pair_tokens.json\n",
        "",
    )
    assert len(read_tokens("pair_tokens.json")) == 164
    assert (here / "pair_tokens.npz").exists()


def test_the_files_of_a_study_become_its_pairs(study, capsys):
    arguments = [*FILES, "--agentic-fallback", "fallback.json", "--output", "out/pairs.json"]
    status, out, err = titrate(capsys, "build", *arguments)
    assert (status, err) == (0, "")
    assert out.startswith("built 3 pairs; ")
    assert [pair.key for pair in read_prompts("out/pairs.json")] == [
        f"humaneval_{n}" for n in range(SAMPLES)
    ]
    status, out, _ = titrate(capsys, "align", "out/pairs.json")
    assert out.endswith("tokens: out/pair_tokens.json\n")
    assert all(pair.aligned_ok for pair in read_tokens("out/pair_tokens.json").values())


def test_a_missing_side_ends_the_verb_or_is_skipped_and_counted(study, capsys):
    status, out, err = titrate(capsys, "build", *FILES)
    assert (status, out) == (2, "")
    assert err.startswith("titrate: humaneval_1: the files hold no agentic message_trace for")
    assert err.count("\n") == 1
    status, out, err = titrate(capsys, "build", *FILES, "--skip-missing")
    assert status == 0
    assert out.startswith("built 2 pairs; left out 1 incomplete and 0 bad ones\n")
    assert err == "titrate: humaneval_1: no agentic message_trace\n"


def test_bad_samples_are_told_one_by_one_and_counted(study, capsys):
    document = json.loads((study / "fallback.json").read_text())
    document["humaneval_0"]["message_trace"] = trace()[:1]
    (study / "agentic.json").write_text(json.dumps(document))
    status, out, err = titrate(capsys, "build", *FILES)
    assert status == 0
    assert out.startswith("built 2 pairs; left out 0 incomplete and 1 bad ones\n")
    assert err.startswith("titrate: humaneval_0: the agentic trace has no tool call")


def test_pairs_that_cannot_be_aligned_are_told_and_written_all_the_same(study, capsys):
    titrate(capsys, "build", *FILES, "--skip-missing")
    document = json.loads((study / "pair_prompts.json").read_text())
    document["humaneval_2"]["assisted"] = "nothing"
    (study / "pair_prompts.json").write_text(json.dumps(document))
    status, out, err = titrate(capsys, "align")
    assert status == 0
    assert out.startswith("aligned 1 of 2 pairs, 0 of them with warnings\n")
    assert err.startswith("titrate: humaneval_2: assisted: the marker ")
    assert not read_tokens("pair_tokens.json")["humaneval_2"].aligned_ok


def test_a_mask_of_any_form_becomes_a_points_file(here, capsys):
    (here / "mask.txt").write_text("{(46, 17), (45, 3)}")
    assert titrate(capsys, "points", "mask.txt") == (0, "2 points: points.json\n", "")
    assert json.loads((here / "points.json").read_text()) == [
        {"layer": 45, "router": 3},
        {"layer": 46, "router": 17},
    ]


def test_decode_files_are_scored(study, capsys):
    folder = study / "decode"
    folder.mkdir()
    for number in range(SAMPLES):
        for variant, body in (("agentic", "    return x"), ("assisted", "    return 0")):
            entry = {"key": f"humaneval_{number}", "variant": variant, "generated": body}
            (folder / f"humaneval_{number}_{variant}.json").write_text(json.dumps(entry))
    (folder / "humaneval_2_agentic.json").unlink()
    status, out, err = titrate(capsys, "evaluate", "decode", "--data", "data.jsonl.gz")
    assert status == 0
    assert out == (
        "agentic: 2 of 3 passed\nassisted: 0 of 3 passed\nresults: decode_eval_results.json\n"
    )
    assert err == "titrate: humaneval_2 agentic: no decode file humaneval_2_agentic.json\n"
    results = json.loads((study / "decode_eval_results.json").read_text())
    assert results["counts"]["agentic"] == {"pass": 2, "fail": 1}


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "--assisted", "assisted.json"], "--assisted needs --agentic beside it"),
        (["build", "--data", "data.jsonl.gz"], "--data needs --assisted and --agentic beside it"),
        (["build", *FILES, "--task", "humaneval"], "--task humaneval is for pairs without files"),
        (["build", "--task", "micro_gsm8k"], "no pair could be built, first microgsm8k_0: the ma"),
        (["build", "--task", "nothing"], "task.name: 'nothing' is not a task"),
        (["build", "--date", "31.1.2026"], "--date 31.1.2026 is not a day; write it as 2026-01-31"),
        (["build", "--model", "zoo/none"], "none"),
        (["align", "assisted.json"], "assisted.json: humaneval_0 has no assisted text"),
        (["align", "nowhere.json"], "nowhere.json: cannot be read"),
        (["points", "assisted.json"], "is not a point of a mask"),
        (["evaluate", "."], ".: holds no decode file of humaneval"),
    ],
)
def test_what_cannot_be_is_one_line(study, capsys, arguments, message):
    status, out, err = titrate(capsys, *arguments)
    assert status == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
