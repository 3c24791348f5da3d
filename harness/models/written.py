"""A configuration as its config.json says it, which takes no torch to read.

transformers imports whatever makes models when it makes a configuration: seconds, for a number of
layers. So the files that ship with us, and are known to be good, are read as they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class WrittenConfig:
    """The values of a config.json as attributes, those of a language model and nothing else.

    A value that is not written is the default of `whole`, the configuration as transformers makes
    it; without `whole` it raises AttributeError.
    """

    def __init__(self, document: Mapping[str, Any], whole: Callable[[], Any] | None = None) -> None:
        self._whole = whole
        self._document = dict(document)
        # The number of experts has two names in transformers, whichever a file uses.
        if "num_local_experts" in document:
            self._document.setdefault("num_experts", document["num_local_experts"])

    def __getattr__(self, name: str) -> Any:
        if name in self._document:
            return self._document[name]
        if self._whole is None or name.startswith("_"):
            raise AttributeError(f"{name} is not written in this configuration")
        return getattr(self._whole(), name)

    def get_text_config(self) -> WrittenConfig:
        """Itself: it describes a language model."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """The values by their names."""
        return dict(self._document)
