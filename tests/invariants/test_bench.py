"""What identities are checked on: the prompts of a bench."""

from __future__ import annotations

import pytest

from harness.invariants.bench import BARE_TOKENS, Bench
from harness.models.loading import load
from harness.spec import EngineSettings


@pytest.mark.parametrize("template", ["{{ raise_exception('never') }}", None])
def test_without_a_usable_template_prompts_are_bare_text(template):
    loaded = load("zoo/moe", device="cpu")
    chat = Bench(loaded, EngineSettings(), ()).prompts
    loaded.tokenizer.chat_template = template
    bare = Bench(loaded, EngineSettings(), ()).prompts
    assert len(bare) == len(chat) == 2
    assert len(bare[0]) <= BARE_TOKENS < len(chat[0])
    assert not set(loaded.tokenizer.all_special_ids) & set(bare[0])
