from __future__ import annotations

import pickle

import pytest
import torch
from safetensors.torch import save_file

from harness.errors import FieldError
from harness.interventions.array import Array
from harness.interventions.vector_file import (
    FORMAT,
    Logistic,
    SteeringVectors,
    read_vectors,
    write_vectors,
)

GOOD = {"format": FORMAT, "site": "block", "residual_norm.3": "2.0"}


def test_what_is_written_is_read(tmp_path):
    vectors = SteeringVectors(
        "mlp",
        {11: Array([3.0, 4.0]), 2: Array([1e-7, -2.5])},
        {11: 20.0, 2: 0.1 + 0.2},
        {"method": "mean"},
        {2: Logistic(0.1 + 0.2, -1.5)},
    )
    write_vectors(vectors, tmp_path / "v.safetensors")
    again = read_vectors(tmp_path / "v.safetensors")
    assert again.vectors == vectors.vectors
    assert list(again.vectors) == [2, 11]
    assert again.residual_norms == vectors.residual_norms
    assert (again.site, again.facts) == ("mlp", {"method": "mean"})
    assert again.probes == vectors.probes
    assert again.unit(11) == 4.0


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"layer.3": torch.ones(2)}, {}, "its format is 'none', not"),
        ({"layer.3": torch.ones(2)}, {**GOOD, "site": "gate"}, "its site is 'gate'; known are"),
        ({"layer.3": torch.ones(2, 2)}, GOOD, r"layer.3 of shape \[2, 2\] is not a vector"),
        ({"layer3": torch.ones(2)}, GOOD, "tensor layer3 of shape"),
        ({"layer.3": torch.ones(2)}, {**GOOD, "residual_norm.3": "-1"}, "residual_norm.3 is '-1'"),
        ({"layer.3": torch.ones(2)}, {**GOOD, "probe.3": "[1]"}, r"probe.3 is '\[1\]'; expected"),
        ({"layer.3": torch.ones(2)}, {**GOOD, "probe.3": "[1, NaN]"}, "probe.3 is .*; expected"),
        ({}, GOOD, "it holds no vector"),
        ({"layer.3": torch.tensor([1.0, torch.nan])}, GOOD, r"layer.3: entry \[1\] is nan"),
    ],
)
def test_a_file_that_is_not_what_it_claims_is_refused_whole(tmp_path, tensors, metadata, message):
    file = tmp_path / "v.safetensors"
    save_file(tensors, file, metadata)
    with pytest.raises(FieldError, match=message) as raised:
        read_vectors(file)
    assert str(file) in str(raised.value)
    assert "titrate vectors build" in str(raised.value)


def test_a_pickle_is_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was executed",))

    (tmp_path / "v.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(FieldError, match="cannot be read as safetensors"):
        read_vectors(tmp_path / "v.safetensors")
