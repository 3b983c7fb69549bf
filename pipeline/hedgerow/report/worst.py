"""Which tiles lost most? The lowest scores against fp32 among the arms of few bits, each tile at most once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from hedgerow.geo.windows import Window
from hedgerow.report.leavings import REFERENCE, Leavings
from hedgerow.report.standings import low_bit_arms

JUDGES = (f"erq_boundary__{REFERENCE}", f"boundary_f1__{REFERENCE}")
"""The tile score that decides: the first of these that any tile has."""


@dataclass(frozen=True, slots=True)
class WorstTile:
    """A tile, the arm that did worst there, and how badly."""

    input: str
    tile: str
    arm: str
    metric: str
    score: float
    footprint: shapely.Geometry


def worst_tiles(run: Leavings, *, most: int = 6) -> list[WorstTile]:
    """Return the worst tiles, lowest score first, at most `most`."""
    if run.tiles is None:
        return []
    judge = next((name for name in JUDGES if name in run.tiles and run.tiles[name].notna().any()), None)
    if judge is None:
        return []
    names = low_bit_arms(run.arms) or [str(arm.get("name")) for arm in run.arms if arm.get("name") != REFERENCE]
    scored = run.tiles[run.tiles["arm"].isin(names) & run.tiles[judge].notna()]
    lowest = scored.sort_values([judge, "input", "tile", "arm"]).drop_duplicates(["input", "tile"]).head(most)
    return _listed(lowest, judge)


def _listed(tiles: GeoDataFrame, judge: str) -> list[WorstTile]:
    columns: Sequence[NDArray[np.object_]] = [
        tiles[name].to_numpy() for name in ("input", "tile", "arm", judge, tiles.geometry.name)
    ]
    metric = judge.partition("__")[0]
    return [WorstTile(str(i), str(t), str(a), metric, float(s), g) for i, t, a, s, g in zip(*columns, strict=True)]


def pixel_window(footprint: shapely.Geometry, crs: CRS, transform: Affine, shape: tuple[int, int]) -> Window:
    """Return the pixels of a raster that a footprint (longitude, latitude) was made from."""
    lon, lat = shapely.get_coordinates(footprint).T
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    inverse = ~transform
    cols = np.rint(inverse.a * x + inverse.b * y + inverse.c).astype(int)
    rows = np.rint(inverse.d * x + inverse.e * y + inverse.f).astype(int)
    return Window(int(rows.min()), int(cols.min()), int(rows.max()), int(cols.max())).clipped(shape)
