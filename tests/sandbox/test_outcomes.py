import builtins
import errno
import signal

import pytest

from harness.sandbox.outcomes import Raised, of_exit, of_raised
from harness.sandbox.verdicts import Outcome

EXCEPTIONS = [
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
]


def raised(*types, number=None, name="Own", message="why"):
    return Raised([*types, "Exception", "BaseException", "object"], name, message, number, "x = 1")


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
def test_every_builtin_exception_is_revived_as_itself_but_ends_of_iteration(kind):
    error = raised(kind.__name__).revived()
    if kind in (StopIteration, StopAsyncIteration):
        assert type(error) is RuntimeError
    elif issubclass(kind, BaseExceptionGroup):
        assert type(error) is Exception
    else:
        assert type(error) is kind
        assert error.args == ("why",)
        str(error)


@pytest.mark.parametrize("name", ["eval", "object", "BaseException", "SystemExit", "nothing"])
def test_other_names_are_never_called(name):
    error = Raised([name], name, "", None, "").revived()
    assert error is None


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (raised("ValueError"), Outcome.EXCEPTION),
        (raised("MemoryError"), Outcome.OUT_OF_MEMORY),
        (raised("OSError", number=errno.ENOMEM), Outcome.OUT_OF_MEMORY),
        (raised("PermissionError", number=errno.EPERM), Outcome.FORBIDDEN),
        (raised("PermissionError", number=errno.EACCES), Outcome.FORBIDDEN),
        (raised("OSError", number=errno.EROFS), Outcome.FORBIDDEN),
        (raised("FileNotFoundError", number=errno.ENOENT), Outcome.EXCEPTION),
        (Raised(["SystemExit", "BaseException"], "SystemExit", "0", None, ""), Outcome.EXITED),
    ],
)
def test_outcomes_of_exceptions(given, outcome):
    assert of_raised(given).outcome is outcome


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0, "exited: status 0"),
        (3 << 8, "exited: status 3"),
        (signal.SIGSEGV, "killed: SIGSEGV"),
        (signal.SIGKILL, "killed: SIGKILL"),
        (signal.SIGSYS, "forbidden: a system call of another architecture (SIGSYS)"),
    ],
)
def test_outcomes_of_ended_processes(status, verdict):
    assert str(of_exit(status)) == verdict


@pytest.mark.parametrize("fields", [None, {}, {"types": 3}, {"types": [], "errno": "x"}])
def test_a_forged_failure_is_refused(fields):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Raised.read(fields)
