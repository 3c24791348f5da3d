from __future__ import annotations

from dataclasses import replace

import gguf
import numpy as np
import pytest

from harness.errors import VectorError
from harness.interventions.array import Array
from harness.interventions.gguf_vectors import read_gguf, write_gguf
from harness.interventions.vector_file import SteeringVectors
from harness.resolve.steering_files import foreign

VECTORS = SteeringVectors(
    "block",
    {1: Array([3.0, 4.0]), 11: Array([1e-7, -2.5])},
    {1: 0.1 + 0.2, 11: 5.0},
    {"method": "mean", "model_type": "qwen3_moe"},
)


def written(path, tensors, architecture="controlvector", **fields):
    """A file as repeng writes it."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_string("controlvector.model_hint", "mistral")
    for key, value in fields.items():
        writer.add_string(f"titrate.{key}", value)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_everything_comes_back(tmp_path):
    write_gguf(VECTORS, tmp_path / "v.gguf")
    assert read_gguf(tmp_path / "v.gguf") == VECTORS


def test_what_is_written_is_a_control_vector_to_others(tmp_path):
    write_gguf(VECTORS, tmp_path / "v.gguf")
    reader = gguf.GGUFReader(tmp_path / "v.gguf")
    assert reader.get_field("general.architecture").contents() == "controlvector"
    assert reader.get_field("controlvector.model_hint").contents() == "qwen3_moe"
    assert reader.get_field("controlvector.layer_count").contents() == 2
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    np.testing.assert_array_equal(tensors["direction.11"], np.float32([1e-7, -2.5]))
    assert list(tensors) == ["direction.1", "direction.11"]


def test_a_file_of_repeng_has_neither_norms_nor_facts(tmp_path):
    tensors = {"direction.2": np.float32([1, 2]), "direction.1": np.float16([3, 4])}
    read = read_gguf(written(tmp_path / "v.gguf", tensors))
    assert read.vectors == {1: Array([3.0, 4.0]), 2: Array([1.0, 2.0])}
    assert list(read.vectors) == [1, 2]
    assert (read.site, read.residual_norms, read.facts) == ("block", {}, {"model_type": "mistral"})


def test_another_site_has_no_word_in_the_format(tmp_path):
    mlp = SteeringVectors("mlp", VECTORS.vectors, {})
    with pytest.raises(VectorError, match="added to the outputs of blocks, and these are of site"):
        write_gguf(mlp, tmp_path / "v.gguf")
    assert not (tmp_path / "v.gguf").exists()


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight.1": np.float32([1, 2])}, r"tensor weight.1 of shape \[2\] and type F32 is no"),
        ({"direction.1": np.float32([[1, 2], [3, 4]])}, r"direction.1 of shape \[2, 2\]"),
        ({"direction.1": np.int32([1, 2])}, "type I32 is no `direction.N`"),
        ({"direction.1": np.float32([1, np.nan])}, r"tensor direction.1: entry \[1\] is nan"),
    ],
)
def test_what_is_no_direction_is_refused(tmp_path, tensors, message):
    with pytest.raises(VectorError, match=message) as raised:
        read_gguf(written(tmp_path / "v.gguf", tensors))
    assert "\n" not in str(raised.value)


def test_other_files_are_refused(tmp_path):
    one = {"direction.1": np.float32([1, 2])}
    with pytest.raises(VectorError, match="its architecture is 'llama', not 'controlvector'"):
        read_gguf(written(tmp_path / "v.gguf", one, architecture="llama"))
    with pytest.raises(VectorError, match=r"its titrate.facts is not a JSON object"):
        read_gguf(written(tmp_path / "w.gguf", one, facts="{"))
    for content in (b"", b"no such format", (tmp_path / "v.gguf").read_bytes()[:40]):
        (tmp_path / "x.gguf").write_bytes(content)
        with pytest.raises(VectorError, match=r"x.gguf: cannot be read as GGUF") as raised:
            read_gguf(tmp_path / "x.gguf")
        assert "\n" not in str(raised.value)
    with pytest.raises(VectorError, match=r"none.gguf: cannot be read as GGUF"):
        read_gguf(tmp_path / "none.gguf")


def test_a_hint_of_another_kind_of_model_is_warned_of(tmp_path):
    vectors = SteeringVectors("block", {1: Array([1.0])}, {}, {"model_type": "mistral"})
    write_gguf(vectors, tmp_path / "some.gguf")
    read = read_gguf(tmp_path / "some.gguf")
    assert foreign(read, "zoo/base") == (
        "the vectors are of a mistral model, as their file says, and zoo/base is a llama model"
    )
    assert foreign(replace(read, facts={"model_type": "llama"}), "zoo/base") is None
    assert foreign(replace(read, facts={}), "zoo/base") is None
