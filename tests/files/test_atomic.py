"""Files are there whole or not at all."""

from __future__ import annotations

import pytest

from harness.files.atomic import replace_file


def test_a_file_appears_when_its_block_ends(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with replace_file(path) as part:
        part.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_block_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def tear():
        with replace_file(path) as part:
            part.write_text("torn")
            raise KeyError

    with pytest.raises(KeyError):
        tear()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
