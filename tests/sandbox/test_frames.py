"""A message arrives whole or not at all, and never takes a byte of the next one."""

import os
import socket
import struct
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sandbox import frames


@pytest.fixture
def ends():
    one, other = socket.socketpair()
    with one, other:
        yield one, other


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(JSON, max_size=4))
def test_messages_arrive_one_by_one(messages):
    one, other = socket.socketpair()
    with one, other:
        for message in messages:
            frames.send(one.fileno(), message)
        assert [frames.receive(other.fileno()) for _ in messages] == messages
        one.close()
        with pytest.raises(EOFError):
            frames.receive(other.fileno())


def test_a_message_larger_than_the_sockets_buffer(ends):
    text = "x" * (4 << 20)
    sender = threading.Thread(target=frames.send, args=(ends[0].fileno(), text))
    sender.start()
    assert frames.receive(ends[1].fileno()) == text
    sender.join()


def test_what_is_too_long_is_refused_at_both_ends(ends):
    with pytest.raises(ValueError, match="at most"):
        frames.send(ends[0].fileno(), "x" * frames.LONGEST)
    ends[0].sendall(struct.pack("!I", frames.LONGEST + 1))
    with pytest.raises(ValueError, match="at most"):
        frames.receive(ends[1].fileno())


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[1] 2"])
def test_what_is_no_json_is_refused(ends, body):
    ends[0].sendall(struct.pack("!I", len(body)) + body)
    with pytest.raises(ValueError):
        frames.receive(ends[1].fileno())


def test_a_deadline_ends_the_wait_also_inside_a_message(ends):
    with pytest.raises(TimeoutError):
        frames.receive(ends[1].fileno(), frames.until(time.monotonic() + 0.01))
    ends[0].sendall(struct.pack("!I", 10) + b"[")
    with pytest.raises(TimeoutError):
        frames.receive(ends[1].fileno(), frames.until(time.monotonic() + 0.01))


def test_a_message_that_breaks_off_is_the_end(ends):
    os.write(ends[0].fileno(), struct.pack("!I", 10) + b"[")
    ends[0].close()
    with pytest.raises(EOFError):
        frames.receive(ends[1].fileno())


def test_a_deadline_ends_the_wait_for_room(ends):
    one, _ = ends
    one.setblocking(False)
    with pytest.raises(TimeoutError):
        frames.send(one.fileno(), "x" * (4 << 20), frames.until(time.monotonic() + 0.05))
