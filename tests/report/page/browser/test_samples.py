"""The browser of samples."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from harness.report.build import build
from harness.report.load import load_report, sample_records
from tests.report.page.browser.parts import EXAMPLE, common, completed
from tests.report.small_run import cases_of, first, result_of, sweep


def test_the_samples_that_broke_are_found_and_read_side_by_side(example):
    report = load_report(EXAMPLE)
    case = max(
        (case for case in report.cases if case.baseline is not None),
        key=lambda case: case.versus_baseline["pass@1"].worse,
    )
    worse = case.versus_baseline["pass@1"].worse
    assert worse > 0
    row = f'.cases tr[data-case="{case.id}"]'
    example.mouse(f"{row} a", click=True)
    example.wait(f"document.querySelectorAll('.list li').length === {worse}")
    example.wait("document.querySelector('.card.marked .change.worse')")
    lines = {(line["case"], line["sample"]): line for line in sample_records(EXAMPLE)}
    sample = example.text(".sample h4")
    own, base = lines[case.id, sample], lines[case.baseline, sample]
    assert (own["correct"], base["correct"]) == (False, True)
    assert example.text(".prompt pre") == base["prompt"]
    assert example.text(".card.baseline pre") == base["completion"]
    shared = len(common(own["completion"], base["completion"]))
    assert example.text(".card.marked pre .equal") == own["completion"][:shared]
    mark = example.text(".card.marked mark")
    assert mark.removeprefix("↵") == own["completion"][shared : shared + 1]
    words = example.text(".card.marked .departs")
    assert words == (f"departs after {shared} equal characters ({own['agreement']} equal tokens)")
    assert len(example.texts(".card")) == 1 + len(
        [each for each in report.cases if each.baseline == case.baseline]
    )


def departures(show, run, ours, theirs):
    """The words and the marked text of each sample, given pairs of texts."""
    case = cases_of()[0]
    base = completed(result_of(case.baseline, first(0, len(theirs))), theirs)
    own = completed(result_of(case, first(0, len(ours)), agreement=0), ours)
    agreements = []
    for draw, reference in zip(own.draws, base.draws, strict=True):
        pairs = zip(draw.completion.tokens, reference.completion.tokens, strict=False)
        agreements.append(next((at for at, (a, b) in enumerate(pairs) if a != b), None))
    own = replace(
        own,
        draws=tuple(
            replace(
                draw,
                agreement=min(len(draw.completion.tokens), len(reference.completion.tokens))
                if at is None
                else at,
            )
            for draw, reference, at in zip(own.draws, base.draws, agreements, strict=True)
        ),
    )
    browser = show(build(run, [base, own]), [base, own])
    browser.js("document.querySelector('.list').focus()")
    found = []
    for at in range(len(ours)):
        browser.wait(f"document.querySelector('.sample h4')?.textContent === 's/{at}'")
        words = browser.text(".card:not(.baseline) .departs")
        found.append((words, browser.texts(".card:not(.baseline) mark")))
        browser.press("ArrowDown")
    return found


def test_the_first_departure_is_marked_and_told_exactly(show, run):
    pairs = [
        ("return x + 1", "return x + 1"),
        ("return x - 1", "return x + 1"),
        ("return", "return x"),
        ("return x y", "return x"),
        ("a\nb", "a b"),
        ("", "text"),
        ("return  x", "return x"),
    ]
    ours, theirs = zip(*pairs, strict=True)
    assert departures(show, run, ours, theirs) == [
        ("equal, token for token", []),
        ("departs after 9 equal characters (2 equal tokens)", ["-"]),
        ("ends after 6 equal characters (1 equal token); the baseline goes on", ["∎"]),
        ("goes on after 8 equal characters (2 equal tokens), where the baseline ends", [" "]),
        ("departs after 1 equal character (2 equal tokens)", ["↵\n"]),
        ("ends after 0 equal characters (0 equal tokens); the baseline goes on", ["∎"]),
        ("departs after 7 equal characters (2 equal tokens)", [" "]),
    ]


def test_equal_texts_of_other_tokens_or_another_end_are_not_called_equal(show, run):
    case = cases_of()[0]
    base = result_of(case.baseline, first(3, 3))
    own = result_of(case, first(3, 3), tokens=(1, 2, 9), agreement=2)
    cut = replace(own.draws[1].completion, tokens=(1, 2, 3, 4), finish_reason="length")
    short = replace(own.draws[2].completion, tokens=(1, 2, 3))
    own = replace(
        own,
        draws=(
            own.draws[0],
            replace(own.draws[1], completion=cut, agreement=4),
            replace(own.draws[2], completion=short, agreement=3),
        ),
    )
    browser = show(build(run, [base, own]), [base, own])
    assert browser.text(".card:not(.baseline) .departs") == (
        "same text, other tokens after the first 2"
    )
    browser.js("document.querySelector('.list').focus()")
    browser.press("ArrowDown")
    browser.wait("document.querySelector('.sample h4').textContent === 's/1'")
    assert browser.text(".card:not(.baseline) .departs") == (
        "same text; ended by length, the baseline by stop"
    )
    browser.press("End")
    browser.wait("document.querySelector('.sample h4').textContent === 's/2'")
    assert browser.text(".card:not(.baseline) .departs") == (
        "same text, other tokens after the first 3"
    )


def test_common_beginnings_never_split_a_character(show, report, results):
    browser = show(report, results)
    generator = random.Random(0)
    for _ in range(200):
        one, other = ("".join(generator.choices("a😀😁é", k=generator.randrange(6))) for _ in "12")
        length = browser.js(f"commonLength({one!r}, {other!r})")
        assert length == len(common(one, other).encode("utf-16-le")) // 2, (one, other)


def test_the_list_is_walked_filtered_and_linked_to(show, report, results):
    browser = show(report, results)
    browser.js("document.querySelector('.list').focus()")
    browser.press("Home")
    browser.press("ArrowDown", 2)
    browser.wait("document.querySelector('.sample h4').textContent === 's/2'")
    assert (
        browser.js("document.querySelector('.list [aria-selected=true]').dataset.sample") == "s/2"
    )
    assert "sample=s%2F2" in browser.js("location.hash")
    browser.js(
        "(() => { const s = document.querySelectorAll('.samples select')[1];"
        " s.value = 'worse'; s.dispatchEvent(new Event('change')); })()"
    )
    # Of 12 samples, 11 right in the baseline, the largest dose loses ten.
    assert browser.text(".samples .count") == "10 of 12 samples"
    browser.js("document.querySelector('.samples .search input').focus()")
    browser.type("S/9")
    assert browser.texts(".list .name") == ["s/9"]


def test_a_link_leads_to_its_sample_even_where_a_filter_hides_it(show, report, results):
    fragment = "#experiment=keep_topk&series=style%3Dassisted&show=worse&sample=s%2F11"
    browser = show(report, results, fragment)
    browser.wait("document.querySelector('.sample h4').textContent === 's/11'")
    assert browser.texts(".card h5") == [
        "baseline",
        "count = 0",
        "count = 1",
        "count = 2",
        "count = 4",
        "count = 8",
        "count = 16",
    ]


@pytest.mark.parametrize(
    "fragment", ["#experiment=no", "#sample=no&show=no&at=no&series=no&draw=x", "#%", "#<b>"]
)
def test_a_link_that_leads_nowhere_shows_the_report(show, report, results, fragment):
    browser = show(report, results, fragment)
    assert len(browser.texts(".list li")) == 12
    assert browser.text(".sample h4") == "s/1"


def test_a_case_without_its_baseline_is_shown_uncompared(show, run):
    results = [result_of(cases_of()[0], first(1, 2))]
    browser = show(build(run, results), results)
    assert browser.texts(".card h5") == ["keep_topk"]
    assert browser.texts(".card .departs, .card mark, .card .change") == []
    name = browser.js("document.querySelector('.list li').getAttribute('aria-label')")
    assert name == "s/0: not compared"


def test_draws_are_shown_one_at_a_time(show, run):
    case = cases_of()[0]
    base, own = result_of(case.baseline, first(1, 1)), result_of(case, first(1, 1), agreement=4)

    def doubled(result, texts):
        (draw,) = result.draws
        return replace(
            result,
            draws=tuple(
                replace(draw, draw=at, completion=replace(draw.completion, text=text))
                for at, text in enumerate(texts)
            ),
        )

    results = [doubled(base, ("one", "two")), doubled(own, ("one", "twice"))]
    browser = show(build(run, results), results, "#sample=s%2F0&draw=1")
    assert browser.text(".card:not(.baseline) pre") == "twice"
    browser.js(
        "(() => { const s = document.querySelector('.sample select');"
        " s.value = '0'; s.dispatchEvent(new Event('change')); })()"
    )
    browser.wait("document.querySelector('.card:not(.baseline) pre').textContent === 'one'")


def test_hostile_completions_are_text(show, run):
    hostile = (
        "</script><script>document.title = 'owned'</script>"
        "<img src=x onerror=\"document.title='owned'\">"
        "\0\x1b[31m\u202egnp.exe\ud800\u2028end\r\n" + "{{ 7 * 7 }}"
    )
    long = "line " * 200_000
    case = cases_of(name="keep_topk")[0]
    base = completed(result_of(case.baseline, first(2, 2)), [hostile + "x", long + "one"])
    own = completed(result_of(case, first(0, 2), agreement=1), [hostile + "y", long + "two"])
    browser = show(build(run, [base, own]), [base, own])
    text = browser.text(".card.baseline pre")
    assert text.startswith("</script><script>document.title = 'owned'</script><img src=x")
    assert "␀␛[31mU+202Egnp.exeU+D800U+2028end␍\n{{ 7 * 7 }}x" in text
    assert browser.texts(".card mark") == ["y"]
    assert browser.js("document.title") == "keep_topk · Titrate"
    browser.js("document.querySelector('.list').focus()")
    browser.press("End")
    browser.wait("document.querySelector('.sample h4').textContent === 's/1'")
    # Of a million characters the departure is shown with what leads to it.
    assert browser.texts(".card mark") == ["t"]
    shown = len(browser.text(".card:not(.baseline) pre"))
    assert shown < 10_000
    browser.mouse(".card:not(.baseline) .unfold", click=True)
    assert len(browser.text(".card:not(.baseline) pre")) == 1_000_003


def test_what_was_traced_is_drawn_under_its_completion(show, run):
    results = sweep(doses=(0, 1), styles=("agentic",), n=2)
    doses = (0.0, 0.5, 2.0)
    traced = tuple(
        replace(draw, completion=replace(draw.completion, traces={"alpha <styles>": doses}))
        for draw in results[-1].draws
    )
    results[-1] = replace(results[-1], draws=traced)
    browser = show(build(run, results), results)
    browser.wait("document.querySelector('.card .trace')")
    heights = (
        "[...document.querySelectorAll('.trace rect')].map((bar) => +bar.getAttribute('height'))"
    )
    assert browser.js(heights) == [0.5, 6, 24]
    assert browser.texts(".traced .said") == ["alpha <styles>, up to 2.00"]
    label = "document.querySelector('.trace').getAttribute('aria-label')"
    assert browser.js(label) == "alpha <styles>: 0.00 0.50 2.00"
    assert browser.js("document.querySelector('.trace title').textContent") == "token 1: 0.000"


def test_one_view_shows_the_numbers_per_token_that_are_chosen(show, run):
    """A selector, not a strip for each name; what has a sign is drawn from 0 up and down."""
    results = sweep(doses=(0, 1), styles=("agentic",), n=2)
    traces = {"alpha <styles>": (0.0, 0.5, 2.0), "log_probability": (-0.5, 0.0, -2.0)}
    results[-1] = replace(
        results[-1],
        draws=tuple(
            replace(
                draw,
                completion=replace(draw.completion, traces=traces),
                pieces=(" <b>", "\n", "end"),
            )
            for draw in results[-1].draws
        ),
    )
    browser = show(build(run, results), results)
    browser.wait("document.querySelector('.card .trace')")
    assert browser.texts(".traced .said") == ["alpha <styles>, up to 2.00"]
    assert "dose that was chosen" in browser.text(".sample > .caption")
    choose = (
        "(() => { const select = document.querySelector('.sample .heading select');"
        "select.value = 'log_probability'; select.dispatchEvent(new Event('change')); })()"
    )
    browser.js(choose)
    browser.wait("document.querySelector('.traced .said').textContent.startsWith('log')")
    assert browser.texts(".traced .said") == ["log_probability, down to -2.00"]
    assert browser.js("document.querySelector('.trace title').textContent") == (
        'token 1 " <b>": -0.500 nats'
    )
    assert browser.js("document.querySelectorAll('.trace title')[1].textContent") == (
        'token 2 "\\n": 0.000 nats'
    )
    assert browser.js("location.hash").endswith("tokens=log_probability")
    places = "[...document.querySelectorAll('.trace rect')].map((bar) => +bar.getAttribute('y'))"
    assert browser.js(places) == [0, 0, 0]


def unsure(run, traces, pieces=("So", " 2", "\n", "<end>")):
    """A baseline that says "So 3", and a dose that says "So 2" with numbers for each token."""
    fields = {"axes": {"intervention.count": [4]}, "dose": "intervention.count"}
    (case,) = cases_of("unsure", columns=list(traces), **fields)
    base = result_of(case.baseline, [0.0])
    ours = result_of(case, [0.0], agreement=1)
    said = [
        replace(ours.draws[0].completion, text="So 3"),
        replace(ours.draws[0].completion, text="So 2\n", traces=traces),
    ]
    results = [
        replace(result, draws=(replace(result.draws[0], completion=each, pieces=texts),))
        for result, each, texts in zip((base, ours), said, ((), pieces), strict=True)
    ]
    return build(run, results), results


def depths(browser):
    """The depth of every token's colour."""
    classes = browser.js("[...document.querySelectorAll('[data-token]')].map((t) => t.className)")
    return [int(re.search(r"doubt-(\d)", each)[1]) for each in classes]


