"""Many pairs' forward numbers as tables by layer, and as one number per sample and metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from harness.measure.sample_files import SampleForward


def layer_tables(
    samples: Sequence[SampleForward], layers: Sequence[int] | None = None
) -> dict[str, NDArray[np.generic]]:
    """Tables [N, L], samples x layers, ready for `numpy.savez`; nats.

    nll_<variant>: mean over the answer's tokens; delta_nll: agentic minus assisted; js: mean
    divergence. Those with `last_` are of the answer's last token alone. `keys` names the rows, and
    `layers`, where it is given, the columns. One variant alone has neither delta_nll nor js.
    """
    tables: dict[str, NDArray[np.generic]] = {"keys": np.array([each.key for each in samples])}
    if layers is not None:
        tables["layers"] = np.array(layers, dtype=np.int64)
    variants = list(samples[0].nll)
    for prefix, reduce in (("", _mean), ("last_", _last)):
        for variant in variants:
            tables[f"{prefix}nll_{variant}"] = _table([reduce(s.nll[variant]) for s in samples])
        if len(variants) > 1:
            one, other = (tables[f"{prefix}nll_{v}"].astype(np.float64) for v in variants)
            tables[f"{prefix}delta_nll"] = one - other
            tables[f"{prefix}js"] = _table([reduce(each.divergence) for each in samples])
    return tables


def sample_metrics(
    samples: Sequence[SampleForward], *, output: bool = True
) -> dict[str, dict[str, float]]:
    """Metric -> sample -> value, at the model's output; routing metrics are means over layers.

    `output` says whether the last layer that was read is the model's last one.
    """
    metrics: dict[str, dict[str, float]] = {}
    for each in samples:
        own = {variant: float(nll.double().mean()) for variant, nll in each.own_nll.items()}
        values = {f"nll_{variant}": value for variant, value in own.items()}
        if len(own) > 1:
            values = {"delta_nll": own["agentic"] - own["assisted"], **values}
            if output:
                values["js"] = float(each.divergence[-1].double().mean())
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
        float((nll[-1] - each.own_nll[variant]).abs().max())
        for each in samples
        for variant, nll in each.nll.items()
    )


def _mean(values: torch.Tensor) -> torch.Tensor:
    return values.double().mean(dim=-1)


def _last(values: torch.Tensor) -> torch.Tensor:
    return values[:, -1].double()


def _table(rows: Sequence[torch.Tensor]) -> NDArray[np.float64]:
    return torch.stack(list(rows)).numpy()
