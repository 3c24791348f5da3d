"""What the scheduler says of requests: who is followed, where each starts, in which blocks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from harness.engines.vllm.worker.scheduled import KEY, ScheduledRequests


def output(new=(), cached=(), resumed=(), finished=()):
    return SimpleNamespace(
        scheduled_new_reqs=[
            SimpleNamespace(
                req_id=id_,
                sampling_params=SimpleNamespace(extra_args=arguments),
                block_ids=(blocks,),
                num_computed_tokens=start,
            )
            for id_, arguments, blocks, start in new
        ],
        scheduled_cached_reqs=SimpleNamespace(
            req_ids=[id_ for id_, *_ in cached],
            new_block_ids=[None if blocks is None else (blocks,) for _, blocks, _ in cached],
            num_computed_tokens=[start for *_, start in cached],
            resumed_req_ids=set(resumed),
        ),
        finished_req_ids=set(finished),
    )


PAYLOAD = {
    "mask": 3,
    "terms": [[0, 1.0, 4.0, np.inf, 4.0, np.inf, 2, 0, None, 1]],
    "states": [2, 4.0, np.inf],
    "counted": True,
}


def test_our_requests_are_followed_and_others_are_not():
    registry = ScheduledRequests()
    registry.update(output(new=[("a", {KEY: PAYLOAD}, [7], 16), ("b", None, [8], 0)]))
    assert list(registry.requests) == ["a"]
    own = registry.requests["a"]
    assert (own.mask, own.blocks, own.start, own.counted) == (3, [7], 16, True)
    assert own.terms.shape == (1, 8)
    assert own.states == (2, 4.0, np.inf)
    registry.update(output(cached=[("b", [9], 40), ("a", [11], 33)]))
    assert (own.blocks, own.start) == ([7, 11], 33)
    registry.update(output(cached=[("a", None, 34)]))
    assert (own.blocks, own.start) == ([7, 11], 34)


def test_a_preempted_request_comes_back_in_other_blocks():
    registry = ScheduledRequests()
    registry.update(output(new=[("a", {KEY: PAYLOAD}, [7], 0)]))
    registry.update(output(cached=[("a", [1, 2], 0)], resumed=["a"]))
    assert registry.requests["a"].blocks == [1, 2]


def test_who_runs_has_a_version_and_ends_by_name():
    registry = ScheduledRequests()
    registry.update(output(new=[("a", {KEY: PAYLOAD}, [7], 0)]))
    version = registry.version
    registry.update(output(cached=[("a", None, 1)]))
    assert registry.version == version
    assert registry.finished(output(finished=["a", "b"])) == ["a"]
    registry.forget("a")
    assert registry.version > version
    assert registry.requests == {}
