"""A program, not a library: it builds the sandbox around itself and then serves checks.

It is started as a fresh interpreter, because namespaces need a process without threads, and imports
the standard library and this room only: a fork costs what it copies. Its first message on the
control socket is `{"layers": [...]}` or `{"error": "..."}`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Never

from harness.sandbox import frames, landlock, libc, seccomp, zygote
from harness.sandbox.confinement import Confinement
from harness.sandbox.namespaces import enter
from harness.sandbox.root import DEVICES, PACKAGES, Visible

_CONTROL = 3
#: What programs usually import is imported once, before the forks.
_WARM = (
    "typing math re collections itertools functools heapq bisect string random copy datetime "
    "hashlib statistics operator decimal fractions enum dataclasses json _strptime encodings.idna"
)
#: One thread for numerical libraries: each of their threads would reserve memory.
_ENVIRONMENT = {
    "PATH": "/nonexistent",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}


def sandbox(argument: str) -> Callable[[], Never]:
    """Become the sandbox that the argument describes (see `interpreter.py`); what to call next.

    Checks can look at the frames that they are called from: this one is gone by then, and what it
    was told with it.
    """
    try:
        wanted = json.loads(argument)
        os.dup2(wanted["control"], _CONTROL)
        os.closerange(_CONTROL + 1, wanted["control"] + 1)
        cleanup = ExitStack()
        try:
            confinement = _built(wanted, cleanup)
        except Exception as error:
            cleanup.close()
            frames.send(_CONTROL, {"error": _complaint(error)})
            raise
        layers = _layers(wanted["level"], confinement)
    except BaseException:
        os._exit(1)
    return partial(_serve, confinement, layers, cleanup)


def _serve(confinement: Confinement, layers: list[str], cleanup: ExitStack) -> Never:
    """Serve checks until the harness hangs up; never returns."""
    status = 1
    try:
        with cleanup:
            frames.send(_CONTROL, {"layers": layers})
            zygote.serve(socket.socket(fileno=_CONTROL), confinement)
        status = 0
    finally:
        os._exit(status)


def _built(wanted: dict[str, Any], cleanup: ExitStack) -> Confinement:
    """Put up what all checks share, and find out which layers each of them can have."""
    visible = Visible(*(tuple(paths) for paths in wanted["visible"]))
    level = wanted["level"]
    for name in _WARM.split():
        importlib.import_module(name)
    sys.path.remove(wanted["source"])
    os.environ.clear()
    if level == "namespaces":
        _offer_to_the_kernel()
        enter(visible)
    if level == "process":
        work, packages = _shared_directories(visible, cleanup)
        read: tuple[str, ...] = (*visible.libraries, *visible.packages, packages)
    else:
        work, packages = "/tmp", PACKAGES  # noqa: S108 - of the new root
        read = (*visible.libraries, *((PACKAGES,) if visible.packages else ()))
    sys.path.append(packages)
    os.environ.update(_ENVIRONMENT, HOME=work, TMPDIR=work)
    linux = sys.platform == "linux"
    if linux:
        libc.prctl(libc.PR_SET_DUMPABLE, 0)
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
    confinement = Confinement(
        nested=level == "namespaces",
        landlock=landlock.version() if linux else 0,
        seccomp=linux and seccomp.supported(),
        work=work,
        read=(*read, *(f"/dev/{name}" for name in DEVICES)),
        write=(work, "/dev/null"),
    )
    if level == "bubblewrap" and not confinement.seccomp:
        raise OSError("no system call filter; without it checks would see each other's processes")
    Path(os.__file__).read_bytes()  # the library is there, and this user may read it
    if confinement.nested and confinement.seccomp:
        seccomp.compiled(1)  # every candidate's own id
    _forget_the_host()
    _silence()
    gc.collect()
    gc.freeze()  # a collection in a child would otherwise copy every page of the parent
    return confinement


def _forget_the_host() -> None:
    """Remove where and how this interpreter was started, which checks must not see.

    What its library needs stays: `base_prefix`, whose `lib` is there to be read.
    """
    sys.argv, sys.orig_argv = [""], [""]
    sys.executable = sys._base_executable = ""  # type: ignore[attr-defined]  # noqa: SLF001
    sys.prefix, sys.exec_prefix = sys.base_prefix, sys.base_exec_prefix
    sys.path_importer_cache.clear()
    for module in [each for name, each in sys.modules.items() if name.startswith("harness")]:
        for name in ("__file__", "__cached__", "__path__", "__spec__", "__loader__"):
            vars(module).pop(name, None)
        for each in list(vars(module).values()):
            for function in (each, *vars(each).values()) if isinstance(each, type) else (each,):
                if isinstance(function, FunctionType):
                    function.__code__ = _placeless(function.__code__)


def _placeless(code: CodeType) -> CodeType:
    """Code that says of no file that it is from there."""
    constants = (
        _placeless(each) if isinstance(each, CodeType) else each for each in code.co_consts
    )
    return code.replace(co_filename="<harness>", co_consts=tuple(constants))


def _silence() -> None:
    """Nothing said from here on reaches the harness; until here, its complaints did."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _complaint(error: Exception) -> str:
    """What went wrong without its number: `unshare: Operation not permitted`."""
    if isinstance(error, OSError) and error.strerror and not error.filename:
        return error.strerror
    return str(error) or type(error).__name__


def _layers(level: str, confinement: Confinement) -> list[str]:
    """What stands around each check, strongest first."""
    layers = [level]
    if confinement.landlock:
        layers.append(f"Landlock {confinement.landlock}")
    if confinement.seccomp:
        layers.append("seccomp")
    return layers


def _shared_directories(visible: Visible, cleanup: ExitStack) -> tuple[str, str]:
    """Where there is no private root: a directory that checks find empty, and packages."""
    import tempfile  # and what it imports, only where it is needed

    top = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="titrate-checks-"))
    work, packages = f"{top}/work", f"{top}/packages"
    Path(work).mkdir()
    Path(packages).mkdir()
    for path in visible.packages:
        Path(packages, Path(path).name).symlink_to(path)
    return work, packages


def _offer_to_the_kernel() -> None:
    """When memory runs out, a check shall go before anything else of the user's."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
