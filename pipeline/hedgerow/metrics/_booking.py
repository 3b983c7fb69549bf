"""How does a metric say where its sums belong? It books each contribution on a pixel.

The tally of a tile is what was booked in its core, that of a kind of border what was booked on its pixels: so both add
up to the scene's by construction, whatever the tiling. A contribution of a whole object or gap is booked on one pixel
that stands for it. Medians and percentiles do not add up, but histograms do: a level on a pixel is counted, and
`metrics/_levels.py` reads the percentiles off the counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hedgerow.errors import ScoreError
from hedgerow.records import level_name


@dataclass(frozen=True, slots=True)
class Booking:
    """Contributions on pixels: `values[sum name][k]` belongs to the pixel (`rows[k]`, `cols[k]`).

    `levels[name][k]` adds one to the count of that level: a sum called `level_name(name, level)`.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    values: Mapping[str, NDArray[Any]]
    levels: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = [*self.values.values(), *self.levels.values()]
        lengths = {len(self.rows), len(self.cols), *map(len, columns)}
        if len(lengths) != 1:
            raise ScoreError(f"a booking needs one value per pixel and sum, got lengths {sorted(lengths)}")


def booked(where: NDArray[np.bool_], **values: NDArray[Any] | None) -> Booking:
    """Book on the pixels of a mask (height, width): per sum a raster (height, width), or None to count the pixels."""
    flat = np.flatnonzero(where)
    rows, cols = np.divmod(flat, where.shape[1])
    return Booking(
        rows, cols, {name: np.ones(len(flat)) if v is None else v.ravel()[flat] for name, v in values.items()}
    )


def totals(bookings: Iterable[Booking]) -> dict[str, float]:
    """Return the sums over all pixels, by name."""
    sums: dict[str, float] = {}
    for booking in bookings:
        for name, values in booking.values.items():
            sums[name] = sums.get(name, 0.0) + float(values.sum(dtype=np.float64))
        for name, levels in booking.levels.items():
            for level, count in zip(*np.unique(levels, return_counts=True), strict=True):
                key = level_name(name, level)
                sums[key] = sums.get(key, 0.0) + float(count)
    return sums
