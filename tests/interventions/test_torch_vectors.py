from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from harness.errors import VectorError
from harness.interventions.array import Array
from harness.interventions.torch_vectors import read_torch, write_caa, write_steering_vectors
from harness.interventions.vector_file import SteeringVectors

VECTORS = SteeringVectors("attention", {1: Array([3.0, 4.0]), 7: Array([1e-7, -2.5])}, {1: 2.0})


class Trap:
    """What a hostile file holds: unpickled, it would call a function of its author's choice."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


def test_the_fields_of_a_steering_vector_are_written_and_read(tmp_path):
    write_steering_vectors(VECTORS, tmp_path / "v.pt")
    again = read_torch(tmp_path / "v.pt")
    assert (again.site, again.vectors, again.residual_norms) == ("attention", VECTORS.vectors, {})


def test_the_inner_mapping_alone_is_of_blocks(tmp_path):
    torch.save({3: torch.ones(4).half(), 0: torch.zeros(1, 4)}, tmp_path / "v.pt")
    read = read_torch(tmp_path / "v.pt")
    assert read.site == "block"
    assert read.vectors == {0: Array([0.0] * 4), 3: Array([1.0] * 4)}
    assert list(read.vectors) == [0, 3]


def test_a_bare_tensor_has_its_layer_in_its_name_or_is_told(tmp_path):
    one = SteeringVectors("block", {13: Array([1.0, 2.0])}, {})
    file = tmp_path / "vec_layer_13_Llama-2-7b-chat-hf.pt"
    write_caa(one, file)
    assert torch.equal(torch.load(file, weights_only=True), torch.tensor([1.0, 2.0]))
    assert read_torch(file).vectors == one.vectors
    assert list(read_torch(file, layer=4).vectors) == [4]
    nameless = file.rename(tmp_path / "v.pt")
    with pytest.raises(VectorError, match=r"v.pt: neither the file nor its name says which layer"):
        read_torch(nameless)


def test_a_caa_file_holds_one_vector_of_a_block(tmp_path):
    with pytest.raises(VectorError, match="one vector of a block's output, and these are of"):
        write_caa(VECTORS, tmp_path / "v.pt")


@pytest.mark.parametrize("protocol", [None, 2, 4], ids=["archive", "bare", "bare_recent"])
def test_a_hostile_pickle_is_refused_and_never_executed(tmp_path, protocol):
    file, mark = tmp_path / "v.pt", tmp_path / "executed"
    if protocol is None:
        torch.save({0: Trap(mark)}, file)
    else:
        file.write_bytes(pickle.dumps(Trap(mark), protocol=protocol))
    # torch's unpickler stops at the first opcode of recent protocols, before any name.
    told = (
        "cannot be read as tensors" if protocol == 4 else "holds posix.mkdir, which is not a tensor"
    )
    with pytest.raises(VectorError, match=told) as raised:
        read_torch(file)
    assert "\n" not in str(raised.value)
    assert not mark.exists()
    # It is a real one: what Python's own unpickler does with it.
    pickle.loads(pickle.dumps(Trap(mark)))
    assert mark.exists()


def test_an_object_of_a_class_is_refused_by_its_name(tmp_path):
    torch.save(VECTORS, tmp_path / "v.pt")
    with pytest.raises(VectorError, match=r"holds harness.*SteeringVectors, which is not a tensor"):
        read_torch(tmp_path / "v.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "holds a dict; expected a tensor"),
        ([torch.ones(2)], "holds a list; expected a tensor"),
        ({"layer.3": torch.ones(2)}, "its entry 'layer.3' is a Tensor; expected"),
        ({3: [1.0]}, "its entry 3 is a list; expected"),
        ({3: torch.ones(2, 2)}, r"layer 3: a tensor of shape \[2, 2\]"),
        ({3: torch.ones(2).int()}, "and type torch.int32; expected"),
        ({3: torch.tensor([0.0, torch.inf])}, r"layer 3: entry \[1\] is inf; every number"),
        ({"layer_activations": {0: torch.ones(2)}, "layer_type": "ln"}, "its layer_type is 'ln'"),
    ],
)
def test_what_is_no_vector_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "v.pt")
    with pytest.raises(VectorError, match=message) as raised:
        read_torch(tmp_path / "v.pt")
    assert str(raised.value).startswith(str(tmp_path / "v.pt"))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_missing_or_broken_is_told_in_one_line(tmp_path):
    with pytest.raises(VectorError, match=r"v.pt: cannot be read: No such file"):
        read_torch(tmp_path / "v.pt")
    (tmp_path / "v.pt").write_bytes(b"PK\x03\x04 but no archive")
    with pytest.raises(VectorError, match=r"v.pt: cannot be read as tensors") as raised:
        read_torch(tmp_path / "v.pt")
    assert "\n" not in str(raised.value)
