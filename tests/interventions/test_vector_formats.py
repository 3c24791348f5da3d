from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.errors import VectorError
from harness.interventions.array import Array
from harness.interventions.vector_file import Logistic, SteeringVectors
from harness.interventions.vector_formats import joined, read_any, write_as, write_own

finite = st.floats(-1e6, 1e6, width=32)


@given(
    st.dictionaries(
        st.integers(0, 90), arrays(np.float32, 6, elements=finite), min_size=1, max_size=4
    ),
    st.sampled_from([".gguf", ".pt", ".safetensors"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_every_format_gives_back_the_same_numbers(tmp_path, numbers, suffix):
    vectors = SteeringVectors("block", {at: Array(one) for at, one in numbers.items()}, {})
    file = tmp_path / f"v{suffix}"
    write_own(vectors, file) if suffix == ".safetensors" else write_as(vectors, file, None)
    assert dict(read_any(file).vectors) == dict(vectors.vectors)


def test_files_are_joined_layer_by_layer():
    one = SteeringVectors("block", {5: Array([1.0, 2.0])}, {5: 3.0})
    probes = {2: Logistic(1.0, 2.0)}
    other = SteeringVectors("block", {2: Array([0.0, 1.0])}, {}, probes=probes)
    both = joined([(Path("a.pt"), one), (Path("b.pt"), other)])
    assert list(both.vectors) == [2, 5]
    assert both.residual_norms == {5: 3.0}
    assert both.probes == probes


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (SteeringVectors("block", {5: Array([1.0, 2.0])}, {}), r"b.pt: has a vector of layer 5"),
        (SteeringVectors("block", {6: Array([1.0])}, {}), "b.pt: vectors of width 1 and site"),
        (SteeringVectors("mlp", {6: Array([1.0, 2.0])}, {}), "width 2 and site mlp do not go"),
    ],
)
def test_files_that_do_not_fit_together_are_named(other, message):
    one = SteeringVectors("block", {5: Array([1.0, 2.0])}, {})
    with pytest.raises(VectorError, match=message):
        joined([(Path("a.pt"), one), (Path("b.pt"), other)])


def test_one_file_has_one_width():
    uneven = SteeringVectors("block", {0: Array([1.0]), 1: Array([1.0, 2.0])}, {})
    with pytest.raises(VectorError, match=r"a.pt: its vectors are of different widths \[1, 2\]"):
        joined([(Path("a.pt"), uneven)])


def test_names_say_the_format(tmp_path):
    vectors = SteeringVectors("block", {5: Array([1.0, 2.0])}, {})
    with pytest.raises(VectorError, match="its name says no format"):
        write_as(vectors, tmp_path / "v.bin", None)
    with pytest.raises(VectorError, match=r"v.bin: is not a known kind of file"):
        read_any(tmp_path / "v.bin")
    with pytest.raises(VectorError, match=r"end it in .safetensors"):
        write_own(vectors, tmp_path / "v.pt")
    (tmp_path / "closed").write_text("a file, not a folder")
    with pytest.raises(VectorError, match="cannot be written"):
        write_as(vectors, tmp_path / "closed" / "v.gguf", None)
