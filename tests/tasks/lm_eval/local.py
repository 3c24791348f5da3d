"""Tasks of lm-eval's own forms on a few word problems, and tiny models to ask them of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import yaml

from harness.models import zoo

NAMES = ("Ann", "Bob", "Cy", "Dee")


def documents(count: int = 8) -> list[dict[str, Any]]:
    """`Ann has 3 coins and gets 4.`, with answers to choose from."""
    random = Random(0)
    found = []
    for number in range(count):
        one, other = random.randint(1, 9), random.randint(1, 9)
        who = random.choice(NAMES)
        wrong = [one + other + 1, one, other + 11]
        choices = [str(one + other), *map(str, wrong)]
        gold = random.randrange(4)
        choices[0], choices[gold] = choices[gold], choices[0]
        found.append(
            {
                "question": f"{who} has {one} coins and gets {other}. How many has {who} now?",
                "choices": choices,
                "gold": gold,
                "answer": choices[gold],
                "even": number % 2,
                "both": [gold, (gold + 1) % 4],
                "blank": [f"{name} has {one} coins" for name in NAMES[:2]],
                "who": 1 if who == NAMES[1] else 0,
                "text": " ".join([f"{who} has {one} coins and gets {other}."] * (1 + number % 3)),
            }
        )
    return found


_CHOICE: dict[str, Any] = {
    "output_type": "multiple_choice",
    "doc_to_text": "Question: {{question}}\nAnswer:",
    "doc_to_choice": "choices",
    "doc_to_target": "gold",
    "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}, {"metric": "acc_bytes"}],
}
_TEXT: dict[str, Any] = {
    "output_type": "generate_until",
    "doc_to_text": "Question: {{question}}\nAnswer:",
    "doc_to_target": "answer",
    "generation_kwargs": {"until": ["\n\n", "Question:"], "max_gen_toks": 12},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}
_NUMBER = {"function": "regex", "regex_pattern": r"(\d+)", "group_select": -1}
_FIRST = {"function": "take_first"}

TASKS: dict[str, dict[str, Any]] = {
    "choice": _CHOICE,
    "choice_shots": {**_CHOICE, "num_fewshot": 2, "description": "Add up.\n\n"},
    "choice_prefix": {**_CHOICE, "gen_prefix": "The answer is"},
    "choice_unconditional": {
        **_CHOICE,
        "metric_list": [{"metric": "acc"}, {"metric": "acc_mutual_info"}],
    },
    "choice_two": {
        **_CHOICE,
        "doc_to_choice": ["no", "yes"],
        "doc_to_target": "even",
        "metric_list": [{"metric": "acc"}, {"metric": "f1"}, {"metric": "mcc"}],
    },
    "choice_brier": {**_CHOICE, "metric_list": [{"metric": "brier_score"}]},
    "choice_several": {**_CHOICE, "doc_to_target": "both"},
    "choice_inputs": {
        **_CHOICE,
        "doc_to_text": "who",
        "doc_to_choice": "blank",
        "doc_to_target": " and gets more.",
        "metric_list": [{"metric": "acc"}],
    },
    "target": {
        "output_type": "loglikelihood",
        "doc_to_text": "Question: {{question}}\nAnswer: ",
        "doc_to_target": "{{answer}}",
        "metric_list": [{"metric": "perplexity"}, {"metric": "acc"}],
    },
    "target_alone": {
        "output_type": "loglikelihood",
        "doc_to_text": "",
        "doc_to_target": "{{question}}",
        "metric_list": [{"metric": "perplexity"}, {"metric": "acc"}],
    },
    "rolling": {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [
            {"metric": "word_perplexity"},
            {"metric": "byte_perplexity"},
            {"metric": "bits_per_byte"},
        ],
    },
    "text": _TEXT,
    "text_filters": {
        **_TEXT,
        "num_fewshot": 2,
        "fewshot_config": {"sampler": "first_n"},
        "filter_list": [
            {
                "name": "strict-match",
                "filter": [{"function": "regex", "regex_pattern": r"#### (\d+)"}, _FIRST],
            },
            {"name": "flexible-extract", "filter": [_NUMBER, _FIRST]},
        ],
    },
    "text_repeats": {
        **_TEXT,
        "repeats": 3,
        "generation_kwargs": {
            "until": ["\n\n"],
            "max_gen_toks": 12,
            "do_sample": True,
            "temperature": 0.8,
        },
        "filter_list": [
            {"name": "maj@3", "filter": [_NUMBER, {"function": "majority_vote"}, _FIRST]},
            {"name": "first", "filter": [_NUMBER, _FIRST]},
        ],
    },
    "text_again": {
        **_TEXT,
        "repeats": 2,
        "filter_list": [
            {"name": "maj@2", "filter": [_NUMBER, {"function": "majority_vote"}, _FIRST]}
        ],
    },
    "text_prefix": {**_TEXT, "gen_prefix": "The answer is", "num_fewshot": 1},
    "text_bleu": {
        **_TEXT,
        "metric_list": [
            {"metric": "chrf", "aggregation": "chrf", "higher_is_better": True},
            {"metric": "bleu", "aggregation": "bleu", "higher_is_better": True},
        ],
    },
    "text_code": {
        **_TEXT,
        "process_results": "!function scoring.process",
        "metric_list": [
            {"metric": "near", "aggregation": "mean", "higher_is_better": True},
            {
                "metric": "spread",
                "aggregation": "!function scoring.spread",
                "higher_is_better": False,
            },
        ],
    },
}
#: The tasks of the tag `coins`.
TAGGED = ("choice_two", "target")
CODE = """
import re

