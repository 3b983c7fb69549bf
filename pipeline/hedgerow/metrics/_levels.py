"""What do counted levels say? Percentiles of histograms that were added up over tiles and inputs.

A level is the middle of its bin, in the unit of the score; bins are so narrow (1/16 px, 1/16 degree) that rounding does
not matter beside what is measured, and counts add up exactly where percentiles would not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS_PER_UNIT = 16


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often each level was booked: `level` ascending, `count` beside it."""

    level: NDArray[np.float64]
    count: NDArray[np.float64]

    @property
    def total(self) -> float:
        """How many were booked."""
        return float(self.count.sum())

    def quantile(self, share: float) -> float | None:
        """Return the lowest level that at least `share` of the booked do not exceed; None when nothing was booked."""
        if not self.total:
            return None
        reached = np.cumsum(self.count) >= share * self.total * (1 - 1e-12)
        return float(self.level[np.argmax(reached)])

    def median(self) -> float | None:
        """Return the median: the mean of the two middle levels where the count is even."""
        low, high = self.quantile(0.5), self._above_half()
        return None if low is None or high is None else (low + high) / 2

    def _above_half(self) -> float | None:
        if not self.total:
            return None
        return float(self.level[np.argmax(np.cumsum(self.count) > 0.5 * self.total)])


_NOTHING = Histogram(np.zeros(0), np.zeros(0))


class SumsWithHistograms(dict[str, float]):
    """Named sums whose counted levels are held as histograms by name, so that no name has to be taken apart again."""

    def __init__(self, sums: Mapping[str, float], histograms: Mapping[str, Histogram]) -> None:
        super().__init__(sums)
        self.histograms = histograms


def histogram(sums: Mapping[str, float], name: str) -> Histogram:
    """Return the histogram that was booked under a name."""
    if isinstance(sums, SumsWithHistograms):
        return sums.histograms.get(name, _NOTHING)
    start = name + "="
    pairs = sorted((float(key[len(start) :]), count) for key, count in sums.items() if key.startswith(start) and count)
    level, count = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return Histogram(level, count)


def binned(values: NDArray[np.float64], unit: float = 1.0) -> NDArray[np.float64]:
    """Round values to the nearest sixteenth of `unit`."""
    width = unit / BINS_PER_UNIT
    return np.asarray(np.rint(values / width) * width + 0.0)
