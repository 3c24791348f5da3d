"""Many pairs' forward numbers as tables by layer, and as one number per sample and metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from harness.measure.sample_files import SampleForward
from harness.tasks.pairs.pair import VARIANTS


def layer_tables(samples: Sequence[SampleForward]) -> dict[str, NDArray[np.generic]]:
    """Tables [N, L], samples x layers, ready for `numpy.savez`; nats.

    nll_<variant>: mean over the answer's tokens; delta_nll: agentic minus assisted; js: mean
    divergence. Those with `last_` are of the answer's last token alone. `keys` names the rows.
    """
    tables: dict[str, NDArray[np.generic]] = {"keys": np.array([each.key for each in samples])}
    for prefix, reduce in (("", _mean), ("last_", _last)):
        for variant in VARIANTS:
            tables[f"{prefix}nll_{variant}"] = _table([reduce(s.nll[variant]) for s in samples])
        own, other = (tables[f"{prefix}nll_{variant}"].astype(np.float64) for variant in VARIANTS)
        tables[f"{prefix}delta_nll"] = own - other
        tables[f"{prefix}js"] = _table([reduce(each.divergence) for each in samples])
    return tables


def sample_metrics(samples: Sequence[SampleForward]) -> dict[str, dict[str, float]]:
    """Metric -> sample -> value, at the model's output; routing metrics are means over layers."""
    metrics: dict[str, dict[str, float]] = {}
    for each in samples:
        own = {variant: float(each.own_nll[variant].double().mean()) for variant in VARIANTS}
        values = {
            "delta_nll": own["agentic"] - own["assisted"],
            **{f"nll_{variant}": own[variant] for variant in VARIANTS},
            "js": float(each.divergence[-1].double().mean()),
        }
        if each.usage is not None:
            values["routing_tv"] = float(each.usage.total_variation.mean())
            values["routing_jaccard"] = float(each.usage.jaccard.mean())
        for metric, value in values.items():
            metrics.setdefault(metric, {})[each.sample] = value
    return metrics


def lens_gap(samples: Sequence[SampleForward]) -> float:
    """Largest distance in nats between the last layer's reading and the model's cross-entropy.

    Two ways to the same number: anything but rounding means that no layer was read rightly.
    """
    return max(
        float((each.nll[variant][-1] - each.own_nll[variant]).abs().max())
        for each in samples
        for variant in VARIANTS
    )


def _mean(values: torch.Tensor) -> torch.Tensor:
    return values.double().mean(dim=-1)


def _last(values: torch.Tensor) -> torch.Tensor:
    return values[:, -1].double()


def _table(rows: Sequence[torch.Tensor]) -> NDArray[np.float64]:
    return torch.stack(list(rows)).numpy()
