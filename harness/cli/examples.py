"""Examples of every verb of `titrate`, which its help ends with."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "init": ("titrate init", "titrate init study"),
    "run": (
        "titrate run specs/router_masks/keep_topk.yaml --limit 20",
        "titrate run specs/steering/caa_alpha.yaml -k 'not control' --model ./checkpoint",
        "titrate run specs/steering/caa_alpha.yaml --plan --speed 2000",
    ),
    "plan": ("titrate plan specs/router_masks/keep_topk.yaml --effect 0.05",),
    "ask": ("titrate ask specs/guided/guided_share.yaml --prompt 'Tom has 3 apples.'",),
    "analyse": ("titrate analyse answers.jsonl --model zoo/base -o analysed.jsonl",),
    "search": ("titrate search specs/steering/search.yaml --limit 40",),
    "submit": (
        "titrate submit specs/steering/caa_alpha.yaml --gpus 1 --time 2:00:00 --wait",
        "titrate submit specs/steering/caa_alpha.yaml --cluster local --dry-run",
    ),
    "status": ("titrate status 20260131-142500", "titrate status 20260131-142500 --json"),
    "cancel": ("titrate cancel 20260131-142500",),
    "resubmit": ("titrate resubmit 20260131-142500 --wait",),
    "merge": ("titrate merge reports/first reports/second -o reports/whole",),
    "rescore": ("titrate rescore reports/20260131-142500",),
    "report": (
        "titrate report reports/20260131-142500",
        "titrate report --latest --methods",
        "titrate report lm_eval_output --gate 'acc >= 0.5'",
    ),
    "browse": ("titrate browse reports",),
    "open": ("titrate open", "titrate open reports/20260131-142500"),
    "compare": (
        "titrate compare main reports/20260131-142500",
        "titrate compare before after --fail 'pass@1: worse, p<0.05'",
    ),
    "bundle": ("titrate bundle reports/20260131-142500 -o mine.titrate",),
    "verify": ("titrate verify mine.titrate", "titrate verify mine.titrate --spot 20"),
    "calibrate": (
        "titrate calibrate traces.jsonl --spec specs/decoding/calibration.yaml -o fits/base",
    ),
    "draws": ("titrate draws reports/20260131-142500 -o draws",),
    "export": ("titrate export reports/20260131-142500 --format parquet -o tables",),
    "store": ("titrate store list", "titrate store prune --older-than 90 --yes"),
    "vectors": (
        "titrate vectors build specs/steering/caa_alpha.yaml -o vector.safetensors",
        "titrate vectors show vector.safetensors",
    ),
    "probes": ("titrate probes specs/steering/caa_alpha.yaml -o probes",),
    "pairs": (
        "titrate pairs build --task micro_humaneval --output pair_prompts.json",
        "titrate pairs align --model zoo/moe",
    ),
    "list": ("titrate list tasks", "titrate list gates --json"),
    "schema": ("titrate schema experiment > specs/experiment.schema.json",),
    "zoo": ("titrate zoo list",),
    "lm-eval": ("titrate lm-eval run --model titrate --model_args spec=x.yaml --tasks hellaswag",),
    "doctor": ("titrate doctor",),
}
"""By verb; the tests hold every one against its parser."""
