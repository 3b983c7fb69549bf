"""Which tiles lost most? The lowest scores against fp32 among the arms of few bits, each tile at most once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from affine import Affine
from geopandas import GeoDataFrame
from pyproj import CRS, Transformer

from hedgerow.geo.windows import Window
from hedgerow.report.leavings import REFERENCE, Leavings
from hedgerow.report.standings import low_bit_arms

JUDGES = (f"erq_boundary__{REFERENCE}", f"boundary_f1__{REFERENCE}")
"""The tile score that decides: the first of these that any tile has."""

FEWEST_BORDER_PX = 50
"""Where FP32 has less border in a tile, its score hangs on a handful of pixels: such a tile is not ranked."""


@dataclass(frozen=True, slots=True)
class WorstTile:
    """A tile, the arm that did worst there, and how badly."""

    input: str
    tile: str
    arm: str
    metric: str
    score: float
    footprint: shapely.Geometry


@dataclass(frozen=True, slots=True)
class Ranked:
    """A line of the ranking: the tile, where on earth its middle lies, and the score of every judged arm there."""

    rank: int
    tile: WorstTile
    place: str
    scores: tuple[float | None, ...]


def judged_arms(run: Leavings) -> list[str]:
    """Return the arms among which the worst tiles are looked for: those of few bits, or all where there is none."""
    return low_bit_arms(run.arms) or [str(arm.get("name")) for arm in run.arms if arm.get("name") != REFERENCE]


def worst_tiles(run: Leavings, *, most: int = 6) -> list[WorstTile]:
    """Return the worst tiles, lowest score first, at most `most`; each with the arm that did worst there."""
    judge = _judge(run)
    if run.tiles is None or judge is None:
        return []
    scored = run.tiles[run.tiles["arm"].isin(judged_arms(run)) & run.tiles[judge].notna() & _has_borders(run.tiles)]
    lowest = scored.sort_values([judge, "input", "tile", "arm"]).drop_duplicates(["input", "tile"]).head(most)
    return _listed(lowest, judge)


def ranking(run: Leavings, *, most: int = 20) -> list[Ranked]:
    """Return the worst tiles in their order, with the scores of all judged arms side by side."""
    judge, arms = _judge(run), judged_arms(run)
    if run.tiles is None or judge is None:
        return []
    score = {(i, t, a): float(s) for i, t, a, s in _columns(run.tiles, "input", "tile", "arm", judge) if s == s}
    return [
        Ranked(rank, tile, _place(tile.footprint), tuple(score.get((tile.input, tile.tile, arm)) for arm in arms))
        for rank, tile in enumerate(worst_tiles(run, most=most), 1)
    ]


def _has_borders(tiles: GeoDataFrame) -> Any:
    """Say which tiles have borders enough to be judged, (rows,) bool; all where the file does not tell."""
    name = f"border_px__{REFERENCE}"
    return tiles[name] >= FEWEST_BORDER_PX if name in tiles else tiles["tile"].notna()


def _judge(run: Leavings) -> str | None:
    if run.tiles is None:
        return None
    return next((name for name in JUDGES if name in run.tiles and run.tiles[name].notna().any()), None)


def _place(footprint: shapely.Geometry) -> str:
    """'48.13712 N, 11.57540 E': about a metre."""
    ((lon, lat),) = shapely.get_coordinates(shapely.centroid(footprint))
    return f"{abs(lat):.5f} {'N' if lat >= 0 else 'S'}, {abs(lon):.5f} {'E' if lon >= 0 else 'W'}"


def _listed(tiles: GeoDataFrame, judge: str) -> list[WorstTile]:
    metric = judge.partition("__")[0]
    rows = _columns(tiles, "input", "tile", "arm", judge, tiles.geometry.name)
    return [WorstTile(str(i), str(t), str(a), metric, float(s), g) for i, t, a, s, g in rows]


def _columns(tiles: GeoDataFrame, *names: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of some columns."""
    return zip(*(tiles[name].to_numpy() for name in names), strict=True)


def pixel_window(footprint: shapely.Geometry, crs: CRS, transform: Affine, shape: tuple[int, int]) -> Window:
    """Return the pixels of a raster that a footprint (longitude, latitude) was made from."""
    lon, lat = shapely.get_coordinates(footprint).T
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    inverse = ~transform
    cols = np.rint(inverse.a * x + inverse.b * y + inverse.c).astype(int)
    rows = np.rint(inverse.d * x + inverse.e * y + inverse.f).astype(int)
    return Window(int(rows.min()), int(cols.min()), int(rows.max()), int(cols.max())).clipped(shape)
