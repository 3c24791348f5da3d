"""The program of `tests.prepared`: imports what runs need once, and forks for every run.

It listens on the socket that its argument names. An order is JSON with the standard streams of the
run as its rights; it is answered by two lines, the process id of the run and its exit status.
"""

from __future__ import annotations

import array
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

import pytest

import harness.cli.main
from harness.models.loading import load

IMPORTED = (
    "torch",
    "transformers",
    "matplotlib",
    "pandas",
    "scipy.stats",
    "xdist",
    "execnet",
    "harness.plugin.hooks",
    "harness.runs.session",
    "harness.runs.forecast_table",
    "harness.launch.xdist.worker",
)


def _worker(_: list[str]) -> int:
    """What `python -c` runs when execnet has started it."""
    sys.stdin = os.fdopen(0, closefd=False)
    sys.argv = ["-c"]
    exec(eval(sys.stdin.readline()), {"__name__": "__main__"})
    return 0


PROGRAMS: dict[str, Callable[[list[str]], int]] = {
    "pytest": lambda arguments: int(pytest.main(arguments)),
    "titrate": lambda arguments: int(harness.cli.main.main(arguments) or 0),
    "worker": _worker,
}


def run(order: dict, streams: list[int]) -> None:
    """The whole life of a run, in the process that was forked for it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    resource.setrlimit(resource.RLIMIT_FSIZE, order["limit"])
    sys.argv = [order["program"], *order["arguments"]]
    status = 1
    try:
        status = PROGRAMS[order["program"]](order["arguments"])
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # what an interpreter would print as its last words
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main(address: str) -> None:
    """Take orders until the socket's folder is gone or somebody ends this process."""
    for name in IMPORTED:
        importlib.import_module(name)
    load("zoo/moe")
    # A run that looked through all this for garbage would copy every page of it.
    gc.set_threshold(20_000, 20, 20)
    gc.collect()
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for key, _ in selector.select():
            if key.fileobj is listening:
                connection, _ = listening.accept()
                text, ancillary, _, _ = connection.recvmsg(1 << 20, 64)
                streams = array.array("i", ancillary[0][2])
                process = os.fork()
                if process == 0:
                    listening.close()
                    run(json.loads(text), list(streams))
                for stream in streams:
                    os.close(stream)
                connection.send(f"{process}\n".encode())
                watched = os.pidfd_open(process)
                selector.register(watched, selectors.EVENT_READ, (process, connection))
                continue
            process, connection = key.data
            status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            selector.unregister(key.fd)
            os.close(key.fd)
            with suppress(BrokenPipeError):  # nobody waits for it any more
                connection.send(f"{status}\n".encode())
            connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
