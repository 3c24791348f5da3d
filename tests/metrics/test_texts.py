"""Kinds of metrics of texts: what each says of a completion, and of which it has no value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FieldError, MetricError
from harness.metrics.builtin.lexicon import weighed, weights_of
from harness.metrics.builtin.repetition import longest_repeat
from harness.metrics.entry import Answer, Seen
from harness.metrics.kind import Checking, content_of, entry_of
from harness.metrics.words import words
from harness.registry import metrics
from harness.spec.metric import items_of

VOCABULARY = st.lists(st.sampled_from("abc"), max_size=12)


def item(**settings):
    (found,) = items_of([settings])
    return found


def said(text, /, *more, record=None, **settings):
    """The value of one sample whose completions are these texts."""
    answers = tuple(Answer((1,) * len(each), each) for each in (text, *more))
    return entry_of(item(**settings)).value(Seen("s", record or {}, "prompt", answers))


def checked(settings, *, unsafe_code=False, samples=()):
    kind = metrics.get(settings.kind)
    kind.check(settings, Checking(unsafe_code, None, samples, lambda: None))


@pytest.fixture
def lexicon(tmp_path):
    file = tmp_path / "mood.csv"
    file.write_text("word,weight\ngood,1\nnot good,-1\nbad,-2\n")
    return str(file)


@pytest.fixture
def schema(tmp_path):
    def write(document):
        file = tmp_path / "schema.json"
        file.write_text(json.dumps(document))
        return item(kind="schema", file=str(file))

    return write


@pytest.mark.parametrize(
    ("settings", "text", "value"),
    [
        ({"kind": "contains", "text": "Thank"}, "many thanks", 1),
        ({"kind": "contains", "text": "Thank", "ignore_case": False}, "many thanks", 0),
        ({"kind": "contains", "text": ["please", "thank"]}, "thank you", 1),
        ({"kind": "regex", "pattern": r"\bno\b"}, "oh no!", 1),
        ({"kind": "regex", "pattern": r"\bno\b"}, "oh know", 0),
        ({"kind": "regex", "pattern": "o", "of": "matches"}, "oh no", 2),
        ({"kind": "length"}, "one two", 7),
        ({"kind": "length", "of": "words"}, "One two, don't.", 3),
        ({"kind": "length", "of": "characters"}, "abc", 3),
        ({"kind": "length", "of": "lines"}, "a\n\nb\n", 2),
        ({"kind": "repetition", "n": 1}, "a b a b", 0.5),
        ({"kind": "repetition"}, "a b a b", 2 / 3),
        ({"kind": "repetition", "of": "longest"}, "a b c a b d", 2),
        ({"kind": "language", "language": "fr"}, "Je suis très content de vous voir", 1),
        ({"kind": "language", "language": "de"}, "Je suis très content de vous voir", 0),
        ({"kind": "json_valid"}, '{"a": [1, 2]}', 1),
        ({"kind": "json_valid"}, 'Here:\n```json\n{"a": 1}\n```\nDone.', 1),
        ({"kind": "json_valid", "fenced": False}, "```json\n1\n```\n", 0),
        ({"kind": "json_valid"}, "[NaN]", 0),
        ({"kind": "json_valid"}, "[" * 100_000, 0),
    ],
)
def test_what_a_kind_says_of_a_text(settings, text, value):
    assert said(text, **settings) == pytest.approx(value)


def test_a_sample_is_the_mean_of_its_draws():
    assert said("yes", "no", "yes", "no", kind="contains", text="yes") == 0.5


@pytest.mark.parametrize(
    ("settings", "text", "why"),
    [
        ({"kind": "repetition", "n": 3}, "two words", "2 words have no n-gram of 3"),
        ({"kind": "language", "language": "fr"}, "12 + 7", "without letters"),
        ({"kind": "similarity"}, "x", "no text 'answer'"),
        ({"kind": "regex", "pattern": "(a|aa)+$"}, "a" * 60 + "b", "longer than 1 s"),
    ],
)
def test_where_it_has_no_value_it_fails_and_says_why(settings, text, why):
    with pytest.raises(MetricError, match=why):
        said(text, **settings)


def test_a_refused_request_has_no_text_to_say_anything_of():
    refused = Answer((), "", error="too long")
    with pytest.raises(MetricError, match="was refused: too long"):
        entry_of(item(kind="contains", text="a")).value(Seen("s", {}, "", (refused,)))


@pytest.mark.parametrize("by", ["rouge1", "rouge2", "rouge_l", "chrf", "bleu"])
def test_a_text_is_as_similar_as_can_be_to_itself_and_less_to_another(by):
    record = {"answer": "the cat sat on the mat today"}
    settings = {"kind": "similarity", "by": by}
    assert said(record["answer"], record=record, **settings) == pytest.approx(1)
    assert said("dogs bark", record=record, **settings) < 0.3


@pytest.mark.parametrize(
    ("text", "value"), [("Good, good!", 2), ("This is not good. Bad", -3), ("nothing", 0)]
)
def test_a_lexicon_sums_weights_and_takes_the_longest_phrase(lexicon, text, value):
    assert said(text, kind="lexicon", file=lexicon) == value
    per = {"kind": "lexicon", "file": lexicon, "per": "100_words"}
    assert said(text, **per) == pytest.approx(100 * value / len(words(text)))


def test_a_text_without_words_has_no_weight_per_hundred_of_them(lexicon):
    with pytest.raises(MetricError, match="no words"):
        said("...", kind="lexicon", file=lexicon, per="100_words")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", "good,1\nbad,-2\n"),
        ("x.tsv", "good\t1\nbad\t-2\n"),
        ("x.json", '{"good": 1, "bad": -2}'),
    ],
)
def test_every_format_holds_the_same(name, content):
    assert weights_of(name, content) == {("good",): 1, ("bad",): -2}


@given(st.lists(VOCABULARY.filter(bool), min_size=1, max_size=4), VOCABULARY)
def test_a_weight_of_one_per_word_counts_words_whatever_phrases_there_are(phrases, text):
    weights = {(each,): 1.0 for each in "abc"} | {tuple(each): float(len(each)) for each in phrases}
    assert weighed(text, weights) == len(text)


@given(VOCABULARY)
def test_the_longest_repeat_is_what_a_plain_search_finds(text):
    expected = max(
        (
            size
            for size in range(1, len(text) + 1)
            for one in range(len(text) - size + 1)
            for other in range(one + 1, len(text) - size + 1)
            if text[one : one + size] == text[other : other + size]
        ),
        default=0,
    )
    assert longest_repeat(text) == expected


SHOP = {
    "type": "object",
    "properties": {"item": {"type": "string", "pattern": "^[a-z]+$"}},
    "required": ["item"],
}


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"item": "pear"}', 1), ('{"item": "7"}', 0), ("{}", 0), ("pear", 0)],
)
def test_a_schema_accepts_what_fits_it(schema, text, value):
    settings = schema(SHOP)
    checked(settings)
    assert entry_of(settings).value(Seen("s", {}, "", (Answer((), text),))) == value


@pytest.mark.parametrize(
    ("document", "text", "why"),
    [
        ({"$ref": "https://example.org/a.json"}, "1", "refers to what is not in it"),
        ({"pattern": "^(a|aa)+$"}, json.dumps("a" * 60 + "b"), "took longer than 1 s"),
    ],
)
def test_a_schema_fetches_nothing_and_ends(schema, document, text, why):
    settings = schema(document)
    with pytest.raises(MetricError, match=why):
        entry_of(settings).value(Seen("s", {}, "", (Answer((), text),)))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"kind": "regex", "pattern": "("}, r"pattern: '\(' is not accepted; it does not compile"),
        ({"kind": "lexicon", "file": "/nowhere.csv"}, "file: /nowhere.csv: No such file"),
        ({"kind": "schema", "file": "/nowhere.json"}, "file: /nowhere.json: No such file"),
        ({"kind": "language", "language": "xx"}, "language: 'xx' is not known; accepted: ace, af"),
        ({"kind": "python", "function": "/nowhere.py:f"}, "function: /nowhere.py: there is no"),
    ],
)
def test_what_cannot_be_followed_is_told_in_one_line(settings, why):
    with pytest.raises(FieldError, match=why):
        checked(item(**settings))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("x.csv", "good,1\nbad,much\n", "line 2: 'much' is no number"),
        ("x.csv", "good,1,2\n", "line 1: 3 columns"),
        ("x.csv", "word,weight\n", "holds no word"),
        ("x.csv", "a,1\nA,2\n", "twice"),
        ("x.csv", "...,1\n", "no word in it"),
        ("x.json", "[1]", "no JSON object"),
        ("x.json", '{"a": true}', "True is no number"),
    ],
)
def test_a_lexicon_without_numbers_says_where(tmp_path, name, content, why):
    (tmp_path / name).write_text(content)
    with pytest.raises(FieldError, match=why):
        checked(item(kind="lexicon", file=str(tmp_path / name)))


@pytest.mark.parametrize(
    ("document", "lacking"),
    [
        ({"$ref": "https://example.org/a.json"}, "'https://example.org/a.json'"),
        ({"items": {"anyOf": [{"$ref": "#/$defs/pear"}]}, "$defs": {}}, r"'/\$defs/pear'"),
    ],
)
def test_a_schema_that_refers_to_what_is_not_in_it_is_told_at_once(schema, document, lacking):
    with pytest.raises(FieldError, match=rf"file: .*: \$ref {lacking} is not in it"):
        checked(schema(document))


@pytest.mark.parametrize(
    "document",
    [
        {"$ref": "#/$defs/pear", "$defs": {"pear": {"type": "string"}}},
        {"$id": "https://example.org/a.json", "items": {"$ref": "a.json"}},
        {"properties": {"$ref": {"$ref": "#"}}, "const": {"$ref": "#/nowhere"}},
        {"$ref": "#pear", "$defs": {"pear": {"$anchor": "pear"}}},
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        True,
    ],
)
def test_a_schema_may_refer_to_itself(schema, document):
    checked(schema(document))


def test_a_schema_that_is_none_is_told(schema):
    with pytest.raises(FieldError, match="is no JSON Schema: 'objekt' is not"):
        checked(schema({"type": "objekt"}))


def test_content_is_that_of_files_and_settings_and_no_path(lexicon, tmp_path):
    settings = item(kind="lexicon", file=lexicon, name="mood")
    copy = tmp_path / "copy.csv"
    copy.write_bytes((tmp_path / "mood.csv").read_bytes())
    before = content_of(settings)
    assert content_of(item(kind="lexicon", file=str(copy), good="higher")) == before
    assert content_of(item(kind="lexicon", file=lexicon, per="100_words")) != before
    (tmp_path / "mood.csv").write_text("good,3\n")
    assert content_of(settings) != before
