"""vLLM's own server, asked by `served`: the same tokens as in transformers, and the same scores."""

from __future__ import annotations

import pytest

import harness
from harness.engines import open_engine
from harness.engines.company import Company
from harness.engines.contract import Request, Scoring, Stop
from harness.engines.served.engine import ServedEngine
from harness.errors import ModelError
from harness.interventions.oracle.description import Oracle
from harness.interventions.oracle.triggers.every_n import EveryN
from harness.sampling.chosen import SamplingRules
from harness.spec import EngineSettings
from tests.engines.vllm.identities import STEPS, assert_identities, made
from tests.engines.vllm.serving import KEY, serving

# Of the zoo's heads stock vLLM has kernels on a CPU for those of the oracle alone.
MODEL = "zoo/oracle"
LONGEST = 256
TEXTS = (
    "How many legs do 3 cats have?",
    "def add(a, b):\n    return",
    "Tom has 4 apples. He buys 5.",
)
#: Between two kernels in float32.
CLOSE = 1e-4


@pytest.fixture(scope="module")
def url(vllm_installed, tmp_path_factory):
    """The address of a server that runs for all tests here."""
    with serving(MODEL, LONGEST, tmp_path_factory.mktemp("server") / "log") as address:
        yield address


@pytest.fixture(scope="module")
def engines(url):
    """The engine on the server, and transformers on the same weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOPBACK_KEY", KEY)
        served = ServedEngine(MODEL, settings(url))
    yield served, open_engine(MODEL, EngineSettings(dtype="float32"))
    served.close()


def settings(url, **fields):
    return EngineSettings(name="served", base_url=url, api_key_env="LOOPBACK_KEY", **fields)


def requests(engine, **fields):
    given = {"max_new_tokens": 24, **fields}
    return [
        Request(tuple(engine.tokenizer(text)["input_ids"]), sample=text, **given) for text in TEXTS
    ]


def gap(own, theirs):
    return max((abs(a - b) for a, b in zip(own, theirs, strict=True)), default=0.0)


@pytest.mark.parametrize("strings", [(), ("\n",), (" ", "x")])
def test_greedy_tokens_are_those_of_transformers(engines, strings):
    served, local = engines
    asked = requests(served, stop=Stop(strings=strings))
    own, theirs = dict(served.generate(asked)), dict(local.generate(asked))
    for position, completion in theirs.items():
        assert own[position].tokens == completion.tokens
        assert own[position].text == completion.text
        assert own[position].finish_reason == completion.finish_reason
        assert gap(own[position].log_probabilities, completion.log_probabilities) <= CLOSE


def test_a_sequence_in_parts_is_the_sequence(engines):
    served, _ = engines
    whole = requests(served)[1]
    ((_, once),) = served.generate([whole])
    ((_, first),) = served.generate([Request(whole.prompt, 3)])
    ((_, rest),) = served.generate([Request(whole.prompt, 3).after(first, 21)])
    assert (*first.tokens, *rest.tokens) == once.tokens
    assert rest.text == once.text


def test_scores_are_those_of_transformers(engines):
    served, local = engines
    scorings = [
        Scoring(request.prompt, (completion.tokens, (5, 6, 7), ()))
        for request, (_, completion) in zip(
            requests(local), sorted(local.generate(requests(local))), strict=True
        )
    ]
    scorings.append(Scoring((), ((5, 6, 7),)))
    own, theirs = dict(served.score(scorings)), dict(local.score(scorings))
    for position, scored in theirs.items():
        assert own[position].error is None
        assert own[position].greedy == scored.greedy
        pairs = zip(own[position].log_probabilities, scored.log_probabilities, strict=True)
        assert all(gap(mine, other) <= CLOSE for mine, other in pairs)


def test_draws_come_again_by_their_seeds(engines):
    served, _ = engines
    rules = SamplingRules(temperature=1.0, top_k=20)
    asked = [each for seed in range(3) for each in requests(served, sampling=rules, seed=seed)]
    first, again = dict(served.generate(asked)), dict(served.generate(asked))
    assert first == again
    assert len({completion.tokens for completion in first.values()}) > len(TEXTS)


def test_what_does_not_fit_the_server_is_refused_here(engines):
    served, _ = engines
    ((_, completion),) = served.generate([Request((5,) * LONGEST, 4)])
    assert f"leaves no room in the server's context of {LONGEST}" in completion.error


def test_a_key_and_a_name_that_are_not_the_servers(url, monkeypatch):
    monkeypatch.setenv("LOOPBACK_KEY", "sk-another")
    with pytest.raises(ModelError, match="401: Unauthorized; correct the key in LOOPBACK_KEY"):
        ServedEngine(MODEL, settings(url))
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    with pytest.raises(ModelError, match="does not serve zoo/moe, but zoo/oracle"):
        ServedEngine("zoo/moe", settings(url))


def test_text_is_the_same_text(url, engines, monkeypatch):
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    _, local = engines
    text = ServedEngine(MODEL, settings(url, road="text"))
    asked = requests(local)
    own, theirs = dict(text.generate(asked)), dict(local.generate(asked))
    text.close()
    assert [own[at].text for at in range(3)] == [theirs[at].text for at in range(3)]


SOMETIMES = Oracle(
    engine="oracle", trigger=EveryN(n=2), budget="inf", length=3, step=2, statistics=False
)


@pytest.fixture(scope="module")
def base():
    """A model here that is smaller than the one that is served."""
    return open_engine("zoo/base", EngineSettings(dtype="float32"))


@pytest.fixture(scope="module")
def prompts(base):
    return [tuple(base.tokenizer(text)["input_ids"]) for text in TEXTS]


@pytest.fixture(scope="module")
def alone(engines, base, prompts):
    """The tokens of the model here and of the served one by itself, as transformers has them."""
    _, here = engines
    return [[each.tokens for each in made(Company(own), prompts)] for own in (base, here)]


def test_a_server_asks_and_is_asked_as_the_same_model_here(engines, base, prompts):
    engine, here = engines
    for one, other in (((base, engine), (base, here)), ((engine, base), (here, base))):
        served, expected = (
            made(Company(own, {"oracle": asked}), prompts, SOMETIMES) for own, asked in (one, other)
        )
        assert [each.tokens for each in served] == [each.tokens for each in expected]
        assert [each.traces for each in served] == [each.traces for each in expected]


@pytest.mark.parametrize("step", STEPS)
def test_identities_of_guided_inference_hold_for_every_step(engines, base, prompts, alone, step):
    engine, _ = engines
    assert_identities(step, base, engine, prompts, alone)
    assert_identities(step, engine, base, prompts, alone[::-1])


SPEC = """\
name: there
model: {base}
engine: {{api_key_env: LOOPBACK_KEY}}
task: {{name: micro_gsm8k, limit: 3}}
intervention:
  kind: oracle
  model: {oracle}
  engine: {engine}
  length: 3
  step: 2
  trigger: {{kind: every_n, n: 2}}
