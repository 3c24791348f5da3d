"""`text`: where the model's own words say that it is about to think again."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.interventions.oracle.trigger import Moment, Trigger


class TextTrigger(Trigger):
    """Asks where the last piece that the model wrote itself has one of these texts in it.

    Source: Speculative Thinking (arXiv:2504.12329), which asks after a blank line and cue words.
    """

    summary = "where the last piece has one of some texts in it"

    kind: Literal["text"] = "text"
    """The trigger is text, by default and always; its settings stand beside it."""
    cues: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] = [
        "\n\n",
        "Wait",
        "Alternatively",
        "Hmm",
        "However",
    ]
    """The texts after which the oracle is asked, with capitals as written; a blank line and words
    of doubt by default."""

    def fires(self, moment: Moment) -> bool:
        """As every trigger."""
        piece = moment.piece()
        return any(cue in piece for cue in self.cues)


TRIGGER = TextTrigger
