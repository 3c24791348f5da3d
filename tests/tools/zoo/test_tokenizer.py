import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.tasks.conversations import code_prompt, maths_prompt, render_text
from tools.zoo import tokenizer as module
from tools.zoo.corpus import build_tokenizer

TOKENIZER = build_tokenizer()
TEXT = st.text(st.characters(codec="utf-8"))


def encode(text):
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


@given(TEXT)
def test_any_text_round_trips(text):
    assert TOKENIZER.decode(encode(text)) == text


@given(TEXT, TEXT)
@settings(max_examples=50)
def test_text_cut_at_a_line_break_has_the_same_tokens_in_pieces(before, after):
    whole = f"{before}\n{after}"
    assert encode(f"{before}\n") + encode(after) == encode(whole)
    assert encode(before) + encode(f"\n{after}") == encode(whole)


@given(st.integers(0, 10**9))
def test_digits_are_tokens_of_their_own(number):
    assert TOKENIZER.tokenize(str(number)) == list(str(number))


def test_it_is_small_and_has_one_end_of_turn_and_one_of_text():
    assert 640 <= len(TOKENIZER) <= 768
    assert TOKENIZER.eos_token == module.END_OF_TURN
    assert TOKENIZER.pad_token == module.END_OF_TEXT
    assert len(encode("<|im_start|><tool_call></tool_call><|im_end|>")) == 4


def test_training_it_again_gives_the_same_tokenizer():
    assert build_tokenizer().backend_tokenizer.to_str() == TOKENIZER.backend_tokenizer.to_str()


def test_an_assisted_prompt_is_one_user_turn():
    assert render_text(TOKENIZER, maths_prompt("How many?", "assisted")) == (
        "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_an_agentic_prompt_names_the_tool_calls_it_and_shows_its_response():
    text = render_text(TOKENIZER, code_prompt("PROMPT\n", "agentic"))
    assert text == (
        "<|im_start|>system\nTools: read_file<|im_end|>\n"
        "<|im_start|>user\nComplete the function in main.py.<|im_end|>\n"
        "<|im_start|>assistant\n<tool_call>read_file main.py</tool_call><|im_end|>\n"
        "<|im_start|>user\n<tool_response>\n#Function definition and docstring:\nPROMPT\n\n"
        "</tool_response><|im_end|>\n<|im_start|>assistant\n"
    )


def call(arguments):
    return {
        "role": "assistant",
        "tool_calls": [{"function": {"name": "f", "arguments": arguments}}],
    }


@pytest.mark.parametrize(
    ("messages", "options", "text"),
    [
        (
            [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}],
            {},
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n",
        ),
        (
            [{"role": "system", "content": "S"}],
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            "<|im_start|>system\nS\nTools: f<|im_end|>\n",
        ),
        (
            [{"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}],
            {"add_generation_prompt": True},
            "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            [call({"path": "a", "mode": "r"})],
            {},
            "<|im_start|>assistant\n<tool_call>f a r</tool_call><|im_end|>\n",
        ),
        (
            [call('{"path": "a"}')],
            {},
            '<|im_start|>assistant\n<tool_call>f {"path": "a"}</tool_call><|im_end|>\n',
        ),
    ],
)
def test_the_chat_template_renders_every_role(messages, options, text):
    assert TOKENIZER.apply_chat_template(messages, tokenize=False, **options) == text
