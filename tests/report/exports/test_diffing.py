"""The layout of the diffing toolkit, of a run on zoo/base and a copy that was moved a little."""

import json

import pytest
import torch

import harness
from harness.errors import ReportError
from harness.measure.diffing.patchscope import SCALES
from harness.report.exports import export
from harness.report.loaded import Report
from tests.tuned import tuned_into

CASE = "exported[method={}-seed=42]"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    (folder / "texts.jsonl").write_text('{"text": "The river rises in the hills."}\n' * 2)
    settings = {"positions": 6, "depth": 20, "candidates": 5, "listed": 10, "relevant": ["butter"]}
    steered = {"prompts": ["The"], "draws": 2, "searched_tokens": 4, "shown": 1, "shown_tokens": 4}
    spec = {
        "name": "exported",
        "model": "zoo/base",
        "task": {"path": "texts.jsonl"},
        "prompt": {"style": "completion", "template": ""},
        "measure": "diff",
        "diff": {**settings, "steered": steered, "tuned": str(tuned_into(folder / "tuned"))},
        "axes": {"diff.method": ["logit_diff", "adl", "patchscope"], "seed": [42, 1042]},
    }
    file = folder / "exported.yaml"
    file.write_text(json.dumps(spec))
    return harness.run(file, directory=folder / "report", store=folder / "store")


@pytest.fixture(scope="module")
def exported(report, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    files = export(report, "diffing", folder)
    assert all(file.is_file() for file in files)
    return folder


def test_results_are_lists_over_seeds(report, exported):
    found = json.loads((exported / "token_relevance_results.json").read_text())
    cases = report.cases.set_index("id")
    for method in ("logit_diff", "adl", "patchscope"):
        records = found["texts"][method]["all"]
        assert len(records) == 2
        value = cases.loc[CASE.format(method), "metrics.relevance.value"]
        assert records[0]["percentage"] == value


def test_an_ordering_has_its_tokens_and_their_evaluation(exported):
    folder = exported / CASE.format("logit_diff")
    (entry,) = json.loads((folder / "orderings.json").read_text())
    tokens = json.loads((folder / f"{entry['ordering_id']}.json").read_text())["tokens"]
    assert len(tokens) == 10
    assert set(tokens[0]) == {
        *("token_id", "token_str", "ordering_value"),
        *("avg_logit_diff", "count_positive", "count_negative"),
    }
    record = json.loads((folder / f"{entry['ordering_id']}_eval.json").read_text())
    assert record["tokens"] == [each["token_str"] for each in tokens[:5]]
    assert record["percentage"] == record["labels"].count("RELEVANT") / 5


def test_a_layer_has_its_means_lenses_and_norms(exported):
    place = exported / CASE.format("adl") / "layer_0/texts"
    base, tuned, delta = (
        torch.load(place / f"{name}mean_pos_2.pt") for name in ("base_", "ft_", "")
    )
    assert torch.allclose(tuned - base, delta, atol=1e-6)
    assert delta.norm() > 0
    probabilities, ids, inverse, inverse_ids = torch.load(place / "logit_lens_pos_2.pt")
    assert len(probabilities) == len(ids) == len(inverse) == len(inverse_ids) == 10
    assert (probabilities.diff() <= 0).all()
    told = json.loads((place / "mean_pos_2.meta").read_text())
    assert told == {"count": 2, "activation_dim": len(delta), "position": 2, "token_id": None}
    norms = torch.load(place.parents[1] / "model_norms_texts.pt")
    assert norms["base_model_norms"][0].item() > 0
    assert norms["ft_model_norms"][0].item() > 0
    assert (norms["skip_tokens"], norms["num_sequences"]) == (5, 2)
    records = json.loads((place / "token_relevance.json").read_text())
    assert [each["position"] for each in records] == [0, 1, 2, 3, 4]
    assert records[0]["source"] == "logitlens"
    assert (place / "steering/position_0_facts/threshold.json").is_file()
    texts = (place / "steering/position_0_facts/generations.jsonl").read_text().splitlines()
    assert [json.loads(each)["steered"] for each in texts] == [True, False]


def test_a_patchscope_has_its_best_scale(exported):
    place = exported / CASE.format("patchscope") / "layer_0/texts"
    found = torch.load(place / "auto_patch_scope_pos_1_excess.pt")
    assert found["best_scale"] in SCALES
    assert len(found["tokens_at_best_scale"]) == len(found["token_probs"])


def test_a_report_without_comparisons_is_refused(report, tmp_path):
    copy = Report(report.report.model_copy(update={"cases": ()}), report.directory)
    with pytest.raises(ReportError, match="has no comparison of models"):
        export(copy, "diffing", tmp_path)
