"""What does not fit in a bundle is found and named; bundles from strangers do no harm."""

from __future__ import annotations

import json
import random
import struct
import tracemalloc
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness.bundle.archive import MANIFEST, unpack
from harness.bundle.verify import lines, verify
from harness.bundle.write import bundle
from harness.cli.main import main
from harness.errors import BundleError, StoreError
from harness.runs.conclude import conclude
from harness.runs.rescore import recorded
from tests.bundle.forged import FOUND, HASHED, Opened, run
from tests.bundle.forged_files import TOLD, UNTOLD, run_of

SPEC = """\
name: small
model: zoo/moe
task: {name: micro_humaneval, limit: 2}
intervention: {kind: router_mask, points: {random: 0}, count: 0}
sampling: {max_new_tokens: 8}
seed: 3
axes:
  intervention.count: [0, 8, 30]
dose: intervention.count
gates: [neutral_equals_baseline]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which a run was made, and bundled."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("small.yaml").write_text(SPEC)
        harness.run("small.yaml", directory="out")
        bundle(Path("out"), Path("small.titrate"))
    return folder


@pytest.fixture
def opened(made):
    return Opened.of(made / "small.titrate")


def told(path):
    return "\n".join(lines(verify(path)))


def test_an_unchanged_bundle_fits(made, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # nothing of the run lies there
    outcome = verify(made / "small.titrate")
    assert [str(each) for each in outcome.differences] == []
    assert not outcome.left
    assert outcome.answers == 8
    assert "everything fits" in told(made / "small.titrate")
    assert list(tmp_path.iterdir()) == []


def test_equal_runs_give_equal_bytes(made, tmp_path, monkeypatch):
    monkeypatch.chdir(made)
    bundle(Path("out"), tmp_path / "again.titrate")
    assert (tmp_path / "again.titrate").read_bytes() == (made / "small.titrate").read_bytes()


@pytest.mark.parametrize("mutate", [*FOUND, *HASHED], ids=lambda each: each.__name__)
def test_a_mutation_breaks_a_hash(opened, mutate, tmp_path):
    mutate(opened, random.Random(1))
    changed = told(opened.write(tmp_path / "changed.titrate", hashed=False))
    assert "SHA-256" in changed or "missing" in changed or "manifest.json: run" in changed


@pytest.mark.parametrize("mutate", FOUND, ids=lambda each: each.__name__)
def test_a_mutation_is_named_though_every_hash_fits(opened, mutate, tmp_path):
    word = mutate(opened, random.Random(2))
    changed = told(opened.write(tmp_path / "changed.titrate", hashed=True))
    assert "everything fits" not in changed
    assert word in changed


@pytest.mark.slow
@pytest.mark.parametrize("mutate", TOLD, ids=lambda each: each.__name__)
def test_a_file_that_was_changed_is_named_though_every_hash_fits(bundles, mutate, tmp_path):
    opened = Opened.of(bundles(run_of(mutate)))
    word = mutate(opened, random.Random(2))
    changed = told(opened.write(tmp_path / "changed.titrate", hashed=True))
    assert "everything fits" not in changed
    assert word in changed


@pytest.mark.slow
def test_two_hundred_mutations(made, bundles, tmp_path):
    """Each twice: as it is, and by somebody who has made every hash fit again."""
    chance = random.Random(20)
    unnamed = Counter[str]()
    for number in range(200):
        mutate = chance.choice([*FOUND, *HASHED, *TOLD, *UNTOLD])
        run_name = run_of(mutate)
        opened = Opened.of(made / "small.titrate" if run_name is None else bundles(run_name))
        word = mutate(opened, random.Random(number))
        found = told(opened.write(tmp_path / "changed.titrate", hashed=False))
        assert word in found, (mutate.__name__, number, found)
        assert mutate is run or "SHA-256" in found or "it is missing" in found
        found = told(opened.write(tmp_path / "changed.titrate", hashed=True))
        if mutate not in (*HASHED, *UNTOLD):
            assert "everything fits" not in found, (mutate.__name__, number)
            assert word in found, (mutate.__name__, number, found)
            continue
        unnamed[mutate.__name__] += 1
        assert "everything fits" in found
        if mutate in HASHED:  # all of its completions are asked again
            outcome = verify(tmp_path / "changed.titrate", spot=8)
            assert [each.gap > 0.5 for each in outcome.asked].count(True) == 1
            assert "the same tokens, log-probabilities within 1 nats" in "\n".join(lines(outcome))
    assert unnamed == {"log_probability": 4, "another_top_token": 3}


def test_what_is_forged_with_all_its_consequences_is_found_by_the_model_alone(
    made, tmp_path, monkeypatch
):
    monkeypatch.chdir(made)
    info, results, findings, claims = recorded("out", made)
    victim = next(each for each in results if each.case.dose == 30)
    source = next(each for each in results if each.case.dose == 8)
    draws = tuple(
        replace(theirs, completion=mine.completion)
        for mine, theirs in zip(source.draws, victim.draws, strict=True)
    )
    assert any(a != b for a, b in zip(draws, victim.draws, strict=True))
    from harness.runs.rescore import rescored

    forged = [replace(each, draws=draws) if each is victim else each for each in results]
    conclude(info, rescored(forged), tmp_path / "forged", findings, claims)
    bundle(tmp_path / "forged", tmp_path / "forged.titrate")
    outcome = verify(tmp_path / "forged.titrate", spot=8)
    assert [str(each) for each in outcome.differences] == []
    assert [each.agrees for each in outcome.asked].count(False) >= 1
    assert any(str(each).startswith("small[count=30]") for each in outcome.asked if not each.agrees)


def test_code_is_not_run_where_nothing_isolates_it(made, monkeypatch):
    from harness.errors import SandboxError
    from harness.tasks.micro_humaneval import MicroHumanEval

    def refused(self, *, unsafe_code=False):
        raise SandboxError("no isolation here")

    monkeypatch.setattr(MicroHumanEval, "scored_here", refused)
    from harness.resolve import tasks

    tasks._ready.cache_clear()
    outcome = verify(made / "small.titrate")
    tasks._ready.cache_clear()
    assert outcome.answers == 0
    assert outcome.left[0].startswith("not re-executed: 2 answers of small[")
    assert not outcome.differences


@pytest.mark.parametrize("python", [None, "2.7.18"])
def test_another_python_may_say_otherwise_why_an_answer_is_wrong(python, opened, tmp_path):
    records, document = opened.records, opened.report
    records[1]["draws"][0]["score"][2:3] = ["invalid syntax, as some version has it"]
    opened.records = records
    if python is not None:
        document["run"]["versions"]["python"] = python
        opened.report = document
    outcome = verify(opened.write(tmp_path / "x.titrate", hashed=True))
    said = [str(each) for each in (*outcome.differences, *outcome.left)]
    assert len(said) == 1
    assert ("score.detail: stored 'invalid syntax" if python is None else "2.7.18") in said[0]
    assert bool(outcome.differences) == (python is None)


def test_what_a_run_has_not_selected_is_told_and_is_no_difference(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SPEC)
    harness.run("small.yaml", directory="out", select="not 30")
    bundle(Path("out"), Path("part.titrate"))
    outcome = verify(Path("part.titrate"))
    assert outcome.differences == []
    (line,) = outcome.left
    assert line == (
        "cases of small.yaml that are not in the bundle: small[count=30]: "
        "the run has not selected them: harness.run -k 'not 30'"
    )
    opened = Opened.of(tmp_path / "part.titrate")
    report = opened.report
    report["run"]["command"] = "harness.run -k 0"  # which would have left out more
    opened.report = report
    outcome = verify(opened.write(tmp_path / "forged.titrate", hashed=True))
    said = [str(each) for each in outcome.differences]
    assert said == ["small[count=30]: case: stored it is missing, recomputed a case of small.yaml"]


def test_points_of_a_file_go_with_the_bundle_and_are_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    points = [{"layer": 1, "router": 3}, {"layer": 0, "router": 2}]
    Path("points.json").write_text(json.dumps(points))
    spec = SPEC.replace("{random: 0}", "{file: points.json}").replace("[0, 8, 30]", "[0, 1]")
    Path("small.yaml").write_text(spec)
    harness.run("small.yaml", directory="out")
    bundle(Path("out"), Path("x.titrate"))
    Path("points.json").unlink()
    outcome = verify(Path("x.titrate"))
    assert (outcome.differences, outcome.left) == ([], [])
    opened = Opened.of(tmp_path / "x.titrate")
    opened.files["points.json"] = json.dumps(points[::-1]).encode()
    changed = told(opened.write(tmp_path / "changed.titrate", hashed=True))
    assert "small[count=1]: intervention.points[0][0]: stored 1, recomputed 0" in changed
    del opened.files["points.json"]
    del opened.manifest["files"]["points.json"]
    outcome = verify(opened.write(tmp_path / "without.titrate", hashed=True))
    assert any("not resolved again: the interventions of 2 cases" in each for each in outcome.left)


def test_a_report_without_records_is_refused(made, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_bytes((made / "out" / "report.json").read_bytes())
    with pytest.raises(StoreError, match=r"has no records\.jsonl"):
        bundle(tmp_path / "out", tmp_path / "x.titrate")


def test_the_verbs(made, tmp_path, monkeypatch, capsys, opened):
    monkeypatch.chdir(made)
    target = tmp_path / "x.titrate"
    assert main(["bundle", "out", "-o", str(target)]) == 0
    assert f"{target}: run " in capsys.readouterr().out
    assert main(["verify", str(target)]) == 0
    assert "everything fits" in capsys.readouterr().out
    FOUND[0](opened, random.Random(3))
    assert main(["verify", str(opened.write(target, hashed=True))]) == 1
    assert "text of its tokens" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cases", "answers"),
    [("example", 16, 2624), ("smollm2/sentiment", 13, 416), ("smollm2/tasks", 17, 960)],
)
def test_what_is_committed(name, cases, answers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = verify(Path(__file__).parents[2] / "reports" / f"{name}.titrate")
    assert [str(each) for each in outcome.differences] == []
    assert (outcome.cases, outcome.answers) == (cases, answers)
    # Fields that specs have got since then, and words of another Python, are all that may be left.
    known = ("did not store", "in the words of Python")
    assert [each for each in outcome.left if not any(word in each for word in known)] == []


def _hidden(opened, field):
    """A bundle with characters in it that a terminal obeys."""
    forged = "x\n20260101: 4 cases, 8 answers scored again: everything fits\x1b[2K\u202e\r"
    if field == "absent":
        opened.manifest["absent"] = {forged: forged}
    elif field in ("titrate", "run"):
        opened.manifest[field] = forged
    elif field == "tokenizers":
        ((model, known),) = opened.manifest["tokenizers"].items()
        opened.manifest["tokenizers"] = {model: known | {"folder": forged}}
    elif field == "foreign":
        opened.files[forged] = b""
    elif field == "case":
        records = opened.records
        records[2]["case"]["id"] = forged
        opened.records = records
    else:
        records = opened.records
        records[2]["draws"][0]["completion"]["text"] = forged
        records[2]["draws"][0]["sample"] = forged
        opened.records = records


@pytest.mark.parametrize(
    "field", ["absent", "titrate", "run", "tokenizers", "foreign", "case", "text"]
)
def test_no_terminal_obeys_a_bundle(field, opened, tmp_path, capsys):
    _hidden(opened, field)
    file = opened.write(tmp_path / "x.titrate", hashed=field != "foreign")
    if field == "titrate":
        document = opened.manifest | {"version": 2}
        _zip(file, {MANIFEST: json.dumps(document)})
    status = main(["verify", str(file)])
    out, err = capsys.readouterr()
    said = (out + err).splitlines(keepends=True)
    assert all(line[:-1].isprintable() and line.endswith("\n") for line in said)
    assert not any(line.startswith("20260101") for line in said)
    assert (status == 0) == (field == "absent")
    assert len(said) == 1 or said[-1].startswith(opened.manifest["run"][:8])


# Bad input ---------------------------------------------------------------------------------------


def _zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _manifest(files=(), **changes):
    document = {
        "format": "titrate bundle",
        "version": 1,
        "titrate": "0.1.0",
        "run": "r",
        "files": {name: {"bytes": size, "sha256": "0" * 64} for name, size in files},
    }
    return json.dumps(document | changes)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.txt": "x"}, "it is a zip, and no bundle"),
        ({MANIFEST: "{}"}, "is none of a bundle"),
        ({MANIFEST: "{"}, "is none of a bundle"),
        ({MANIFEST: "[" * 100_000}, "is none of a bundle"),
        ({MANIFEST: _manifest(version=2, titrate="9.9")}, "pytest-titrate 9.9"),
        ({MANIFEST: _manifest([("../out", 1)]), "../out": "x"}, "is no path inside"),
        ({MANIFEST: _manifest([("/etc/out", 1)]), "/etc/out": "x"}, "is no path inside"),
        ({MANIFEST: _manifest([("a\\..\\b", 1)]), "a\\..\\b": "x"}, "is no path inside"),
        ({MANIFEST: _manifest(), "more": "x"}, "does not list"),
        ({MANIFEST: _manifest([("a", 1), ("a/b", 1)]), "a": "x", "a/b": "x"}, "file and a folder"),
        ({MANIFEST: _manifest([("bomb", 9)]), "bomb": b"\0" * (8 << 20)}, "more than the 9 bytes"),
        ({MANIFEST: _manifest([("huge", 8 << 30)]), "huge": b"\0"}, "are taken at most"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_a_strangers_zip_is_refused_in_a_line(files, said, tmp_path, capsys):
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    file = _zip(folder / "x.titrate", files)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BundleError, match=r"x\.titrate: ") as refused:
        verify(file)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert main(["verify", str(file)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_a_bomb_is_not_unpacked_whichever_way_it_is_packed(how, tmp_path):
    file = tmp_path / "x.titrate"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(MANIFEST, _manifest([("bomb", 9)]))
        archive.writestr("bomb", b"\0" * (64 << 20), how)
    assert file.stat().st_size < 20_000
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="more than the 9 bytes"):
            verify(file)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_many_files_that_are_small_by_the_manifest_are_a_bomb(tmp_path, monkeypatch):
    names = [f"f{number}" for number in range(60)]
    file = _zip(
        tmp_path / "x.titrate",
        {MANIFEST: _manifest([(name, 1) for name in names])}
        | dict.fromkeys(names, b"\0" * (64 << 10)),
    )
    root = tmp_path / "root"
    with pytest.raises(BundleError, match="more than the 1 bytes it claims"):
        unpack(file, root)
    assert sum(each.stat().st_size for each in root.iterdir()) <= 1 << 20


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA], ids=["deflate", "lzma"])
def test_a_file_that_unpacks_to_more_than_its_zip_says_is_not_unpacked(how, tmp_path):
    file = tmp_path / "x.titrate"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(MANIFEST, _manifest([("bomb", 9)]))
        archive.writestr("bomb", b"\0" * 9000, how)
        archive.getinfo("bomb").file_size = 9  # of the directory, which is written last
    root = tmp_path / "root"
    with pytest.raises(BundleError):
        unpack(file, root)
    assert (root / "bomb").stat().st_size <= 9


def test_a_packing_that_asks_for_gigabytes_of_memory_is_refused(tmp_path):
    file = tmp_path / "x.titrate"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(MANIFEST, _manifest([("a", 1)]))
        archive.writestr("a", b"x", zipfile.ZIP_LZMA)
    whole = file.read_bytes()
    own = whole.index(b"\x5d" + struct.pack("<I", 8 << 20))  # properties, and the dictionary
    file.write_bytes(whole[: own + 1] + struct.pack("<I", 0xFFFFFFFF) + whole[own + 5 :])
    with pytest.raises(BundleError, match="more memory than bundles do"):
        verify(file)


def test_a_tokenizer_of_its_own_code_is_not_loaded(opened, tmp_path, monkeypatch):
    """Though somebody says yes to whatever is asked."""
    ran, folder = tmp_path / "ran", "tokenizers/0"
    settings = json.loads(opened.files[f"{folder}/tokenizer_config.json"])
    settings |= {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    opened.files[f"{folder}/tokenizer_config.json"] = json.dumps(settings).encode()
    opened.files[f"{folder}/own.py"] = (
        f"open({str(ran)!r}, 'w')\nfrom transformers import PreTrainedTokenizer\n"
        "class Own(PreTrainedTokenizer): pass\n"
    ).encode()
    asked = []
    monkeypatch.setattr("builtins.input", lambda prompt="": asked.append(prompt) or "y")
    outcome = verify(opened.write(tmp_path / "x.titrate", hashed=True))
    said = [str(each) for each in outcome.differences]
    assert len([each for each in said if "tokenizers/0 is no tokenizer" in each]) == 1
    assert not asked
    assert not ran.exists()


def test_a_truncated_bundle_is_refused(made, tmp_path):
    whole = (made / "small.titrate").read_bytes()
    for share in (0, 0.3, 0.9, 0.999):
        cut = tmp_path / "cut.titrate"
        cut.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(BundleError):
            verify(cut)


def test_a_bit_that_flipped_is_found(made, tmp_path):
    whole = bytearray((made / "small.titrate").read_bytes())
    whole[len(whole) // 3] ^= 1
    (tmp_path / "x.titrate").write_bytes(whole)
    with pytest.raises(BundleError):
        verify(tmp_path / "x.titrate")


def test_a_task_of_ones_own_goes_with_the_bundle(made, tmp_path, monkeypatch):
    """With the spec that is extended, beside a file that lay elsewhere."""
    home = tmp_path / "home"
    (home / "specs").mkdir(parents=True)
    data = tmp_path / "elsewhere" / "questions.jsonl"
    data.parent.mkdir()
    data.write_text('{"q": "2 + 2 =", "a": "4"}\n{"q": "1 + 1 =", "a": "2"}\n')
    (home / "specs" / "base.yaml").write_text(
        f"task: {{path: {data}, answer: number, fields: {{prompt: q, answer: a}}}}\n"
        "model: zoo/base\n"
        "prompt: {style: completion}\nsampling: {max_new_tokens: 4}\n"
    )
    (home / "specs" / "own.yaml").write_text("extends: base.yaml\nname: own\n")
    monkeypatch.chdir(home)
    harness.run("specs/own.yaml", directory="out")
    manifest = bundle(Path("out"), tmp_path / "own.titrate")
    assert {"specs/base.yaml", "specs/own.yaml"} <= set(manifest.files)
    assert next(iter(manifest.moved.values())).endswith("/questions.jsonl")
    data.unlink()
    monkeypatch.chdir(tmp_path)
    outcome = verify(tmp_path / "own.titrate")
    assert [str(each) for each in outcome.differences] == []
    assert outcome.left == []
    assert outcome.answers == 2
    opened = Opened.of(tmp_path / "own.titrate")
    inside = next(iter(manifest.moved.values())).removeprefix("./")
    opened.files[inside] = opened.files[inside].replace(b'"4"', b'"5"')
    changed = told(opened.write(tmp_path / "changed.titrate", hashed=True))
    assert "everything fits" not in changed or "4" not in changed


def test_data_that_may_not_be_given_away_are_hashes(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.jsonl").write_text('{"q": "2 + 2 =", "a": "4"}\n{"q": "1 + 1 =", "a": "2"}\n')
    Path("own.yaml").write_text(
        "name: own\nmodel: zoo/base\nprompt: {style: completion}\nsampling: {max_new_tokens: 4}\n"
        "task: {path: own.jsonl, answer: number, fields: {prompt: q, answer: a}}\n"
    )
    harness.run("own.yaml", directory="out")
    manifest = bundle(Path("out"), Path("own.titrate"), withheld=[Path("own.jsonl")])
    assert "own.jsonl" not in manifest.files
    outcome = verify(Path("own.titrate"))
    assert [str(each) for each in outcome.differences] == []
    assert [each.split(":")[0] for each in outcome.left] == ["not in the bundle", "not re-scored"]
    opened = Opened.of(made / "small.titrate")
    opened.files["samples.json"] = opened.files["samples.json"].replace(b'": "', b'": "0', 1)
    changed = told(opened.write(tmp_path / "changed.titrate", hashed=True))
    assert "small[baseline] samples: MicroHumanEval/0: stored" in changed


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(BundleError, match="No such file"):
        verify(tmp_path / "x.titrate")
