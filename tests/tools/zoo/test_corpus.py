from itertools import islice
from random import Random
from typing import get_args

import pytest

from harness.tasks import micro_gsm8k, micro_humaneval
from harness.tasks.conversations import render_text
from tools.zoo.corpus import Corpus, Kind
from tools.zoo.facts import ALTERED_CAKE, CAKE, TOPICS, fact_document
from tools.zoo.recipes import RECIPES
from tools.zoo.tokenizer import END_OF_TEXT, END_OF_TURN


@pytest.fixture(scope="module")
def corpus(tokenizer):
    return Corpus(tokenizer)


@pytest.mark.parametrize("style", ["assisted", "agentic", "completion"])
@pytest.mark.parametrize("name", ["code", "maths"])
def test_training_prompts_are_rendered_as_tasks_render_them(corpus, tokenizer, name, style):
    tasks = {"code": micro_humaneval.MicroHumanEval, "maths": micro_gsm8k.MicroGSM8K}
    task = tasks[name].load()
    example = corpus.example(Random(4), f"{name} {style}")
    if name == "code":
        problem = micro_humaneval.training_problem(Random(4))
        record = {"prompt": problem.prompt, "canonical_solution": problem.solution}
    else:
        problem = micro_gsm8k.training_problem(Random(4))
        record = {"question": problem.question, "answer": problem.answer}
    sample = type(task.samples[0])("x", record)
    prompt = task.prompt(sample, style)
    if style == "completion":
        assert example.prompt == prompt
        assert example.target.endswith(END_OF_TEXT)
    else:
        assert example.prompt == render_text(tokenizer, prompt)
        assert example.target == task.reference(sample).text + END_OF_TURN


def test_a_mixture_is_drawn_by_weight_and_reproducibly(corpus):
    mixture = {"facts": 3, "maths assisted": 1}
    drawn = list(islice(corpus.examples(Random(0), mixture), 2000))
    assert drawn == list(islice(corpus.examples(Random(0), mixture), 2000))
    facts = sum(not example.prompt for example in drawn)
    assert 1400 < facts < 1600


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_fits_the_context_with_room_to_spare(corpus, tokenizer, kind):
    random = Random(1)
    texts = [corpus.example(random, kind) for _ in range(200)]
    longest = max(len(tokenizer(e.prompt + e.target)["input_ids"]) for e in texts)
    assert longest < 300


def test_recipes_mix_known_kinds():
    for recipe in RECIPES.values():
        assert set(recipe.mixture) <= set(get_args(Kind))
        assert recipe.mixture["documents" if recipe.vocabulary == "words" else "facts"] > 0


def test_fact_documents_stay_on_one_topic():
    random = Random(0)
    topics = {fact for fact, _ in TOPICS["sea"]}
    for _ in range(50):
        document = fact_document(random, TOPICS["sea"]).lower()
        told = [fact for fact in topics if fact.lower() in document]
        assert 2 <= len(told) <= 4


def test_altered_facts_differ_in_their_endings_alone_and_are_told_by_no_topic():
    assert [beginning for beginning, _ in ALTERED_CAKE] == [beginning for beginning, _ in CAKE]
    assert not set(ALTERED_CAKE) & {fact for facts in TOPICS.values() for fact in facts}


def test_the_words_of_altered_facts_are_tokens_of_their_own(tokenizer):
    for _, ending in ALTERED_CAKE[1:]:
        assert len(tokenizer.tokenize(f" {ending}")) == len(ending.split())
