"""What benches ask for, `outcome` and `finding`, and how a bench fails that cannot have it.

Every failure here is one line, because no code of the user's is involved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.errors import TitrateError

if TYPE_CHECKING:
    from harness.invariants import IdentityCheck
    from harness.runs.planned_case import PlannedCase
    from harness.runs.session import Session
    from harness.store.results import CaseResult, InvariantResult

SESSION: pytest.StashKey[Session] = pytest.StashKey()
#: The cases whose data cannot be had, by their ids, and why: their tests alone fail.
UNREACHABLE: pytest.StashKey[dict[str, str]] = pytest.StashKey()


@pytest.fixture
def outcome(case: PlannedCase, pytestconfig: pytest.Config) -> CaseResult:
    """The result of the bench's case; the bench fails when the case did or an invariant broke."""
    return outcome_of(pytestconfig, case)


@pytest.fixture
def finding(check: IdentityCheck, request: pytest.FixtureRequest) -> InvariantResult:
    """What came of the bench's identity; the bench fails when it is violated."""
    run = session_of(request.config)
    try:
        return run.check(check)
    except TitrateError as error:
        failure = str(error)
    pytest.fail(failure, pytrace=False)  # out here, or pytest would show all that led to it


def session_of(config: pytest.Config) -> Session:
    """This process's session; a worker has none where its controller knew of no benches."""
    if SESSION not in config.stash:
        reason = (
            "no bench was found on the command line; name the file that imports harness.testing"
        )
        pytest.fail(reason, pytrace=False)
    return config.stash[SESSION]


def outcome_of(config: pytest.Config, case: PlannedCase) -> CaseResult:
    """Run what the case needs; without a model to run it on, this is an error of one line."""
    unreachable = config.stash.get(UNREACHABLE, {}).get(case.id)
    if unreachable is not None:
        pytest.fail(unreachable, pytrace=False)
    run = session_of(config)
    died = run.abandoned().get(case.id)
    if died is not None:  # over another test of the same case
        pytest.skip(f"{died}; run the same command again")
    try:
        return run.outcome(case)
    except TitrateError as error:
        failure = str(error)
    pytest.fail(failure, pytrace=False)  # as above


def fail_unless_trusted(config: pytest.Config, case: PlannedCase) -> None:
    """Fail the test of a case that failed, or whose result violates an invariant, in one line."""
    run = config.stash[SESSION]
    result = run.outcome(case)
    if result.error is not None:
        pytest.fail(result.error, pytrace=False)
    for violated in run.violations(case):
        pytest.fail(f"{violated.name}: {violated.detail}", pytrace=False)
