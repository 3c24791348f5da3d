"""A sampling rule: the surer the model is of its best token, the fewer others are drawn.

Tokens stay with at least `top_a` times the square of the best one's probability (BlinkDL, in the
RWKV language model, github.com/BlinkDL/RWKV-LM).
"""

from typing import Annotated

from pydantic import Field

from harness.sampling import CountRule


class TopA(CountRule):
    """Keeps tokens by a threshold that rises with the best probability."""

    name = "top_a"
    field = Annotated[float, Field(ge=0, le=1)]
    description = (
        "Tokens are drawn from those with at least this share of the square of the most probable "
        "one's probability. 0, the default, is all."
    )
    neutral = 0.0
    place = 80  # behind all that are built in
    idle = 1e-30  # values that identities try: one that cuts nothing, and one that cuts
    example = 0.5

    def apply(self, ordered, rows):
        """How many tokens each row keeps, [R], of its logits [R, V] in descending order."""
        scores = ordered.log_softmax(dim=-1)
        return (scores >= rows.log()[:, None] + 2 * scores[:, :1]).sum(dim=-1)


RULE = TopA()
