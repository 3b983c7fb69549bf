"""How do stored values become the network's [0, 1]? By one line per band, decided once per input, never per tile."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedgerow.contracts import Source
from hedgerow.errors import SourceError
from hedgerow.geo.windows import Window
from hedgerow.randomness import rng_for
from hedgerow.records import Patch

PERCENTILES = (0.5, 99.5)
_SAMPLE_WINDOWS = 24
_SAMPLE_PX = 256


@dataclass(frozen=True, slots=True)
class Scaling:
    """Stored value `low[band]` becomes 0 and `high[band]` becomes 1; values beyond are clipped."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not all(b > a for a, b in zip(self.low, self.high, strict=True)):
            raise SourceError(f"scaling from {self.low} to {self.high}: every band needs high > low")

    def apply(self, patch: Patch) -> NDArray[np.float32]:
        """Return (bands, height, width) float32 in [0, 1]; invalid pixels take the patch's mean, which adds no edge."""
        low = np.asarray(self.low, np.float32)[:, None, None]
        span = np.asarray(self.high, np.float32)[:, None, None] - low
        scaled = np.clip((patch.data.astype(np.float32) - low) / span, 0, 1)
        if patch.valid.all():
            return scaled
        fill = scaled[:, patch.valid].mean(axis=1) if patch.valid.any() else np.zeros(len(scaled), np.float32)
        return np.where(patch.valid, scaled, fill[:, None, None]).astype(np.float32)


def scaling_of(source: Source, seed: int) -> Scaling | None:
    """Measure percentiles on a seeded sample of windows; None when the sample holds no valid pixel."""
    pixels = [patch.data[:, patch.valid] for patch in map(source.read, sample_windows(source, seed))]
    joined = np.concatenate(pixels, axis=1)
    if joined.shape[1] == 0:
        return None
    low, high = np.percentile(joined.astype(np.float64), PERCENTILES, axis=1)
    flat = high <= low  # a band of one value: any span will do
    return Scaling(tuple(map(float, low)), tuple(map(float, np.where(flat, low + 1, high))))


def sample_windows(source: Source, seed: int) -> Sequence[Window]:
    """Return the windows that stand for a whole raster: all of a small one, a seeded draw of a large one."""
    rows, cols = source.geobox.shape
    if rows * cols <= _SAMPLE_WINDOWS * _SAMPLE_PX**2:
        return [Window(0, 0, rows, cols)]
    rng = rng_for(seed, "scaling")
    tops = rng.integers(0, max(1, rows - _SAMPLE_PX + 1), _SAMPLE_WINDOWS)
    lefts = rng.integers(0, max(1, cols - _SAMPLE_PX + 1), _SAMPLE_WINDOWS)
    return [
        Window(int(y), int(x), int(y) + _SAMPLE_PX, int(x) + _SAMPLE_PX).clipped((rows, cols))
        for y, x in zip(tops, lefts, strict=True)
    ]
