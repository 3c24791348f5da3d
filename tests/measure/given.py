"""A task of given records, for measures that read what no built-in task has."""

from __future__ import annotations

from harness.tasks.base import Reference, Sample, Score, Task


class Given(Task):
    """Records with `prompt`, `choices` and the index `right`; nothing is generated."""

    name = "given"

    @classmethod
    def of(cls, records):
        return cls([Sample(f"given/{at}", record) for at, record in enumerate(records)])

    def prompt(self, sample, style):
        return sample.record["prompt"]

    def reference(self, sample):
        return Reference("", sample.record["choices"][self.gold(sample)], "")

    def distractors(self, sample):
        choices = list(sample.record["choices"])
        del choices[self.gold(sample)]
        return tuple(choices)

    def gold(self, sample):
        return sample.record["right"]

    def stop_strings(self, style):
        return ()

    def score(self, answers):
        return [Score(correct=False, parsed=False)] * len(answers)

    def metrics(self, scores):
        return {}


#: Minimal pairs: two whole sentences, the first of which is right.
PAIRS = [
    {"prompt": "", "choices": [good, bad], "right": 0}
    for good, bad in [
        ("The key to the cabinets is on the table.", "The key to the cabinets are on the table."),
        ("The keys to the cabinet are on the table.", "The keys to the cabinet is on the table."),
        ("Nobody has ever seen it.", "Everybody has ever seen it."),
        ("She gave him three apples.", "She gave him three apple."),
        ("The girls see themselves.", "The girls see herself."),
        ("What did you say that he had?", "What did you say that he had it?"),
    ]
]
#: Several answers of several lengths, the right one anywhere, behind prompts of every ending.
QUESTIONS = [
    {"prompt": prompt, "choices": choices, "right": right}
    for prompt, choices, right in [
        ("Question: How many legs does a dog have?\nAnswer:", ["two", "four", "six legs"], 1),
        ("The opposite of hot is", ["very cold indeed", "cold", "warm", "x"], 1),
        ("def add(a, b):\n    return", ["a + b", "a - b", "print(a)"], 0),
        ("A triangle has three", ["wheels", "corners and sides", "sides"], 2),
        ("Water is made of hydrogen and", ["oxygen", "gold", "\u6c27\u6c14 and more"], 0),
        ("Two and two make", ["five", "three", "four"], 2),
    ]
]