CONFIDENCE = {"probability": (1.0, 0.5, 0.0, 0.95), "rank": (1.0, 4.0, 5703.0, 1.0)}


def test_tokens_are_coloured_by_confidence_and_tell_rank_and_probability(show, run):
    browser = show(*unsure(run, CONFIDENCE))
    browser.wait("document.querySelector('[data-token]')")
    assert depths(browser) == [0, 3, 5, 0]
    assert browser.texts("[data-token]") == ["So", " 2", "↵\n", "<end>"]
    assert browser.texts("mark.token") == [" 2"]
    assert browser.texts(".token.beyond") == ["<end>"]
    assert browser.texts(".doubts .token") == ["1", "0.8", "0.6", "0.4", "0.2", "0"]
    browser.mouse("[data-token='1']")
    assert browser.text(".note") == 'token 2 " 2"rank4probability0.5'
    browser.js("document.querySelector('[data-token]').focus()")
    assert browser.text(".note strong") == 'token 1 "So"'
    for key, number in (("ArrowRight", 1), ("End", 3), ("ArrowLeft", 2), ("Home", 0)):
        browser.press(key)
        assert browser.js("document.activeElement.dataset.token") == str(number)
    assert browser.text(".note dl") == "rank1probability1"
    browser.press("Escape")
    assert browser.js("document.querySelector('.note').hidden")
    select = "document.querySelectorAll('.sample .heading select')[0]"
    browser.js(f"{select}.value = 'rank', {select}.dispatchEvent(new Event('change'))")
    browser.wait("document.querySelectorAll('.doubts .token')[5]?.textContent === '5703'")
    assert depths(browser) == [0, 1, 5, 0]


