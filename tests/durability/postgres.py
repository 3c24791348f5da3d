"""A PostgreSQL of one's own: an unprivileged server on a private socket, gone when it is left."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

_WHERE = (Path("/usr/lib/postgresql"), Path("/usr/local/lib/postgresql"))
_NOBODY = "nobody"


def _program(name: str) -> str | None:
    """Debian keeps the server's programs outside of everybody's path, a folder per version."""
    found = sorted(
        (path for root in _WHERE for path in root.glob(f"*/bin/{name}")),
        key=lambda path: path.parts[-3],
    )
    return str(found[-1]) if found else shutil.which(name)


def absent() -> str | None:
    """Why there can be no server here, or None."""
    if any(_program(name) is None for name in ("initdb", "pg_ctl", "psql")):
        return "PostgreSQL is not installed here (Debian: apt-get install postgresql)"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "PostgreSQL does not run as root, and there is no setpriv to run it as somebody else"
    return None


class Postgres:
    """A server in a folder of its own, reached by its socket alone; root runs it as nobody."""

    def __init__(self) -> None:
        # Not pytest's folder: nobody may not enter root's, and a socket's path must be short.
        self._temporary = TemporaryDirectory(prefix="titrate-postgres-", ignore_cleanup_errors=True)
        self._socket = self._folder = Path(self._temporary.name)
        self._data = self._folder / "data"
        self._user: list[str] = []
        if os.geteuid() == 0:
            nobody = pwd.getpwnam(_NOBODY)
            self._user = [
                "setpriv",
                f"--reuid={nobody.pw_uid}",
                f"--regid={nobody.pw_gid}",
                "--clear-groups",
                "--",
            ]
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)

    def __enter__(self) -> Self:
        self._do("initdb", "-D", str(self._data), "-U", "tester", "-A", "trust", "--no-sync")
        options = f"-k {self._socket} -c listen_addresses= -c fsync=off -c shared_buffers=16MB"
        log = str(self._folder / "log.txt")
        self._do("pg_ctl", "-D", str(self._data), "-o", options, "-l", log, "-w", "start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")
        self._temporary.cleanup()

    def url(self, database: str) -> str:
        """An Optuna storage URL of a new database."""
        self._do("psql", "-h", str(self._socket), "-U", "tester", "-d", "postgres", "-c",
                 f"create database {database}")  # fmt: skip
        return f"postgresql+psycopg://tester@/{database}?host={self._socket}"

    def _do(self, name: str, *arguments: str) -> None:
        program = _program(name)
        assert program is not None
        subprocess.run(
            [*self._user, program, *arguments],
            check=True,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
