"""The level that this machine has, found once; tests that need one skip by name without it."""

import pytest

from harness import sandbox
from harness.errors import SandboxError
from harness.sandbox import Level
from harness.sandbox.pool import tried


@pytest.fixture(scope="session")
def isolation():
    """The strongest level here."""
    try:
        return sandbox.choose()
    except SandboxError as error:
        pytest.skip(f"nothing isolates code on this machine: {error}")


@pytest.fixture(scope="session", params=list(Level)[:2])
def isolating_level(request):
    """Each isolating level in turn, with Landlock and seccomp: nothing less runs hostile code."""
    try:
        found = tried(request.param)
    except SandboxError as error:
        pytest.skip(f"no {request.param} on this machine: {error}")
    layers = [layer.split()[0] for layer in found.layers]
    if layers != [request.param, "Landlock", "seccomp"]:
        pytest.skip(f"hostile programs need every layer, and here are only {found}")
    return found
