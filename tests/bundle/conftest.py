"""Bundles that several tests look at, each made when it is first asked for."""

from __future__ import annotations

import pytest

from tests.bundle.runs import bundled


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    """The bundle of a run by its name; the report lies beside it, under that name."""
    known = {}

    def made(name):
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                known[name] = bundled(name, folder)
        return known[name]

    return made
