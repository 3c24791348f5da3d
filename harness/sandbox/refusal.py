"""One line that says why no level isolates code on this machine, and what would change that."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from harness.errors import SandboxError
from harness.options import spelled
from harness.sandbox.levels import Level

#: Settings that take user namespaces away, with the value that does.
_SWITCHES = {
    "user.max_user_namespaces": "0",
    "kernel.unprivileged_userns_clone": "0",
    "kernel.apparmor_restrict_unprivileged_userns": "1",
}


def refusal(reasons: Mapping[Level, str]) -> SandboxError:
    """The error for a machine where every isolating level failed for its reason."""
    if not reasons:
        why = f"isolation needs Linux, this is {sys.platform}"
    else:
        why = "; ".join(f"{level}: {reason}" for level, reason in reasons.items())
        found = switched_off()
        why += f" ({', '.join(found)})" if found else ""
    return SandboxError(
        f"code that a model wrote cannot be isolated on this machine ({why}); to run it as "
        f"a plain process with your own rights instead, pass {spelled('unsafe_code')}; "
        "see titrate doctor"
    )


def switched_off() -> list[str]:
    """Kernel settings that take user namespaces away, as `name = value`."""
    found = []
    for name, value in _SWITCHES.items():
        setting = Path("/proc/sys", *name.split("."))
        try:
            if setting.read_text(encoding="ascii").strip() == value:
                found.append(f"{name} = {value}")
        except OSError:
            continue
    return found
