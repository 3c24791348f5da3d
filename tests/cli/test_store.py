"""`titrate store` and `titrate rescore` as they are typed."""

from __future__ import annotations

import pytest

import harness
from harness.cli.main import main
from harness.engines.contract import Completion
from harness.store.completions import CompletionStore, key_of, shards
from tests.cli.test_main import SPEC


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC)
    return tmp_path


@pytest.fixture
def store(here):
    """Two completions of one engine, in the default place."""
    store = CompletionStore(here / ".titrate" / "store")
    engine = {"model": "zoo/moe", "fingerprint": "f", "determinism": {"dtype": "float32"}}
    store.put_value(key_of("engine", "x"), engine, "engine", "a" * 64)
    for number in range(2):
        store.put(key_of("a", str(number)), Completion((1, 2, 3), "text", "stop"), "a" * 64)
    store.close()
    return store.directory


def lines(capsys) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_list_shows_what_is_stored_by_model(store, capsys):
    assert main(["store", "list"]) == 0
    head, *table = lines(capsys)
    assert head.startswith(".titrate/store: 1 file, ")
    (row,) = [line.split() for line in table if line.startswith("zoo/moe")]
    assert row[:5] == ["zoo/moe", "a" * 12, "float32", "2", "6"]
    assert all(len(line) <= 80 for line in table)


def test_verify_says_how_many_records_are_whole(store, capsys):
    assert main(["store", "verify"]) == 0
    assert lines(capsys) == [
        ".titrate/store: 3 records whole, 0 places that cannot be used",
    ]
    (shard,) = shards(store)
    shard.write_bytes(shard.read_bytes()[:-3])
    assert main(["store", "verify", "--store", ".titrate/store"]) == 1
    damage, summary = lines(capsys)
    assert damage.startswith(f".titrate/store/{shard.name}: the record at byte ")
    assert summary.startswith(".titrate/store: 2 records whole, 1 place that cannot be used; ")


def test_verdicts_are_listed_verified_and_no_part_of_a_model(store, capsys):
    kept = CompletionStore(store)
    kept.put_value("1" * 64, [True, True, "passed", False], "verdict", "sums, version 3")
    kept.put_value("2" * 64, [True, True, "passed"], "verdict", "sums, version 3")
    kept.close()
    assert main(["store", "list"]) == 0
    assert lines(capsys)[-1].startswith("verdicts of sums, version 3: 1, ")
    assert main(["store", "verify"]) == 1
    assert lines(capsys)[-1].startswith(".titrate/store: 4 records whole, 1 place")
    assert main(["store", "prune", "--model", "zoo/moe", "--damaged", "--yes"]) == 0
    assert len(CompletionStore(store)) == 1


def test_prune_says_what_would_go_before_it_goes(store, capsys):
    assert main(["store", "prune", "--model", "zoo/moe"]) == 0
    assert "3 records, " in lines(capsys)[-1]
    assert len(CompletionStore(store)) == 3
    assert main(["store", "prune", "--model", "zoo/moe", "--older-than", "1", "--yes"]) == 0
    assert lines(capsys) == [".titrate/store: 0 records, 0 B taken out"]
    assert main(["store", "prune", "--model", "zoo/moe", "--yes"]) == 0
    (file, summary) = lines(capsys)
    assert ": the whole file, " in file
    assert summary.startswith(".titrate/store: 3 records, ")
    assert shards(store) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["store", "prune"], "titrate: store prune: nothing is chosen; give --older-than DAYS, "),
        (
            ["store", "prune", "--older-than", "x"],
            "titrate store prune: argument --older-than: x is not ",
        ),
        (["store", "prune", "--older-than", "-1"], "titrate store prune: argument --older-than: "),
        (["store", "prune", "--model", "zoo/x"], "titrate: zoo/x: nothing is stored of this mod"),
        (["store", "list", "--store", "nowhere"], "titrate: nowhere: there is no completion sto"),
        (
            ["store", "list", "--store", "."],
            "titrate: .: is not a completion store: it holds small",
        ),
        (["store"], "titrate store: the following arguments are required: VERB"),
        (["rescore", "nothing"], "titrate: nothing: is neither a run below "),
        (["run", "small.yaml", "--store", "small.yaml"], "titrate: small.yaml: no completion st"),
        (
            ["run", "small.yaml", "--store", "."],
            "titrate: .: is not a completion store: it holds s",
        ),
        (
            ["run", "small.yaml", "--plan", "--store", "."],
            "titrate: .: is not a completion store: ",
        ),
        (
            ["run", "small.yaml", "--report", "."],
            "titrate: .: is not a report: it holds small.yaml",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_line(store, here, capsys, arguments, message):
    held = sorted(here.rglob("*"))
    try:
        status = main(arguments)
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
    assert sorted(here.rglob("*")) == held


def test_a_store_that_cannot_be_written_is_one_line(here, capsys):
    """Found before the model is loaded; nobody, not even the superuser, writes into /proc."""
    assert main(["run", "small.yaml", "--store", "/proc/store"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("titrate: /proc/store: completions cannot be stored: ")
    assert error.count("\n") == 1
    assert not (here / ".titrate").exists()


def test_a_run_is_planned_run_and_scored_again(here, capsys):
    assert main(["run", "small.yaml", "--plan"]) == 0
    out, err = capsys.readouterr()
    assert "1 model load; nothing was run." in out
    assert "loading" not in err
    assert not (here / ".titrate").exists()
    assert main(["run", "small.yaml", "--report", "out"]) == 0
    capsys.readouterr()
    assert main(["run", "small.yaml", "--plan"]) == 0
    assert "0 model loads; nothing was run." in capsys.readouterr().out
    assert main(["rescore", "out", "--report", "again"]) == 0
    *_, change, place = lines(capsys)
    assert change == "nothing changed: 6 answers are judged as before"
    assert place == "report: again/index.html"
    assert harness.load_report("again").report.run.command == "titrate rescore out --report again"


def test_an_older_report_is_replaced_and_it_is_said(here, capsys):
    for _ in range(2):
        assert main(["run", "small.yaml", "--report", "out", "--set", "intervention.count=0"]) == 0
    assert "titrate: the report in out will be replaced\n" in capsys.readouterr().err
