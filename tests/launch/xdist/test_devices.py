from __future__ import annotations

import re

import execnet
import pytest

from harness.errors import TitrateError
from harness.launch.xdist.devices import check_enough, share_out


def test_each_worker_gets_one_of_the_callers_devices():
    workers = [execnet.XSpec("popen") for _ in range(2)]
    share_out(("3", "GPU-b7", "1"), workers)
    assert [worker.env for worker in workers] == [
        {"CUDA_VISIBLE_DEVICES": "3"},
        {"CUDA_VISIBLE_DEVICES": "GPU-b7"},
    ]


def test_devices_are_shared_out_so_that_an_engine_may_take_several():
    workers = [execnet.XSpec("popen") for _ in range(2)]
    share_out(("0", "1", "2", "5", "6"), workers)
    assert [worker.env["CUDA_VISIBLE_DEVICES"] for worker in workers] == ["0,1", "2,5"]


def test_without_devices_the_environment_stays_as_it_is():
    worker = execnet.XSpec("popen//env:CUDA_VISIBLE_DEVICES=7")
    share_out((), [worker])
    assert worker.env == {"CUDA_VISIBLE_DEVICES": "7"}


def test_a_worker_sees_its_device_before_it_runs_anything():
    group = execnet.Group()
    try:
        spec = execnet.XSpec("popen")
        share_out(("5",), [spec])
        channel = group.makegateway(spec).remote_exec(
            "import os; channel.send(os.environ['CUDA_VISIBLE_DEVICES'])"
        )
        assert channel.receive() == "5"
    finally:
        group.terminate(timeout=5)


@pytest.mark.parametrize(("workers", "devices"), [(1, ("0",)), (2, ("0", "1", "2")), (9, ())])
def test_enough_devices_or_none_at_all_are_fine(workers, devices):
    check_enough(workers, devices)


def test_more_workers_than_devices_are_refused_in_one_line(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    expected = (
        "-n 4: 4 workers, but 2 accelerators visible (CUDA_VISIBLE_DEVICES=2,3); use -n 2 or "
        "-n auto, or hide them with CUDA_VISIBLE_DEVICES= to run on the CPU"
    )
    with pytest.raises(TitrateError, match=f"^{re.escape(expected)}$"):
        check_enough(4, ("2", "3"))