def process(doc, results):
    numbers = re.findall(r"[0-9]+", results[0])
    said = int(numbers[-1]) if numbers else 0
    return {"near": float(abs(said - int(doc["answer"])) < 3), "spread": (said, doc["answer"])}

def spread(items):
    values = [said for said, _ in items]
    return max(values) - min(values)
"""


def write(folder: Path, count: int = 8) -> dict[str, Path]:
    """All tasks as files, and a group of some of them."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "coins.jsonl"
    data.write_text("".join(json.dumps(each) + "\n" for each in documents(count)))
    (folder / "scoring.py").write_text(CODE)
    found = {}
    for name, own in TASKS.items():
        config = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data), "train": str(data)}},
            "test_split": "test",
            "training_split": "train",
            **own,
        }
        text = yaml.safe_dump(config, sort_keys=False)
        # The tag of a function, which is a text in the table above.
        text = text.replace("'!function", "!function").replace(".process'", ".process")
        text = text.replace(".spread'", ".spread")
        found[name] = folder / f"{name}.yaml"
        found[name].write_text(text)
    for name in TAGGED:
        found[name].write_text(f"tag: coins\n{found[name].read_text()}")
    for weighted in (True, False):
        name = "group_by_size" if weighted else "group_alike"
        group = {
            "group": name,
            "task": ["choice", "choice_shots"],
            "aggregate_metric_list": [{"metric": "acc", "weight_by_size": weighted}],
        }
        found[name] = folder / f"{name}.yaml"
        found[name].write_text(yaml.safe_dump(group, sort_keys=False))
    return found


def model(folder: Path, *, first: bool = False, longest: int = 2048) -> str:
    """zoo/base, or the same with a first token, or that reads less at once."""
    source = zoo.resolve("base")
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    config["max_position_embeddings"] = longest
    if first:
        config["bos_token_id"] = 1
        own = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(
            json.dumps({**own, "bos_token": "<|im_start|>"})
        )
        tokens = json.loads((folder / "tokenizer.json").read_text())
        tokens["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "<|im_start|>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {
                "<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}
            },
        }
        (folder / "tokenizer.json").write_text(json.dumps(tokens))
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)
