"""GSM8K and MATH-500 on a real model, equal to lm-eval's own run of the same documents.

The tasks are those that lm-eval brings, with their data in files: few tokens, and no worked
examples, so that it takes minutes and not hours. Skipped by name where data or model are not here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

import harness
from harness.models import zoo
from harness.models.loading import load
from harness.report.exports.lm_eval import results_of
from harness.report.recorded import recorded_results
from harness.tasks.lm_eval.catalogue import folder
from tests.tasks.lm_eval.peer import evaluated
from tests.tasks.lm_eval.test_equality import same, texts_of

pytestmark = pytest.mark.slow
MODEL = "zoo/smollm2"
DATA = Path(os.environ.get("TITRATE_TEST_DATA", "data"))
FILES = {
    "gsm8k": ("gsm8k/gsm8k.yaml", "gsm8k_test.jsonl"),
    "minerva_math500": ("minerva_math/minerva_math500.yaml", "math500_test.jsonl"),
}
DOCUMENTS, TOKENS = 40, 8


def task(name: str, own: Path) -> Path:
    """lm-eval's own task on a file of data."""
    config, data = FILES[name]
    if not (DATA / data).is_file():
        pytest.skip(f"{DATA / data} is not here; name its folder by TITRATE_TEST_DATA")
    file = str((DATA / data).absolute())
    (own / f"{name}.yaml").write_text(
        yaml.safe_dump(
            {
                "include": str(folder() / config),
                "task": name,
                "dataset_path": "json",
                "dataset_name": None,
                "dataset_kwargs": {"data_files": {"test": file, "train": file}},
                "num_fewshot": 0,
                "generation_kwargs": {
                    "until": ["Question:", "Problem:", "</s>", "<|im_end|>"],
                    "do_sample": False,
                    "max_gen_toks": TOKENS,
                },
            }
        )
    )
    return own / f"{name}.yaml"


@pytest.mark.parametrize("name", FILES)
def test_the_first_documents_of_a_real_task_have_lm_evals_numbers(name, tmp_path):
    from lm_eval.models.huggingface import HFLM

    if (reason := zoo.lacking(MODEL)) is not None:
        pytest.skip(f"{MODEL} {reason}")
    own = task(name, tmp_path)
    asked: dict[str, Any] = {"lm_eval": str(own), "limit": DOCUMENTS}
    plain = {"name": "real", "model": MODEL, "task": asked}
    experiment = harness.Experiment.model_validate(plain)
    report = harness.run(experiment, directory=tmp_path / "out", unsafe_code=True)
    (result,) = recorded_results(report.directory)
    assert result.status == "complete", result.error
    loaded = load(MODEL, device="cpu")
    peer = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=8)
    theirs = evaluated(peer, own, limit=DOCUMENTS)
    mine = results_of(result, unsafe_code=True)
    assert same(mine["results"], theirs["results"], 1e-9)
    # Few of the answers are right after so few tokens: that the numbers are equal says little.
    said = texts_of(mine, name)
    assert said == texts_of(theirs, name)
    assert len({str(text) for text, _ in said.values()}) > DOCUMENTS / 2
