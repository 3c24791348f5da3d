from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import options
from harness.errors import OptionError, TitrateError
from harness.invariants.finding import CheckName
from harness.runs.shard import ArrayShare, Shard
from tests.runs.small import cases


@given(st.integers(1, 99), st.integers(0, 99))
def test_a_shard_reads_back_as_it_is_written(index, more):
    shard = Shard(index, index + more)
    assert Shard.parse(str(shard)) == shard


@pytest.mark.parametrize("text", ["", "1", "a/b", "1/2/3", "-1/2", "1.0/2", "1/ 2"])
def test_what_is_no_shard_is_one_line(text):
    with pytest.raises(
        TitrateError, match=rf"--titrate-shard {text}: is not a shard; use I/N, such"
    ):
        Shard.parse(text)


@pytest.mark.parametrize(("text", "remedy"), [("0/2", "use 1/2 to 2/2"), ("3/2", "use 1/2 to 2/2")])
def test_a_shard_that_there_is_not_is_one_line(text, remedy):
    error = pytest.raises(OptionError, match=f"--shard {text}: there is no such shard; .*{remedy}")
    with options.spelling(options.as_titrate), error:
        Shard.parse(text)


def test_a_run_of_no_shards_is_one_line():
    with pytest.raises(TitrateError, match="--titrate-shard 1/0: there are no shards; use 1/1"):
        Shard.parse("1/0")


@pytest.mark.parametrize("index", [1, 3, 5])
def test_more_shards_than_there_is_work_for_are_refused_by_all_of_them(index):
    asked = cases(axes={"intervention.count": [0, 1, 2]})
    with pytest.raises(
        TitrateError, match=f"shard {index}/5: there is work for 3 of 5 shards only"
    ):
        Shard(index, 5).own(asked)


@pytest.mark.parametrize("of", [1, 2, 3])
def test_every_case_is_of_one_shard_also_when_two_benches_ask_for_it(of):
    asked = cases(axes={"intervention.count": [0, 1, 2]})
    shards = [Shard(index, of).own([*asked, *asked])[0] for index in range(1, of + 1)]
    assert sorted(case.id for shard in shards for case in shard) == [case.id for case in asked]


@given(st.integers(1, 40), st.integers(1, 9))
def test_every_identity_is_of_one_shard_and_none_has_many_more_than_another(count, of):
    names = [CheckName(f"law {number}", "tiny") for number in range(count)]
    of = min(of, count)
    shards = [Shard(index, of).own([], [*names, *names])[1] for index in range(1, of + 1)]
    assert [each for shard in shards for each in shard] == names, "neighbours stay together"
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


def test_identities_are_work_for_shards_without_a_case():
    asked = cases(axes={"intervention.count": [0]})
    names = [CheckName(f"law {number}", "tiny") for number in range(3)]
    assert [Shard(index, 3).own(asked, names) for index in (1, 2, 3)] == [
        (asked, names[:1]),
        ([], names[1:2]),
        ([], names[2:]),
    ]
    with pytest.raises(TitrateError, match="shard 4/4: there is work for 3 of 4 shards only"):
        Shard(4, 4).own(asked, names)


def test_a_task_of_an_array_refuses_what_stops_itself():
    """A task has one dose, and which samples that is asked depends on the others."""
    stop = {"decide": ["pass@1 differs from baseline"]}
    asked = cases(axes={"intervention.count": [0, 1]}, dose="intervention.count", stop=stop)
    with pytest.raises(OptionError, match=r"--titrate-array small stops itself, .* leave stop out"):
        ArrayShare(0, "").own(asked)
