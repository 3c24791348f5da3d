"""A task with its scorer: a number that the question holds has to be said again."""

import re
from random import Random

from harness.tasks.base import Reference, Sample, Score, Task, common_rates
from harness.tasks.conversations import maths_prompt


def record(number):
    """`{"question": "Ann has 71 coins. How many coins does Ann have now?", "answer": "71"}`."""
    question = f"Ann has {number} coins. How many coins does Ann have now?"
    return {"question": question, "answer": str(number)}


class Recall(Task):
    """Says a number again that the question holds."""

    name = "recall"
    version = 1  # another one whenever records, prompts or the scorer change
    metric = "recalled"

    @classmethod
    def load(cls):
        """The same samples on every machine."""
        numbers = Random(0).sample(range(3, 100), 40)
        return cls([Sample(f"Recall/{number}", record(number)) for number in numbers])

    def prompt(self, sample, style):
        return maths_prompt(sample.record["question"], style, self.date)

    def reference(self, sample):
        return Reference("#### ", sample.record["answer"], "")

    def stop_strings(self, style):
        return ("Question:",) if style == "completion" else ()

    def score(self, answers):
        """Compare the last number of each answer; one without any is wrong, and not parsed."""
        scores = []
        for sample, _, text in answers:
            said = re.findall(r"\d+", text)
            scores.append(Score(said[-1:] == [sample.record["answer"]], parsed=bool(said)))
        return scores

    def metrics(self, scores):
        """The share of right answers among a sample's draws, and what every task counts."""
        return {self.metric: sum(s.correct for s in scores) / len(scores), **common_rates(scores)}
