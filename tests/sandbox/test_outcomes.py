"""Exceptions are raised again as what they were, by nothing of the candidate's."""

import builtins
import errno
import signal
from decimal import InvalidOperation

import pytest

from harness.sandbox.outcomes import Raised, of_exit, of_raised
from harness.sandbox.verdicts import Outcome

EXCEPTIONS = [
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
]


def raised(*types, args=("why",), number=None, message="why"):
    names = [*types, "Exception", "BaseException", "object"]
    return Raised(tuple(("builtins", name) for name in names), message, args, {}, number, "x = 1")


@pytest.mark.parametrize("args", [("why",), (), (1, 2, 3, 4, 5, 6), ([],)])
def test_every_builtin_exception_is_revived_as_itself_but_ends_of_iteration(args):
    for kind in EXCEPTIONS:
        error = raised(kind.__name__, args=args).revived({})
        if kind in (StopIteration, StopAsyncIteration):
            assert type(error) is RuntimeError, kind
        elif issubclass(kind, BaseExceptionGroup):
            assert isinstance(error, Exception), kind
        else:
            assert isinstance(error, kind), kind
        assert type(error).__name__ in (kind.__name__, "RuntimeError"), kind
        assert "why" in str(error), kind


@pytest.mark.parametrize("name", ["eval", "object", "BaseException", "SystemExit", "nothing"])
def test_other_names_are_never_called(name):
    assert Raised((("builtins", name),), "", (), {}, None, "").revived({}) is None


class KnownError(Exception):
    pass


@pytest.mark.parametrize(
    ("module", "name", "kind"),
    [
        ("completion", "KnownError", KnownError),
        ("completion", "print", ValueError),
        ("completion", "Other", ValueError),
        ("decimal", "InvalidOperation", InvalidOperation),
        ("decimal", "Decimal", ValueError),
        ("os", "system", ValueError),
        ("antigravity", "Exception", ValueError),
        ("harness.errors", "TitrateError", ValueError),
        ("tests.sandbox.test_outcomes", "KnownError", ValueError),
    ],
)
def test_only_exceptions_of_the_prompt_and_the_standard_library_are_known(module, name, kind):
    types = ((module, name), ("builtins", "ValueError"))
    error = Raised(types, "why", ("why",), {"code": 3}, None, "").revived(
        {"KnownError": KnownError, "print": print}
    )
    assert isinstance(error, kind)
    assert type(error).__name__ == name
    assert error.code == 3


@pytest.mark.parametrize("name", ["", "\ud800", "a\0b", "__class__", "f.<locals>.Own"])
@pytest.mark.parametrize("state", [{}, {"__class__": int, "args": 3, "\ud800": 1}])
def test_no_name_and_no_state_of_a_class_is_an_error(name, state):
    types = (("completion", name), ("builtins", "ValueError"))
    error = Raised(types, "why", (), state, None, "").revived({})
    assert isinstance(error, ValueError)
    assert error.__class__ is not int
    assert str(error) == "why"


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
        (Raised((("builtins", "SystemExit"),), "0", (0,), {}, None, ""), Outcome.EXITED),
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
        (signal.SIGXCPU, "timed out"),
        (signal.SIGSYS, "forbidden: a system call of another architecture (SIGSYS)"),
    ],
)
def test_outcomes_of_ended_processes(status, verdict):
    assert str(of_exit(status)) == verdict


GOOD = {
    "types": [["builtins", "ValueError"]],
    "message": "why",
    "args": ["why"],
    "state": {},
    "errno": None,
    "line": "",
}


@pytest.mark.parametrize(
    "fields",
    [
        None,
        {},
        {**GOOD, "types": []},
        {**GOOD, "types": ["ValueError"]},
        {**GOOD, "types": [["builtins", 3]]},
        {**GOOD, "errno": "x"},
        {**GOOD, "errno": float("inf")},
        {**GOOD, "message": [[]]},
        {**GOOD, "args": 3},
        {**GOOD, "state": []},
    ],
)
def test_a_forged_failure_is_refused(fields):
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        Raised.read(fields, str)


def test_a_failure_is_read():
    assert Raised.read(GOOD, str).revived({}).args == ("why",)