sampling: {{max_new_tokens: 24}}
axes: {{intervention.budget: [0, 4]}}
dose: intervention.budget
gates: [neutral_equals_baseline]
"""
HERE, THERE = "{name: transformers}", "{api_key_env: LOOPBACK_KEY}"


def texts(folder, base, oracle, engine):
    spec = SPEC.format(base=base, oracle=oracle, engine=engine)
    if base.startswith("zoo/"):
        spec = spec.replace("engine: {api_key_env: LOOPBACK_KEY}\n", "", 1)
    (folder / "spec.yaml").write_text(spec, "utf-8")
    ran = harness.run(folder / "spec.yaml", directory=folder / "report", store=folder / "store")
    assert {case.status for case in ran.report.cases} == {"complete"}, ran
    assert all(gate.holds for gate in ran.report.gates)
    columns = (ran.samples[each] for each in ("case", "sample", "completion"))
    return sorted(zip(*columns, strict=True))


def test_bare_addresses_are_the_models_that_stand_there(url, tmp_path, monkeypatch):
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    by_oracle = texts(tmp_path, "zoo/base", url, THERE)
    assert by_oracle == texts(tmp_path, "zoo/base", "zoo/oracle", HERE)
    by_base = texts(tmp_path, url, "zoo/base", HERE)
    assert by_base == texts(tmp_path, "zoo/oracle", "zoo/base", HERE)
    assert texts(tmp_path, url, url, THERE) == texts(tmp_path, "zoo/oracle", "zoo/oracle", HERE)
