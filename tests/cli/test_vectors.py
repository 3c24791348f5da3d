"""`titrate vectors ...` as it is typed, on zoo/moe."""

from __future__ import annotations

import json

import pytest
import torch

from harness.cli.main import main
from harness.interventions.array import Array
from harness.interventions.vector_file import SteeringVectors, read_vectors, write_vectors

SPEC = """\
name: steer
model: zoo/moe
task: {name: micro_humaneval, limit: 3}
intervention:
  kind: steering
  vector: {pairs: styles, samples: 4, position: -2}
  layer: 2
  alpha: 0
axes:
  intervention.alpha: [0, 1]
  intervention.layer: [1, 3]
"""
MASK = """\
name: mask
model: zoo/moe
task: {name: micro_humaneval}
intervention: {kind: router_mask, points: {random: 0}, count: 4}
"""
ANSWERS = ["--model", "zoo/moe", "--pairs", "answers", "--task", "micro_gsm8k"]
QUICK = ["--model", "zoo/moe", "--pairs", "styles", "--samples", "4"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steer.yaml").write_text(SPEC)
    (tmp_path / "mask.yaml").write_text(MASK)
    return tmp_path


def refused(capsys, *arguments) -> str:
    capsys.readouterr()
    assert main(["vectors", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("titrate: ")
    assert error.count("\n") == 1
    return error


def test_build_writes_what_its_settings_say(here, capsys):
    assert main(["vectors", "build", *QUICK, "--method", "pca", "--site", "mlp"]) == 0
    head, titles, _, *rows = capsys.readouterr().out.splitlines()
    built = read_vectors(here / "vectors.safetensors")
    assert (built.site, list(built.vectors)) == ("mlp", [0, 1, 2, 3])
    assert all(vector.norm == pytest.approx(1, rel=1e-5) for vector in built.vectors.values())
    assert built.facts == {
        "method": "pca",
        "position": "last",
        "pairs": "4",
        "source": "styles",
        "task": "micro_humaneval",
        "model": "zoo/moe",
        "model_type": "qwen3_moe",
        "layers": "4",
    }
    assert head.startswith("vectors.safetensors: site mlp, method pca, position last, pairs 4")
    assert titles.split() == ["layer", "norm", "residual", "norm", "relative"]
    assert [row.split()[:2] for row in rows] == [[str(layer), "1"] for layer in range(4)]


def test_build_of_a_spec_has_the_layers_of_all_its_cases(here, capsys):
    assert main(["vectors", "build", "steer.yaml", "-o", "of.safetensors"]) == 0
    built = read_vectors(here / "of.safetensors")
    assert list(built.vectors) == [1, 3]
    assert built.facts["position"] == "-2"
    table = capsys.readouterr().out
    assert main(["vectors", "show", "of.safetensors"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == table.splitlines()[1:]
    relative = built.vectors[3].norm / built.residual_norms[3]
    assert f"{relative:.3g}" in table


@pytest.mark.parametrize("what", [QUICK, ["steer.yaml"]])
def test_the_engine_is_what_the_command_line_says(here, capsys, what):
    def built(*engine):
        assert main(["vectors", "build", *what, *engine]) == 0
        return read_vectors(here / "vectors.safetensors").vectors

    single = built()
    assert built("--engine", "transformers", "--set", "engine.dtype=float32") == single
    assert built("--set", "engine.dtype=bfloat16") != single


def test_an_import_is_measured_by_the_engine_of_the_command_line(here, capsys):
    torch.save({2: torch.ones(96)}, "v.pt")

    def norms(*engine):
        assert main(["vectors", "import", "v.pt", *QUICK, *engine, "-o", "w.safetensors"]) == 0
        return read_vectors(here / "w.safetensors").residual_norms

    single = norms()
    assert norms("--set", "engine.dtype=float32") == single
    half = norms("--engine", "transformers", "--set", "engine.dtype=bfloat16")
    assert half != single
    assert half[2] == pytest.approx(single[2], rel=0.02)


@pytest.mark.parametrize("suffix", [".gguf", ".pt"])
def test_vectors_go_out_and_come_back(here, capsys, suffix):
    vectors = SteeringVectors("block", {1: Array([1.0] * 96), 3: Array([0.5] * 96)}, {1: 2.0, 3: 4})
    write_vectors(vectors, here / "a.safetensors")
    capsys.readouterr()
    assert main(["vectors", "export", "a.safetensors", "-o", f"b{suffix}"]) == 0
    assert capsys.readouterr().out == f"vectors: b{suffix}\n"
    assert main(["vectors", "import", f"b{suffix}", "-o", "c.safetensors"]) == 0
    told = capsys.readouterr().out
    back = read_vectors(here / "c.safetensors")
    assert back.vectors == vectors.vectors
    # Control vectors have room for the norms, tensors have none.
    assert back.residual_norms == (vectors.residual_norms if suffix == ".gguf" else {})
    assert ("repeng read it after the final norm" in told) == (suffix == ".gguf")
    assert ("`units: raw`" in told) == (suffix == ".pt")


def test_caa_files_are_one_layer_each(here, capsys):
    vectors = SteeringVectors("block", {1: Array([1.0] * 96), 3: Array([0.5] * 96)}, {})
    write_vectors(vectors, here / "a.safetensors")
    for layer in (1, 3):
        out = f"vec_layer_{layer}_zoo.pt"
        arguments = ["export", "a.safetensors", "--format", "caa", "--layer", str(layer), "-o", out]
        assert main(["vectors", *arguments]) == 0
    assert torch.load("vec_layer_3_zoo.pt", weights_only=True).tolist() == [0.5] * 96
    files = ["vec_layer_3_zoo.pt", "vec_layer_1_zoo.pt"]
    assert main(["vectors", "import", *files, "-o", "c.safetensors"]) == 0
    assert read_vectors(here / "c.safetensors").vectors == vectors.vectors
    assert "choose one with --layer" in refused(
        capsys, "export", "a.safetensors", "--format", "caa", "-o", "v.pt"
    )


def test_a_tensor_that_says_no_layer_is_given_one(here, capsys):
    torch.save(torch.ones(96), "v.pt")
    assert "give --layer" in refused(capsys, "show", "v.pt")
    assert main(["vectors", "show", "v.pt", "--layer", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["3", "9.798", "-", "-"]
    assert main(["vectors", "export", "v.pt", "--layer", "3", "-o", "v.gguf"]) == 0
    assert main(["vectors", "import", "v.gguf", "-o", "w.safetensors"]) == 0
    assert list(read_vectors(here / "w.safetensors").vectors) == [3]


def test_an_import_measures_the_hidden_states_of_a_model(here, capsys):
    assert main(["vectors", "build", *QUICK]) == 0
    built = read_vectors(here / "vectors.safetensors")
    torch.save({2: torch.ones(96)}, "v.pt")
    assert main(["vectors", "import", "v.pt", *QUICK, "-o", "w.safetensors"]) == 0
    read = read_vectors(here / "w.safetensors")
    assert read.residual_norms == {2: pytest.approx(built.residual_norms[2], rel=1e-6)}
    assert (read.facts["model"], read.facts["layers"]) == ("zoo/moe", "4")
    torch.save({2: torch.ones(95)}, "v.pt")
    assert "95 numbers do not fit zoo/moe, whose hidden states have 96" in refused(
        capsys, "import", "v.pt", "--model", "zoo/moe"
    )
    torch.save({4: torch.ones(96)}, "v.pt")
    assert "there is no layer 4 in zoo/moe; its layers are 0-3" in refused(
        capsys, "import", "v.pt", "--model", "zoo/moe"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build"], "of a SPEC, or of --model and --pairs"),
        (
            ["build", "steer.yaml", "--layer", "1"],
            "vector without a spec; with steer.yaml say --set 'intervention.layer=1'",
        ),
        (["build", "steer.yaml", "--layer", "1", "3"], "--set 'intervention.layer=[1, 3]'"),
        (["build", "steer.yaml", "--samples", "3"], "--set 'intervention.vector.samples=3'"),
        (["import", "v.pt", "--style", "assisted"], "--style is for measuring hidden states"),
        (["build", "none.yaml"], "none.yaml"),
        (["build", "steer.yaml", "--set", "sed=1"], "titrate: --set sed=1: no such field; did"),
        (["build", *QUICK, "--layer", "9"], "there is no layer 9; the model's layers are 0-3"),
        (["build", *QUICK, "--position", "mean"], "the position rule 'mean' matches no token"),
        (["build", *QUICK, "--position", "first"], "position: 'first' is not accepted"),
        (["build", "--model", "zoo/moe", "--pairs", "stile"], "stile is neither styles nor answ"),
        (
            ["build", *ANSWERS, "--position", "answer"],
            "the two sides of all pairs are the same tokens up to the position 'answer'",
        ),
        (["build", "mask.yaml"], "mask.yaml: its cases ask for no vector from pairs"),
        (["build", "mask.yaml", "--layer", "2"], "mask.yaml: its cases ask for no vector from"),
        (["build", *QUICK, "--task", "no"], "there are no built-in pairs of this kind for no"),
        (["build", *QUICK, "-o", "v.pt"], "v.pt: vectors are written as safetensors"),
        (
            ["build", "--model", "zoo/moe", "--pairs", "./no.jsonl"],
            "no.jsonl: there is no such file",
        ),
        (["build", "--model", "zoo/none", "--pairs", "styles"], "zoo/none"),
        (["show", "none.safetensors"], "none.safetensors: cannot be read"),
        (["import", "v.pt"], "v.pt: cannot be read: No such file"),
        (["import", "v.pt", "--pairs", "styles"], "give --model with it"),
        (["import", "v.pt", "--engine", "vllm"], "--engine is for measuring hidden states; give"),
        (["import", "v.pt", "--set", "engine.slots=3"], "--set is for measuring hidden states;"),
        (
            ["build", *QUICK, "--engine", "vlm"],
            "--engine vlm: 'vlm' is not accepted; it should",
        ),
        (
            ["build", "steer.yaml", "--engine", "transformers,vllm"],
            "transformers,vllm: states are rea",
        ),
        (["build", *QUICK, "--set", "engine.slot=2"], "--set engine.slot=2: no such field; did"),
        (["build", *QUICK, "--set", "seed=2"], "--set seed=2: without a SPEC only engine.FIELD=V"),
        (["export", "steer.yaml", "-o", "v.pt"], "steer.yaml: is not a known kind of file"),
    ],
)
def test_what_cannot_be_done_is_one_line(capsys, arguments, message):
    assert message in refused(capsys, *arguments)


def test_a_spec_that_asks_for_several_vectors_is_refused_until_one_is_chosen(here, capsys):
    axis = '  intervention.vector.method: ["mean", "pca"]\n'
    (here / "steer.yaml").write_text(SPEC + axis)
    assert "ask for 2 different vectors" in refused(capsys, "build", "steer.yaml")
    chosen = ["--set", "intervention.vector.method=pca"]
    assert main(["vectors", "build", "steer.yaml", *chosen]) == 0
    assert read_vectors(here / "vectors.safetensors").facts["method"] == "pca"


def test_what_was_built_steers_what_its_spec_would_have(here, capsys):
    import harness

    assert main(["vectors", "build", "steer.yaml"]) == 0
    (here / "file.yaml").write_text(
        SPEC.replace("{pairs: styles, samples: 4, position: -2}", "{file: vectors.safetensors}")
        .replace("name: steer", "name: file")
        .replace("limit: 3}", "limit: 1}\nsampling: {max_new_tokens: 2}")
    )
    (here / "pairs.yaml").write_text(
        SPEC.replace("limit: 3}", "limit: 1}\nsampling: {max_new_tokens: 2}")
    )
    terms = []
    for spec in ("file.yaml", "pairs.yaml"):
        report = harness.run(spec, directory=here / spec.partition(".")[0]).report
        terms.append(json.dumps([case.intervention for case in report.cases]))
    assert terms[0] == terms[1]
