"""Keys of pairs."""

from __future__ import annotations

import pytest

from harness.tasks.pairs.pair import pair_key


@pytest.mark.parametrize(
    ("sample", "key"),
    [
        ("HumanEval/12", "humaneval_12"),
        ("MicroHumanEval/0", "microhumaneval_0"),
        ("gsm8k-test-3", "gsm8k_test_3"),
    ],
)
def test_a_key_is_the_samples_name_and_number(sample, key):
    assert pair_key(sample) == key
