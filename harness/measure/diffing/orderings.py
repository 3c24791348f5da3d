"""Orders tokens by what was counted of them: how often, how consistently, or by topics.

An ordering gives `(token, value)`, best first, without tokens whose value is 0. Of equal values the
larger mean difference comes first, then the lower id.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.measure.diffing.counts import TokenCounts

Ordered = list[tuple[int, float]]
#: Topics, and what is told of each (the source's own numbers).
TOPICS = 3


def by_occurrence(counts: TokenCounts, length: int) -> Ordered:
    """By the percentage of positions where a token is among the k largest differences."""
    return _ordered(counts.rate, counts, length)


def by_fraction_positive(counts: TokenCounts, length: int) -> Ordered:
    """By the share of positions where a token's difference is above 0."""
    return _ordered(counts.fraction_positive, counts, length)


def by_topic(entries: TopEntries, length: int) -> Mapping[str, Ordered]:
    """By the weights of topics: a factorisation of what is among the k largest differences.

    Non-negative, of the sparse matrix [positions, tokens] of these differences (negative ones as
    0), by the Frobenius norm.

    Source: Lee and Seung (1999), Nature 401:788.
    """
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    matrix, tokens = entries.matrix()
    topics = min(TOPICS, *matrix.shape)
    if not topics or not matrix.nnz:
        return {}
    model = NMF(topics, init="nndsvda", random_state=0, max_iter=400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(matrix)
    found: dict[str, Ordered] = {}
    for number, weights in enumerate(model.components_):
        order = np.lexsort((tokens, -weights))[:length]
        found[f"topic {number + 1}"] = [
            (int(tokens[at]), float(weights[at])) for at in order if weights[at] > 0
        ]
    return {name: listed for name, listed in found.items() if listed}


class TopEntries:
    """The k largest differences of each position, as they come; k numbers are kept of each."""

    def __init__(self) -> None:
        self._tokens: list[NDArray[np.int64]] = []
        self._values: list[NDArray[np.float32]] = []
        self._lengths: list[int] = []

    def add(self, differences: torch.Tensor, leading: torch.Tensor) -> None:
        """Positions [P, V], and which of their entries are among the k largest."""
        for row, chosen in zip(differences, leading, strict=True):
            tokens = chosen.nonzero()[:, 0]
            self._tokens.append(tokens.numpy())
            self._values.append(row[tokens].clamp(min=0).float().numpy())
            self._lengths.append(len(tokens))

    def matrix(self) -> tuple[Any, NDArray[np.int64]]:
        """[positions, tokens] of those tokens that occur, and which these are."""
        from scipy.sparse import csr_matrix

        every = np.concatenate([*self._tokens, np.zeros(0, dtype=np.int64)])
        tokens, columns = np.unique(every, return_inverse=True)
        values = np.concatenate([*self._values, np.zeros(0, dtype=np.float32)])
        starts = np.concatenate([[0], np.cumsum(self._lengths)])
        shape = (len(self._lengths), len(tokens))
        return csr_matrix((values, columns, starts), shape=shape), tokens


def _ordered(values: torch.Tensor, counts: TokenCounts, length: int) -> Ordered:
    ids = np.arange(counts.vocabulary)
    listed = np.lexsort((ids, -counts.mean.numpy(), -values.numpy()))[:length]
    return [(int(token), float(values[token])) for token in listed if values[token] > 0]
