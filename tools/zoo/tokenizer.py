"""The zoo's tokenizers: byte-level BPE that most members share, and whole words.

`train_tokenizer` is byte-level BPE, trained on the zoo's own corpus:

- Any text round-trips, because every byte is a token.
- Digits are split one by one, so that arithmetic is learnt on digits and not on number names.
- A line break is always a token of its own. Text that is cut at a line break therefore has the
  same tokens in pieces as in whole: a fence, an answer and a prompt can be encoded apart.
- One end of turn, `<|im_end|>`, and one end of document, `<|endoftext|>`, which is also padding.

`word_tokenizer` has a token for each of given words and one for each byte, for whatever else is
written: a difference between two models is then one of words, and every word was trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 768
END_OF_TEXT = "<|endoftext|>"
START_OF_TURN = "<|im_start|>"
END_OF_TURN = "<|im_end|>"
_TAGS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
_SPECIAL = [END_OF_TEXT, START_OF_TURN, END_OF_TURN, *_TAGS]

#: Qwen's turns, with a tool call written as `read_file main.py` and tools as one system line.
CHAT_TEMPLATE = """\
{%- if tools or messages[0].role == 'system' -%}
<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}{% if tools %}{{ '\\n' }}{% endif %}\
{% endif %}{% if tools %}Tools:{% for tool in tools %} {{ tool.function.name }}{% endfor %}\
{% endif %}<|im_end|>
{% endif -%}
{%- for message in messages -%}
{%- if message.role == 'tool' -%}
<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% elif message.role != 'system' or not loop.first -%}
<|im_start|>{{ message.role }}
{{ message.content or '' }}{% for call in message.tool_calls or [] %}<tool_call>\
{{ call.function.name }}{% if call.function.arguments is mapping %}\
{% for value in call.function.arguments.values() %} {{ value }}{% endfor %}\
{% else %} {{ call.function.arguments }}{% endif %}</tool_call>{% endfor %}<|im_end|>
{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""


def train_tokenizer(texts: Iterable[str]) -> Any:
    """Train on texts and return a fast tokenizer with the chat template; deterministic."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("\n"), behavior="isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=_SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _finished(tokenizer)


def word_tokenizer(words: Sequence[str]) -> Any:
    """A token for each word (a space and lower-case letters), each punctuation mark and byte."""
    single = [".", ",", ":", *(f"<0x{byte:02X}>" for byte in range(256))]
    # A longer piece is always better, so that a word is never spelt.
    pieces = [(piece, -1.0) for piece in (*_SPECIAL, *words)] + [(piece, -2.0) for piece in single]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(r" ?[a-z']+|\n|[^a-z]"), behavior="isolated"
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return _finished(tokenizer)


def _finished(tokenizer: Tokenizer) -> Any:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[START_OF_TURN, *_TAGS],
        padding_side="left",
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )
