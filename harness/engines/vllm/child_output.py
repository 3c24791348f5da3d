"""What vLLM's processes print while they start: passed on, but for the account of a failure.

A process that cannot start prints its traceback, those that wait for it print theirs, and the error
that reaches us says only that there was one. `ChildOutput` keeps these lines, so that `root_cause`
can find the one that matters, and whatever else is printed goes where it would have gone.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import defaultdict
from contextlib import suppress
from typing import Self

# "(Worker pid=12) ERROR 11-21 18:22:41 [multiproc_executor.py:953] ...", the parts where they are.
_PREFIX = re.compile(
    r"^(?P<process>(?:\([A-Za-z]\w*[^)]* pid=\d+\) ?)*)"
    r"(?:(?:ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\] ?)?"
)
_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = re.compile(
    r"^(The above exception was the direct cause|During handling of the above exception)", re.M
)
_EXCEPTION = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$", re.M)
_FAILURE = re.compile(rb"\b(?:ERROR|CRITICAL) \d\d-\d\d |Traceback \(most recent|^Process \S+:$")
_LINES = re.compile(rb"[^\r\n]*[\r\n]+")
# What we write ourselves behind all that was printed before the block ended. There need be no end
# of file: children live on, and so does a helper that multiprocessing started meanwhile.
_END = b"\0titrate: end\n"


class ChildOutput:
    """While entered, what this process and its children print is read here, in the order it comes.

    Lines go on to stderr until one begins to tell of a failure; from there on they are kept. When
    the block ends well they are passed on after all, and so is everything that the children print
    for the rest of their lives; when it raises, they are dropped and stay in `kept`.
    """

    def __enter__(self) -> Self:
        self._flush()
        self._held: list[bytes] = []
        self._holds = True
        self._lock = threading.Lock()
        self._ended, self._left = threading.Event(), threading.Event()
        self._own = os.dup(1), os.dup(2)
        read, write = os.pipe()
        os.dup2(write, 1)
        os.dup2(write, 2)
        os.close(write)
        threading.Thread(target=self._read, args=(read,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._flush()
        os.write(1, _END)
        for number, own in enumerate(self._own, start=1):
            os.dup2(own, number)
        os.close(self._own[0])
        self._ended.wait()
        if kind is None:
            with self._lock:
                self._holds = False
                self._pass_on(b"".join(self._held))
                self._held.clear()
        self._left.set()

    @property
    def kept(self) -> str:
        """What told of a failure, and all that came after it."""
        with self._lock:
            return b"".join(self._held).decode(errors="replace")

    def _read(self, descriptor: int) -> None:
        """Read until the last process that could write has ended."""
        rest = b""
        with open(descriptor, "rb", buffering=0) as pipe:
            while chunk := pipe.read(65536):
                rest = self._take(rest + chunk)
        self._take(rest + b"\n" if rest else b"")
        self._left.wait()
        os.close(self._own[1])

    def _take(self, text: bytes) -> bytes:
        """Pass whole lines on, or keep them; what is left is the beginning of a line."""
        end = 0
        with self._lock:
            for line in _LINES.finditer(text):
                end = line.end()
                printed = line[0].removesuffix(_END)
                if self._holds and (self._held or _FAILURE.search(printed.strip())):
                    self._held.append(printed)
                else:
                    self._pass_on(printed)
                if line[0] != printed:
                    self._ended.set()
        return text[end:]

    def _pass_on(self, text: bytes) -> None:
        with suppress(OSError):  # stderr was closed by its reader; children must not block on it
            os.write(self._own[1], text)

    @staticmethod
    def _flush() -> None:
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None and not stream.closed:
                stream.flush()


def root_cause(text: str) -> tuple[str, str] | None:
    """The exception, as its type and message, that the first process to fail ended with."""
    processes: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        prefix = _PREFIX.match(line)
        assert prefix is not None, "every part is optional"
        processes[prefix["process"]].append(line[prefix.end() :])
    for lines in processes.values():
        found = None
        for part in "\n".join(lines).split(_TRACEBACK)[1:]:
            found = _EXCEPTION.search(part) or found
            if not _CHAINED.search(part):
                break
        if found is not None:
            return found["type"].rpartition(".")[2], (found["message"] or "").strip()
    return None
