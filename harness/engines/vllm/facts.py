"""What is known of a model without loading it: its files, tokenizer, context and end tokens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from harness.errors import FieldError
from harness.models.end_tokens import end_tokens
from harness.models.loading import checkpoint, context_of, load_config, load_tokenizer


@dataclass(frozen=True)
class ModelFacts:
    """A model's files and what they say."""

    reference: str
    folder: Path
    config: Any
    tokenizer: Any
    end_tokens: frozenset[int]
    content_hash: str
    quantisation: str = ""
    """How a GGUF file held the weights, which are dequantised."""

    @classmethod
    def of(cls, reference: str, dtype: str = "auto") -> Self:
        """Read a model's files, downloading them first where need be; raises `ModelError`.

        The weights of a GGUF file are dequantised to `dtype`.
        """
        config = load_config(reference)
        tokenizer = load_tokenizer(reference)
        files = checkpoint(reference, dtype)
        return cls(
            reference,
            files.folder,
            config,
            tokenizer,
            end_tokens(files.folder, config, tokenizer),
            files.content_hash,
            files.quantisation,
        )

    @property
    def context(self) -> int:
        """The longest sequence the model was made for, in tokens."""
        return context_of(self.config)

    def columns(self, asked: int | None) -> int:
        """The longest sequence that an engine is to hold; `FieldError` for more than the context.

        vLLM would refuse such a sequence, or the model fail on positions that it does not have.
        """
        if asked is not None and asked > self.context:
            raise FieldError(
                "engine.columns",
                f"{asked} tokens are more than the context of {self.reference}, which is "
                f"{self.context}; use at most {self.context}, or leave it out",
            )
        return asked or self.context

    @property
    def vocabulary(self) -> int:
        """How many token ids the model has."""
        return int(self.config.get_text_config().vocab_size)
