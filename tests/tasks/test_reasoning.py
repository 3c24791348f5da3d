import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.tasks.reasoning import opened_by, without_reasoning


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>7</think>18", "18"),
        ("<think>\n```\ncode\n</think>\n18", "\n18"),  # a draft whose fence is cut
        ("<think>```\ncode\n```</think>18", "18"),
        ("7\n```\ncode\n```</think>18", "18"),  # opened by the prompt
        ("```\ncode\n</think>\n18", "\n18"),
        ("<think>never ends", ""),
        ("a<think>b</think>c<think>d", "ac<think>d"),
        ("x\n<think>cut", "x\n"),
        ("[THINK]7[/THINK]18", "18"),
        ("<reasoning>7</reasoning>18", "18"),
        ("<|START_THINKING|>7<|END_THINKING|>18", "18"),
        (
            "<|channel|>analysis<|message|>7<|end|><|start|>assistant<|channel|>final<|message|>18",
            "18",
        ),
        ("<|channel|>final<|message|>18", "18"),
        # Text about markers
        ("the tag <think> is one", "the tag <think> is one"),
        ("use `</think>` here", "use `</think>` here"),
        ('s.split("</think>")', 's.split("</think>")'),
        ("```\ns = '<think>' # </think>\n```", "```\ns = '<think>' # </think>\n```"),
        ("<think>`<think>` is a tag</think>18", "18"),
    ],
)
def test_reasoning_is_what_its_markers_say(text, answer):
    assert without_reasoning(text) == answer


def test_a_prompt_may_open_reasoning():
    assert opened_by("<|im_start|>assistant\n<think>\n") == "<think>"
    assert opened_by("<|im_start|>assistant\n<think>\n\n</think>\n\n") == ""
    assert opened_by("") == ""


@given(st.text(alphabet=st.characters(exclude_characters="<[◁")))
def test_text_without_markers_is_the_answer(text):
    assert without_reasoning(text) == text
    assert without_reasoning(f"<think>{text.replace('`', '')}</think>{text}") == text
