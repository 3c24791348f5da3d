"""What is known of a model without loading it: its files, tokenizer, context and end tokens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from huggingface_hub import snapshot_download

from harness.errors import FieldError
from harness.models.content import content_hash
from harness.models.end_tokens import end_tokens
from harness.models.loading import context_of, load_config, load_tokenizer, local_files
from harness.models.reference import locate


@dataclass(frozen=True)
class ModelFacts:
    """A model's files and what they say."""

    reference: str
    folder: Path
    config: Any
    tokenizer: Any
    end_tokens: frozenset[int]
    content_hash: str

    @classmethod
    def of(cls, reference: str) -> Self:
        """Read a model's files, downloading them first where need be; raises `ModelError`."""
        config = load_config(reference)
        tokenizer = load_tokenizer(reference)
        folder = local_files(reference) or Path(snapshot_download(str(locate(reference))))
        return cls(
            reference,
            folder,
            config,
            tokenizer,
            end_tokens(reference, config, tokenizer),
            content_hash(folder),
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
