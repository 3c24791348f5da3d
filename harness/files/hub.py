"""Whether the Hugging Face hub answers: one attempt, where its clients try for half a minute."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_PATIENCE = 3.0
_PORTS = {"http": 80, "https": 443}


@cache
def answers() -> bool:
    """One connection attempt per run, to a proxy where one is set; an offline switch is a no."""
    if os.environ.get("HF_HUB_OFFLINE", "0") not in {"0", ""}:
        return False
    from huggingface_hub.constants import ENDPOINT

    hub = urlsplit(ENDPOINT)
    proxy = getproxies().get(hub.scheme)
    asked = urlsplit(proxy) if proxy and not proxy_bypass(hub.hostname or "") else hub
    address = (asked.hostname, asked.port or _PORTS.get(asked.scheme, 443))
    try:
        with socket.create_connection(address, timeout=_PATIENCE):
            return True
    except OSError:
        return False


@contextmanager
def offline_unless_it_answers() -> Iterator[None]:
    """Where the hub cannot be reached, its clients read their cache at once, and fail at once."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not answers()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
