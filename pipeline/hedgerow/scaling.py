"""How do stored values become the network's [0, 1]? By one line per band, decided once per input, never per tile."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedgerow.contracts import Source, may_hold
from hedgerow.errors import ConfigError, SourceError
from hedgerow.geo.windows import Window, grid
from hedgerow.randomness import rng_for
from hedgerow.records import Patch

PERCENTILES = (0.5, 99.5)
_SAMPLE_WINDOWS = 24
_SAMPLE_PX = 256
_ENOUGH_PX = _SAMPLE_PX**2
_MOST_DRAWS = 400  # rounds, where windows are drawn again because no part of a mosaic reaches there


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


def constant_scaling(settings: Mapping[str, Sequence[float]], bands: Sequence[str]) -> Scaling:
    """Return the scaling that settings {low: [...], high: [...]} name for the model's `bands`.

    Raises:
        ConfigError: other keys, another number of values than of bands, or high <= low.
    """
    if settings.keys() != {"low", "high"} or any(len(values) != len(bands) for values in settings.values()):
        raise ConfigError(
            f"scaling {dict(settings)}: give `low` and `high` with {len(bands)} values each, for {', '.join(bands)}"
        )
    try:
        return Scaling(tuple(settings["low"]), tuple(settings["high"]))
    except SourceError as error:
        raise ConfigError(str(error)) from error


def scaling_of(source: Source, seed: int) -> Scaling | None:
    """Measure percentiles on a seeded sample of windows; None when the raster holds no valid pixel."""
    pixels = _valid_pixels(source, sample_windows(source, seed), _SAMPLE_WINDOWS * _ENOUGH_PX)
    if pixels.shape[1] < _ENOUGH_PX:  # mostly nodata: a few chance pixels, or none, do not speak for the rest
        pixels = _valid_pixels(source, _shuffled_windows(source, seed), _ENOUGH_PX)
    if pixels.shape[1] == 0:
        return None
    low, high = np.percentile(pixels.astype(np.float64), PERCENTILES, axis=1)
    flat = high <= low  # a band of one value: any span will do
    return Scaling(tuple(map(float, low)), tuple(map(float, np.where(flat, low + 1, high))))


def _valid_pixels(source: Source, windows: Iterable[Window], enough_px: int) -> NDArray[np.generic]:
    """Return the valid pixels (bands, n) of windows, read until there are enough."""
    found: list[NDArray[np.generic]] = [np.zeros((len(source.bands), 0), np.uint8)]
    count = 0
    for patch in map(source.read, windows):
        found.append(patch.data[:, patch.valid])
        count += found[-1].shape[1]
        if count >= enough_px:
            break
    return np.concatenate(found, axis=1)


def _shuffled_windows(source: Source, seed: int) -> Sequence[Window]:
    """Return windows that cover all that a raster may hold, in a seeded order."""
    cells = [cell for _, cell in grid((source.geobox.shape[0], source.geobox.shape[1]), _SAMPLE_PX)]
    order = rng_for(seed, "scaling", "everywhere").permutation(len(cells))
    return [cells[i] for i in order if may_hold(source, cells[i])]


def sample_windows(source: Source, seed: int) -> Sequence[Window]:
    """Return the windows that stand for a whole raster: all of a small one, a seeded draw of a large one."""
    rows, cols = source.geobox.shape
    if rows * cols <= _SAMPLE_WINDOWS * _SAMPLE_PX**2:
        return [Window(0, 0, rows, cols)]
    rng = rng_for(seed, "scaling")
    drawn: list[Window] = []
    for _ in range(_MOST_DRAWS):
        tops = rng.integers(0, max(1, rows - _SAMPLE_PX + 1), _SAMPLE_WINDOWS)
        lefts = rng.integers(0, max(1, cols - _SAMPLE_PX + 1), _SAMPLE_WINDOWS)
        windows = (
            Window(int(y), int(x), int(y) + _SAMPLE_PX, int(x) + _SAMPLE_PX).clipped((rows, cols))
            for y, x in zip(tops, lefts, strict=True)
        )
        drawn += (window for window in windows if may_hold(source, window))
        if len(drawn) >= _SAMPLE_WINDOWS:
            break
    return drawn[:_SAMPLE_WINDOWS]