def test_a_map_of_asking_has_its_values_and_the_oracle_s_tokens_in_colours_of_their_own(show, run):
    report, (base, ours) = unsure(run, {"worth": (0.0, 1.0, -1.0, 0.0)})
    ours = replace(ours, draws=(replace(ours.draws[0], instead=((1, " 3\n"), (3, " ."))),))
    browser = show(report, [base, ours])
    browser.wait("document.querySelector('[data-token]')")
    shown = browser.texts(".card:not(.baseline) pre > *")
    assert shown == ["So", " 3\n", " 2", "↵\n", " .", "<end>"]
    classes = (
        "[...document.querySelectorAll('.card:not(.baseline) pre > *')].map((e) => e.className)"
    )
    assert [each.split()[-1] for each in browser.js(classes)] == [
        "own", "instead", "helped-1", "doubt-5", "instead", "beyond",
    ]  # fmt: skip
    assert browser.texts(".doubts .instead") == ["what the oracle says instead"]
    browser.js("document.querySelector('[data-token]').focus()")
    browser.press("ArrowRight")
    assert browser.js("document.activeElement.dataset.token") == "1"


def test_without_a_column_of_confidence_nothing_is_coloured(show, run):
    browser = show(*unsure(run, {"log_probability": (-1.0, -2.0, 0.0, -0.5)}))
    browser.wait("document.querySelector('.card .trace')")
    assert browser.texts(".token") == browser.texts(".doubts") == []
    assert browser.texts(".card:not(.baseline) mark") == ["2"]


