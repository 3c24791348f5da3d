"""A task with its scorer: a number that the question holds has to be said again."""

import re
from random import Random

from harness.tasks.base import Reference, Sample, Score, Task
from harness.tasks.conversations import maths_prompt


class Recall(Task):
    """Says a number again that the question holds."""

    name = "recall"
    version = 1  # another one whenever records, prompts or the scorer change
    metric = "recalled"

    @classmethod
    def load(cls):
        """The same samples on every machine."""
        numbers = map(str, Random(0).sample(range(3, 100), 40))
        asked = "Ann has {} coins. How many coins does Ann have now?"
        records = [{"question": asked.format(each), "answer": each} for each in numbers]
        return cls([Sample(f"Recall/{each['answer']}", each) for each in records])

    def prompt(self, sample, style):
        return maths_prompt(sample.record["question"], style, self.date)

    def reference(self, sample):
        return Reference("#### ", sample.record["answer"], "")

    def score(self, answers):
        """Compare the last number of each answer; one without any is wrong, and not parsed."""
        scores = []
        for sample, _, text in answers:
            said = re.findall(r"\d+", text)
            scores.append(Score(said[-1:] == [sample.record["answer"]], parsed=bool(said)))
        return scores
