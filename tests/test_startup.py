"""Who runs no model imports no torch: looked up in `sys.modules`, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.list import KINDS
from harness.engines.contract import Completion
from harness.store.completions import CompletionStore, key_of

ROOT = Path(__file__).parents[1]
MODEL = "name: lost\nmodel: ./nowhere\ntask: {name: micro_gsm8k}\naxes: {seed: [0]}\n"

# Runs commands one after the other; says which of the slow libraries each has brought in.
VERBS = """
import contextlib, io, json, sys
from harness.cli.main import main

slow = {"torch", "transformers", "matplotlib", "pandas", "scipy", "optuna", "markdown_it"}
found = []
for command in json.loads(sys.argv[1]):
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        try:
            status = main(command)
        except SystemExit as ended:
            status = ended.code
    found.append([status, told.getvalue(), sorted(slow & set(sys.modules)), "numpy" in sys.modules])
print(json.dumps(found))
"""
BENCHES = """
import sys, pytest
status = pytest.main(sys.argv[1:])
slow = {"torch", "transformers", "scipy", "pandas", "optuna", "hypothesis"}
print(int(status), sorted(slow & set(sys.modules)))
"""
OTHERS = """
import json, sys, pytest
status = pytest.main(["-qpno:cacheprovider", "--disable-plugin-autoload", *sys.argv[1:]])
print(json.dumps([int(status), sorted(sys.modules)]))
"""
MODULES = """
import contextlib, io, sys
from harness.cli.main import main
with contextlib.redirect_stdout(io.StringIO()) as told:
    status = main(sys.argv[1:])
assert status == 0, told.getvalue()
print(*sorted(sys.modules))
"""
CONTRACT = """
import sys
import harness.engines.contract, harness.engines.declared, harness.interventions.kind
print(*sorted(name for name in sys.modules if name.startswith("harness.spec.")))
"""
CHECK = """
import sys
from harness.spec import EngineSettings
from harness.spec.engine_kind import engine_named
engine_named("transformers").check_machine(EngineSettings())
engines = {"harness.engines.transformers.engine", "torch._dynamo", "torch.distributed.tensor"}
print(sorted(engines & set(sys.modules)))
"""


def run(program: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_verbs_that_run_no_model_import_no_torch(tmp_path):
    (tmp_path / "lost.yaml").write_text(MODEL)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    commands = [
        ["--help"],
        ["schema", "experiment"],
        ["schema", "report"],
        ["store", "list"],
        ["report", str(ROOT / "reports" / "example")],
        ["zoo", "list"],
        *(["list", kind] for kind in KINDS),
        ["run", "lost.yaml"],
        ["run", "lost.yaml", "--model", "zoo/lost"],
        ["run", "lost.yaml", "--model", "./broken"],
        *(
            lost := [
                ["search", "lost.yaml"],
                ["probes", "lost.yaml"],
                ["vectors", "build", "lost.yaml"],
                ["vectors", "build", "--model", "./nowhere", "--pairs", "styles"],
            ]
        ),
    ]
    found = json.loads(run(VERBS, json.dumps(commands), cwd=tmp_path))
    assert [libraries for _, _, libraries, _ in found] == [[]] * len(commands)
    assert [numpy for *_, numpy in found[:2]] == [False, False]
    assert [status for status, *_ in found] == [0, 0, 0, 2, 0, 0, *[0] * len(KINDS), *[2] * 7]
    assert all("nowhere does not exist; give a " in told for _, told, *_ in found[-len(lost) :])
    lost, unknown, broken = (told for _, told, *_ in found[-7:-4])
    assert lost.startswith(f"titrate: lost.yaml:2 model: folder {tmp_path}/nowhere does not ")
    assert unknown.startswith("titrate: --model zoo/lost: zoo/lost is not in the zoo; use ")
    assert "broken' cannot be loaded: its config.json cannot be read as JSON: " in broken
    assert all(told.count("\n") == 1 for told in (lost, unknown, broken))


#: Modules in all that a verb may bring in, and libraries that others need: of a quarter of a second
#: of a verb's start most goes into imports. 414 and 358 when this was written, with Python 3.11.
STARTS = {
    ("schema", "experiment"): (440, {"numpy", "yaml", "jinja2", "lm_eval", "doctest", "rich"}),
    ("store", "list"): (385, {"numpy", "yaml", "jinja2", "lm_eval", "doctest", "safetensors"}),
}


@pytest.mark.parametrize("verb", STARTS, ids=" ".join)
def test_quick_verbs_bring_in_little(tmp_path, verb):
    store = CompletionStore(tmp_path / ".titrate" / "store")
    engine = {"model": "zoo/moe", "fingerprint": "f", "determinism": {"dtype": "float32"}}
    store.put_value(key_of("engine", "x"), engine, "engine", "a" * 64)
    store.put(key_of("a", "0"), Completion((1, 2, 3), "text", "stop"), "a" * 64)
    usage = {"expression": "avg_all_agentic", "layers": [0], "values": [[0.5, 0.5]]}
    store.put_value(key_of("ordering", "b"), usage, "ordering", "a" * 64)
    store.close()
    found = set(run(MODULES, *verb, cwd=tmp_path).split())
    most, without = STARTS[verb]
    assert found & without == set()
    assert len(found) <= most
    if verb == ("store", "list"):
        assert "harness.spec.experiment" not in found


def test_what_engines_are_asked_is_known_without_the_form_of_a_spec(tmp_path):
    found = run(CONTRACT, cwd=tmp_path).split()
    assert found == ["harness.spec.engine_kind"]


def test_benches_of_which_none_is_selected_import_no_torch():
    last = run(BENCHES, "benches", "-q", "-k", "no_such_case", "-p", "no:cacheprovider", cwd=ROOT)
    assert last.splitlines()[-1] == f"{int(pytest.ExitCode.NO_TESTS_COLLECTED)} []"


def test_tests_that_are_no_benches_start_without_what_a_run_needs(tmp_path):
    (tmp_path / "test_sum.py").write_text("def test_sum():\n    assert 1 + 1 == 2\n")
    modules = []
    for plugins in ([], ["-p", "titrate"]):
        told = run(OTHERS, str(tmp_path), *plugins, cwd=tmp_path).splitlines()[-1]
        status, imported = json.loads(told)
        assert status == 0
        modules.append(set(imported))
    added = modules[1] - modules[0]
    assert "harness.plugin.hooks" in added
    assert {name.partition(".")[0] for name in added} - sys.stdlib_module_names == {"harness"}
    # What they cost in milliseconds is in docs/performance.md: the fewer, the less.
    assert len(added) <= 40, sorted(added)


def test_whether_a_machine_has_an_engines_device_is_asked_without_the_engine():
    last = run(CHECK, cwd=ROOT)
    assert last == "[]\n"


def test_the_first_command_of_the_readme_selects_its_sweep_alone():
    listed = run(BENCHES, "benches", "--collect-only", "-qk", "keep_topk", cwd=ROOT).splitlines()
    cases = [line for line in listed if "::" in line]
    assert len(cases) == 14
    assert all("[keep_topk[count=" in case for case in cases)