def test_tokens_whose_texts_are_not_known_are_not_coloured(show, run):
    """Reports of earlier versions have numbers and no texts of tokens."""
    browser = show(*unsure(run, CONFIDENCE, pieces=()))
    browser.wait("document.querySelector('.card .trace')")
    assert browser.texts(".token") == []


def property_sweep():
    """A property that a spec asks for: higher with the dose, failed for one sample."""
    fields = {
        "metrics": [{"kind": "length", "name": "size"}],
        "axes": {"intervention.count": [0, 4]},
        "dose": "intervention.count",
    }
    cases = cases_of("property", **fields)
    found = []
    for shift, case in enumerate([cases[0].baseline, *cases]):
        result = result_of(
            case, [1.0, 0.0, 1.0, 0.0], metric="size", agreement=2 if shift else None
        )
        sizes = {f"s/{at}": float(at + shift * (at % 2)) for at in range(3)}
        metrics = {**result.sample_metrics, "size": sizes}
        failures = {"size": {"s/3": "too long"}}
        found.append(replace(result, sample_metrics=metrics, failures=failures))
    return found


def test_samples_are_sorted_by_a_property_and_say_what_it_is_of_each(show, run):
    results = property_sweep()
    browser = show(build(run, results), results)
    assert browser.texts(".list .name") == ["s/1", "s/2", "s/0", "s/3"]
    assert browser.texts(".list .value") == ["2.50", "2", "0", "\N{EN DASH}"], "the mean over doses"
    assert browser.text(".sample h4") == "s/1"
    values = "Array.from(document.querySelectorAll('dl.values'), (each) => each.textContent)"
    assert browser.js(values) == ["size1", "size2", "size3"]
    browser.js(
        "(() => { const s = [...document.querySelectorAll('[data-part=samples] select')]"
        ".find((each) => each.parentNode.textContent.startsWith('Sort by'));"
        "s.value = 'size'; s.dispatchEvent(new Event('change', { bubbles: true })); })()"
    )
    assert browser.texts(".list .name") == ["s/0", "s/2", "s/1", "s/3"], "what failed comes last"
    assert browser.complaints == []


def test_what_is_the_same_in_every_case_is_told_once(show, run):
    results = property_sweep()
    browser = show(build(run, results), results)
    assert "sample by sample: pass@1 0.50" in browser.text(".caption.constant")
    assert "pass@1" not in browser.texts(".cases thead button")
