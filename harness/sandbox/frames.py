"""JSON messages over a stream socket: four bytes of length, then the text."""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import Any

#: Bytes of the longest message: what a program may answer, or be asked.
LONGEST = 8 << 20
_HEADER = struct.Struct("!I")
_PART = 1 << 20


def send(descriptor: int, message: object, deadline: float | None = None) -> None:
    """Write one message; ValueError when it is too long, before anything was written.

    With a deadline (of `time.monotonic()`) the descriptor must be a non-blocking one; TimeoutError
    when the other end has not made room by then.
    """
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > LONGEST:
        raise ValueError(f"a message of {len(body)} bytes; at most {LONGEST}")
    data = memoryview(_HEADER.pack(len(body)) + body)
    while data:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([], [descriptor], [], left)[1]:
                raise TimeoutError
        data = data[os.write(descriptor, data) :]


def receive(descriptor: int, deadline: float | None = None) -> Any:
    """Read exactly one message and not a byte more.

    Raises EOFError at the end of the stream, TimeoutError past the deadline (of
    `time.monotonic()`), ValueError for what is too long or no JSON.
    """
    (size,) = _HEADER.unpack(_read(descriptor, _HEADER.size, deadline))
    if size > LONGEST:
        raise ValueError(f"a message of {size} bytes; at most {LONGEST}")
    return json.loads(_read(descriptor, size, deadline))


def _read(descriptor: int, size: int, deadline: float | None) -> bytes:
    received = bytearray()
    while len(received) < size:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise TimeoutError
        part = os.read(descriptor, min(size - len(received), _PART))
        if not part:
            raise EOFError
        received += part
    return bytes(received)
