from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.runs import accelerators
from harness.runs.accelerators import choose, visible

UUIDS = tuple(f"GPU-{letter * 8}-0000-0000-0000-000000000000" for letter in "abcd")
LISTING = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5a2f0000-1111-2222-3333-444455556666)
  MIG 1g.10gb     Device  0: (UUID: MIG-0b7c0000-1111-2222-3333-444455556666)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-9c1e0000-1111-2222-3333-444455556666)
"""


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (None, ("0", "1", "2", "3")),
        ("", ()),
        ("2", ("2",)),
        ("3,1", ("3", "1")),
        (" 1 , 0 ", ("1", "0")),
        ("-1", ()),
        ("0,-1,1", ("0",)),
        ("0,4,1", ("0",)),
        ("NoDevFiles", ()),
        (UUIDS[1], (UUIDS[1],)),
        ("GPU-b,0", ("GPU-b", "0")),
        ("GPU-,0", ()),
        ("GPU-e", ()),
        ("1,1", ()),
        ("1,GPU-b", ()),
        ("MIG-0b7c,MIG-0b7d", ("MIG-0b7c", "MIG-0b7d")),
    ],
)
def test_the_callers_list_is_read_as_the_driver_reads_it(named, expected):
    assert choose(named, UUIDS) == expected


@given(st.permutations(range(4)), st.integers(0, 4))
def test_the_callers_order_is_kept(order, length):
    named = ",".join(map(str, order[:length]))
    assert choose(named, UUIDS) == tuple(map(str, order[:length]))


@given(st.none() | st.text())
def test_a_machine_without_devices_has_none_visible_whatever_is_named(named):
    assert choose(named, ()) == ()


@given(st.text(alphabet="0123456789GPUMIGabc-, "))
def test_whatever_is_named_every_visible_entry_was_named(named):
    assert set(choose(named, UUIDS)) <= {part.strip() for part in named.split(",")}


def test_an_empty_list_asks_no_driver(monkeypatch):
    monkeypatch.setattr(accelerators, "installed", lambda: pytest.fail("asked"))
    assert visible({"CUDA_VISIBLE_DEVICES": ""}) == ()


def test_devices_are_listed_by_uuid_and_mig_instances_are_no_devices(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!{sys.executable}\nprint({LISTING!r}, end='')\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible({}) == ("0", "1")
    assert visible({"CUDA_VISIBLE_DEVICES": "GPU-9c1e"}) == ("GPU-9c1e",)


def test_without_nvidia_smi_the_driver_is_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    for bus, uuid in [("0000:41:00.0", UUIDS[1]), ("0000:01:00.0", UUIDS[0])]:
        folder = tmp_path / "gpus" / bus
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t NVIDIA L4\nGPU UUID: \t {uuid}\n")
    assert accelerators._of_the_driver(tmp_path / "gpus") == UUIDS[:2]
    assert accelerators._of_the_driver(tmp_path / "no driver") == ()


def test_counting_needs_no_torch():
    code = (
        "import sys; from harness.runs.accelerators import visible; visible();"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
