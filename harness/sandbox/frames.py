"""JSON messages over a stream socket: four bytes of length, then the text."""

from __future__ import annotations

import json
import os
import select
import struct
import time
from collections.abc import Callable
from typing import Any

#: Bytes of the longest message: what a program may answer, or be asked. Read and decoded, a message
#: of this length fits into the judge's memory.
LONGEST = 64 << 20
_HEADER = struct.Struct("!I")
_PART = 1 << 20


#: Seconds to wait until asking again; raises TimeoutError when the time is up.
Left = Callable[[], float]


def until(moment: float) -> Left:
    """Wait up to a moment of `time.monotonic()`."""

    def left() -> float:
        seconds = moment - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds

    return left


def send(descriptor: int, message: object, left: Left | None = None) -> None:
    """Write one message; ValueError when it is too long, before anything was written.

    With `left` the descriptor must be a non-blocking one; TimeoutError when the other end has not
    made room in time.
    """
    # Half a surrogate pair is written as it is: escaped, two of them would come back as one.
    text = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
    body = text.encode("utf-8", "surrogatepass")
    if len(body) > LONGEST:
        raise ValueError(f"a message of {len(body)} bytes; at most {LONGEST}")
    data = memoryview(_HEADER.pack(len(body)) + body)
    while data:
        if left is not None and not select.select([], [descriptor], [], left())[1]:
            continue
        data = data[os.write(descriptor, data) :]


def receive(descriptor: int, left: Left | None = None) -> Any:
    """Read exactly one message and not a byte more.

    Raises EOFError at the end of the stream, TimeoutError when the time is up, ValueError for what
    is too long or no JSON.
    """
    (size,) = _HEADER.unpack(_read(descriptor, _HEADER.size, left))
    if size > LONGEST:
        raise ValueError(f"a message of {size} bytes; at most {LONGEST}")
    return json.loads(_read(descriptor, size, left).decode("utf-8", "surrogatepass"))


def _read(descriptor: int, size: int, left: Left | None) -> bytes:
    received = bytearray()
    while len(received) < size:
        if left is not None and not select.select([descriptor], [], [], left())[0]:
            continue
        part = os.read(descriptor, min(size - len(received), _PART))
        if not part:
            raise EOFError
        received += part
    return bytes(received)
