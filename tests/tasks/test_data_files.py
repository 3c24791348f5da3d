import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TaskError
from harness.tasks.data_files import each_of, read_records, rows_of

GOOD = '{"question": "a\u2028b", "answer": "c", "extra": 1}'


def test_plain_and_compressed_files_are_read_and_blank_lines_skipped(tmp_path):
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    plain.write_text(f"{GOOD}\n\n{GOOD}\n")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for file in (plain, packed):
        records = read_records(file, ("question", "answer"))
        assert [record["question"] for record in records] == ["a\u2028b"] * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"a\.jsonl: holds no record; expected .* with question, answer"),
        (f"{GOOD}\n{{", r"a\.jsonl:2: is not JSON"),
        ("[1]", r"a\.jsonl:1: is not a JSON object"),
        ('{"question": "q"}', r"a\.jsonl:1: no text in answer \(found question\)"),
        ('{"question": 1, "answer": null}', r"a\.jsonl:1: no text in question, answer"),
        ("{}", r"found no field"),
        (f"{GOOD}\n{'[' * 100_000}", r"a\.jsonl:2: is not JSON \(it is nested too deep\)"),
        (
            f'{GOOD}\n{{"question": "a\\ud83d", "answer": "b"}}',
            r"a\.jsonl:2: is not JSON \('\\ud83d' is half of a surrogate pair and no character\)",
        ),
    ],
)
def test_a_wrong_file_says_where_and_what(tmp_path, content, message):
    file = tmp_path / "a.jsonl"
    file.write_text(content)
    with pytest.raises(TaskError, match=message):
        read_records(file, ("question", "answer"))


def test_of_several_wrong_lines_all_are_named(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(["{", GOOD, "[1]", '{"question": "q"}']))
    with pytest.raises(TaskError, match=r"a\.jsonl:1: is not JSON .*; wrong, too: lines 3, 4$"):
        read_records(file, ("question", "answer"))


@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(lambda each: not all(each)))
def test_as_many_are_told_of_as_are_wrong(right):
    rows = [(f"a.parquet row {n}", fine) for n, fine in enumerate(right, start=1)]

    def use(place, fine):
        if not fine:
            raise TaskError(f"{place}: is wrong")

    with pytest.raises(TaskError) as told:
        each_of(rows, use)
    first, _, others = str(told.value).partition("; wrong, too: record")
    named, _, more = others.removeprefix("s").partition(" and ")
    numbers = [int(each) for each in named.split(",") if each.strip()]
    wrong = [n for n, fine in enumerate(right, start=1) if not fine]
    assert first == f"a.parquet row {wrong[0]}: is wrong"
    assert numbers == wrong[1:7]
    assert len(numbers) + int(more.partition(" ")[0] or 0) == len(wrong) - 1


def test_unreadable_files_are_named(tmp_path):
    binary = tmp_path / "b.jsonl"
    binary.write_bytes(b"\xff\xfe")
    for file in (tmp_path / "missing.jsonl", binary, tmp_path):
        with pytest.raises(TaskError, match=r"cannot be read \((?!\[Errno)"):
            read_records(file, ("question",))


def test_a_mark_of_the_byte_order_and_whole_surrogate_pairs_are_read(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"question": "\\ud83d\\ude00"}\r\n')
    assert read_records(file, ("question",)) == [{"question": "\U0001f600"}]


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(gzip.compress(b" " * (3 << 20)))
    monkeypatch.setattr("harness.files.given.content.__defaults__", (1 << 20,))
    monkeypatch.setattr("harness.files.given.text.__defaults__", (1 << 20,))
    with pytest.raises(TaskError, match=r"cannot be read \(unpacks to more than 1 MiB\)"):
        read_records(file, ("question",))


def test_parquet_files_hold_the_same_records(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"question": ["q", "r"], "answer": ["a", None]}), file)
    with pytest.raises(TaskError, match=r"a\.parquet row 2: no text in answer"):
        read_records(file, ("question", "answer"))
    assert [record["question"] for record in read_records(file, ("question",))] == ["q", "r"]


def test_a_file_that_only_claims_to_be_parquet_is_refused(tmp_path):
    file = tmp_path / "a.parquet"
    file.write_text(GOOD)
    with pytest.raises(TaskError, match=r"a\.parquet: cannot be read \(.*expected a Parquet file"):
        read_records(file, ("question",))


def test_parquet_without_its_library_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.tasks.data_files.find_spec", lambda _: None)
    with pytest.raises(TaskError, match=r"pip install 'pytest-titrate\[parquet\]'"):
        read_records(tmp_path / "a.parquet", ("question",))


def test_cells_of_csv_are_texts_with_the_line_in_which_they_begin(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text('prompt,answer\n"one\nor two",007\n\n"a, ""b""",\n')
    assert list(rows_of(file, "prompt")) == [
        (f"{file}:2", {"prompt": "one\nor two", "answer": "007"}),
        (f"{file}:5", {"prompt": 'a, "b"', "answer": ""}),
    ]


def test_a_cell_of_csv_may_hold_a_document(tmp_path):
    (tmp_path / "x.csv").write_text(f"prompt\n{'a' * 200_000}\n")
    ((_, record),) = rows_of(tmp_path / "x.csv", "prompt")
    assert len(record["prompt"]) == 200_000


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("prompt,prompt\na,b\n", r":1: has two columns 'prompt'; rename one"),
        ("prompt,answer\na\n", r":2: has 1 cells, and the first line names 2 columns"),
        ('prompt,answer\na,b\nc,"d\n', r":3: is not CSV \(unexpected end of data\)"),
        ("prompt,answer\n", r": holds no record; expected columns prompt"),
        ("", r": holds no record; expected columns prompt"),
    ],
)
def test_what_is_no_csv_is_named_by_its_line(tmp_path, content, problem):
    file = tmp_path / "x.csv"
    file.write_text(content)
    with pytest.raises(TaskError, match=rf"x\.csv{problem}"):
        each_of(rows_of(file, "prompt"), lambda _, record: record)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('[{"prompt": 1}, 2]', r" record 2: is not a JSON object"),
        ('{"prompt": 1}', r": is not a JSON list; expected objects with prompt"),
        ("[", r": is not JSON \("),
        ("[]", r": holds no record"),
    ],
)
def test_a_json_file_is_a_list_of_objects(tmp_path, content, problem):
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(TaskError, match=rf"x\.json{problem}"):
        each_of(rows_of(file, "prompt"), lambda _, record: record)
