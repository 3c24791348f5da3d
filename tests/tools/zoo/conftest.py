import pytest

from tools.zoo.corpus import build_tokenizer


@pytest.fixture(scope="session")
def tokenizer():
    return build_tokenizer()
