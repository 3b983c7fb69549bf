"""What are the sums of all inputs when some tiles count more than once? One sparse table per metric.

Most tiles hold few kinds of border and few of the levels of a histogram, so a table of what was booked is small, and
the weighted sums of hundreds of resamples are one product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hedgerow.edges.layers import ALL, LAYERS
from hedgerow.errors import ScoreError
from hedgerow.metrics._levels import Histogram, SumsWithHistograms
from hedgerow.records import Tally
from hedgerow.stages.measure import Sums

Column = str | tuple[str, float]
"""A plain sum, or (histogram, level)."""

_KINDS = len(LAYERS)


@dataclass(frozen=True, slots=True)
class TileSums:
    """The sums of one metric over the tiles of all inputs: `cells` (tiles, kinds of border x columns).

    The columns of the plain `names` come first; those of counted levels follow, histogram by histogram: that of
    `histograms[k]` has the levels `level[starts[k]:starts[k + 1]]`, ascending.
    """

    metric: str
    parameters: tuple[tuple[str, Any], ...]
    names: tuple[str, ...]
    histograms: tuple[str, ...]
    starts: NDArray[np.int64]
    level: NDArray[np.float64]
    cells: sparse.csr_array

    @classmethod
    def of(cls, parts: Sequence[Sums]) -> TileSums:
        """Put the tiles of many inputs into one table.

        Raises:
            ScoreError: the metric had other parameters in another input.
        """
        metric, parameters = parts[0].metric, parts[0].parameters
        if any((part.metric, part.parameters) != (metric, parameters) for part in parts):
            raise ScoreError(f"cannot pool {metric}: metric and parameters of all inputs must agree")
        names = tuple(sorted({name for part in parts for name in part.names}))
        levels = sorted({_taken_apart(name) for part in parts if part.levels for name in part.levels.names})
        length = {stem: len(list(group)) for stem, group in groupby(levels, itemgetter(0))}
        columns: tuple[Column, ...] = (*names, *levels)
        column = {key: k for k, key in enumerate(columns)}
        starts = np.cumsum([0, *(len(part.values) for part in parts)])
        entries = [_entries(part, column, int(start)) for part, start in zip(parts, starts[:-1], strict=True)]
        tile, place, amount = (np.concatenate(arrays) for arrays in zip(*entries, strict=True))
        cells = sparse.csr_array((amount, (tile, place)), (int(starts[-1]), _KINDS * len(column)))
        level = np.array([level for _, level in levels], dtype=np.float64)
        return cls(metric, parameters, names, tuple(length), np.cumsum([0, *length.values()]), level, cells)

    @property
    def width(self) -> int:
        """How many columns a kind of border has."""
        return int(self.cells.shape[1] // _KINDS)

    def totals(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted sums, (resamples, kinds of border, columns); one order of additions on any machine."""
        return np.asarray((self.cells.T @ weights.T).T).reshape(len(weights), _KINDS, self.width)

    def content(self, layer: str) -> NDArray[np.bool_]:
        """Say which tiles hold anything."""
        tile, place = self.cells.nonzero()
        here = slice(None) if layer == ALL else place // max(self.width, 1) == LAYERS.index(layer)
        return np.bincount(tile[here], minlength=self.cells.shape[0]) > 0

    def tally(self, totals: NDArray[np.float64]) -> Tally:
        """Return one row of totals as a tally."""
        plain, counts = totals[: len(self.names)], totals[len(self.names) :]
        sums = dict(zip(self.names, plain.tolist(), strict=True))
        if not self.histograms:
            return Tally(self.metric, self.parameters, sums)
        booked = np.flatnonzero(counts)
        level, count, cuts = self.level[booked], counts[booked], np.searchsorted(booked, self.starts).tolist()
        parts = zip(self.histograms, cuts[:-1], cuts[1:], strict=True)
        found = {name: Histogram(level[start:stop], count[start:stop]) for name, start, stop in parts}
        return Tally(self.metric, self.parameters, SumsWithHistograms(sums, found))


def _taken_apart(name: str) -> tuple[str, float]:
    """'distance=2.5' -> ('distance', 2.5)."""
    stem, _, level = name.rpartition("=")
    return stem, float(level)


def _entries(
    part: Sums, column: Mapping[Column, int], start: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return tile, place and amount of everything that one input has booked."""
    tile, kind, name = np.nonzero(part.values)
    amount = part.values[tile, kind, name]
    at = np.array([column[key] for key in part.names], dtype=np.int64)[name]
    if part.levels is not None:
        more = np.array([column[_taken_apart(key)] for key in part.levels.names], dtype=np.int64)[part.levels.name]
        tile, kind = np.append(tile, part.levels.cell // _KINDS), np.append(kind, part.levels.cell % _KINDS)
        at, amount = np.append(at, more), np.append(amount, part.levels.count)
    return tile + start, kind * len(column) + at, amount
