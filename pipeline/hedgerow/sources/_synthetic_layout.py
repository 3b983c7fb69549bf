"""Where do the parcels of a synthetic landscape lie? One noded linework, then faces that share borders.

Everything is in metres from the upper left corner of the scene, x to the right, y down. What is neither field nor
forest (roads, tracks, hedges, grass margins, water, yards) is carved out as polygons. All lines and outlines are noded
together on a fine grid and polygonized once: neighbours share every vertex, exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from hedgerow.sources._synthetic_cuts import BORDERS, STYLES, Style, bent_lines
from hedgerow.sources._synthetic_shapes import Carved, blob, meander, noisy_masses, roughen, yard

_WIDTHS_M = {
    "none": (0, 0), "margin": (0.6, 3.2), "hedge": (2.5, 6.5), "bund": (0.5, 1.6), "track": (2.5, 4.5),
    "road": (4.5, 8.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """The parcels of a scene, the waste land, and what was carved out between them."""

    fields: NDArray[Any]
    forests: NDArray[Any]
    waste: NDArray[Any]
    carved: Carved


@dataclass(frozen=True, slots=True)
class Waters:
    """Water beyond ponds and streams: the mean number of lakes and wide rivers, the share of waterways that cut."""

    wide: float
    cutting: float
    rng: np.random.Generator
    """Its own source of chance: without water the land stays the same."""


def lay_out(
    size_m: tuple[float, float], gsd_m: float, style_name: str, rng: np.random.Generator, waters: Waters,
    footprint: Any | None = None,
) -> Layout:  # fmt: skip
    """Return the parcels of a scene of `size_m` (height, width), cut at `footprint` (default: the whole scene)."""
    style = STYLES[style_name]
    frame = shapely.box(0, 0, size_m[1], size_m[0]) if footprint is None else footprint
    heading_deg = float(rng.uniform(-4, 4) if style_name == "section" else rng.uniform(0, 180))
    extent_m = math.sqrt(size_m[0] * size_m[1])
    lines, depths, side_m = bent_lines(style, size_m, heading_deg, rng)
    near = shapely.intersects(lines, frame.buffer(30))
    carved, bare = _carve(lines[near], depths[near], style, gsd_m, extent_m, waters, rng)
    forest = _forests(style, frame, extent_m, side_m, gsd_m, carved.stream, rng)
    if rng.random() < 0.4:
        _add_forest_margin(carved, forest, gsd_m, rng)
    fields, forests, waste = _faces(bare, carved.everything(forest), forest, frame, gsd_m, rng)
    return Layout(fields, forests, waste, carved)


def _carve(
    lines: NDArray[Any], depths: NDArray[np.int64], style: Style, gsd_m: float, extent_m: float,
    waters: Waters, rng: np.random.Generator,
) -> tuple[Carved, NDArray[Any]]:  # fmt: skip
    """Give each line a kind of border; return what is carved out along them and the lines that stay bare."""
    kinds, widths = _borders(depths, style, gsd_m, extent_m, rng)
    carved = Carved.along(lines, kinds, widths, rng)
    if rng.random() < 0.3:
        carved.add_stream(meander(extent_m, 1.5, rng), min(float(rng.uniform(1.5, 9.0)), 0.03 * extent_m), rng)
    for _ in range(rng.poisson(min(0.4 * max(extent_m / 600, 0.5) ** 2, 12.0))):
        radius_m = min(float(rng.uniform(6, 35)), 0.06 * extent_m)
        carved.add_pond(blob(rng.uniform(0, extent_m, 2), radius_m, rng), radius_m * rng.uniform(0.05, 0.3))
    if extent_m > 200:
        for _ in range(rng.poisson(min(0.6 * extent_m / 600, 6.0))):
            course, width_m = meander(extent_m, rng.uniform(0.3, 0.9), rng), rng.uniform(4, 14)
            carved.add_waterway(course, width_m, cuts=waters.rng.random() < waters.cutting)
    if len(carved.roads):
        for _ in range(rng.poisson(min(1.1 * (extent_m / 600) ** 2, 30.0))):
            carved.add_yard(yard(carved.roads, extent_m, rng))
    for _ in range(waters.rng.poisson(waters.wide)):
        _add_wide_water(carved, extent_m, waters.rng)
    return carved, lines[kinds == "none"]


def _add_wide_water(carved: Carved, extent_m: float, rng: np.random.Generator) -> None:
    """Carve a lake or a river, a twentieth to a third of the scene wide, at most 400 m."""
    width_m = min(math.exp(rng.uniform(math.log(0.05), math.log(0.33))) * extent_m, 400.0)
    if rng.random() < 0.5:
        carved.add_pond(blob(rng.uniform(0, extent_m, 2), width_m / 2, rng), width_m * rng.uniform(0.0, 0.1))
    else:
        river = shapely.buffer(meander(extent_m, 1.5, rng), width_m / 4, quad_segs=4)
        carved.add_pond(shapely.simplify(river, width_m / 100), width_m * rng.uniform(0.0, 0.1))


def _borders(
    depths: NDArray[np.int64], style: Style, gsd_m: float, extent_m: float, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Draw the kind of border along every line and its width in metres."""
    inner, outer = (np.array(w, dtype=float) / sum(w) for w in (style.borders, style.block_borders))
    kinds = np.where(depths > 0, rng.choice(BORDERS, len(depths), p=inner), rng.choice(BORDERS, len(depths), p=outer))
    kinds[depths < 0] = "road"
    # In scenes a few tens of metres across roads shrink to paths; what no pixel can show is left out.
    widths = np.array([rng.uniform(*_WIDTHS_M[k]) for k in kinds]).clip(max=0.05 * extent_m)
    kinds[widths < 0.15 * gsd_m] = "none"
    return kinds, widths


def _forests(
    style: Style, frame: Any, extent_m: float, side_m: float, gsd_m: float, stream: Any, rng: np.random.Generator
) -> Any:
    """Return the woods as one geometry: masses of natural shape, small copses, a wood along the stream."""
    ragged_m = max(3.0, 0.7 * gsd_m) if extent_m > 100 else 0.03 * extent_m
    shapes = []
    # What a drone flies is fields: no more than a corner of a wood fits into a scene of a hundred metres.
    if rng.random() < 0.55 * style.wooded * (1.0 if extent_m > 130 else 0.2):
        shapes += noisy_masses(frame, float(rng.beta(1.3, 2.6)), rng)
    copses = 1.2 * style.wooded * (0.25 if extent_m < 130 else max(1.0, (extent_m / 1500) ** 1.2))
    for _ in range(rng.poisson(copses)):
        radius_m = min(side_m * math.exp(rng.uniform(math.log(0.12), math.log(0.8))), 0.4 * extent_m)
        shapes.append(blob(rng.uniform(0, 1, 2) * frame.bounds[2:], radius_m, rng))
    if stream is not None and rng.random() < 0.6:
        shapes.append(stream.buffer(min(rng.uniform(0.01, 0.05) * extent_m, 60.0), quad_segs=3))
    if not shapes:
        return shapely.Polygon()
    return roughen(roughen(shapely.union_all(shapes), 4 * ragged_m, rng), ragged_m, rng)


def _add_forest_margin(carved: Carved, forest: Any, gsd_m: float, rng: np.random.Generator) -> None:
    """Leave a strip of grass along the woods, smooth on the side that is farmed."""
    width_m, smooth_m = rng.uniform(1.0, 7.0), rng.uniform(4.0, 15.0)
    if width_m > 0.3 * gsd_m and not forest.is_empty:
        carved.soft.append(forest.buffer(width_m + smooth_m, quad_segs=2).buffer(-smooth_m, quad_segs=2))


def _faces(
    lines: NDArray[Any], other: Any, forest: Any, frame: Any, gsd_m: float, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Node all lines and outlines on one grid and sort the faces: fields, forests, waste land."""
    outlines = [shapely.boundary(g) for g in (other, forest, frame)]
    noded = shapely.union_all(np.array([*lines, *outlines], dtype=object), grid_size=min(gsd_m / 500, 0.005))
    faces = _in_order(shapely.get_parts(shapely.polygonize([noded])))
    spots = shapely.get_coordinates(shapely.point_on_surface(faces))
    for geometry in (other, forest, frame):
        shapely.prepare(geometry)
    inside = shapely.contains_xy(frame, spots) & ~shapely.contains_xy(other, spots)
    wooded = inside & shapely.contains_xy(forest, spots)
    open_land = faces[inside & ~wooded]
    waste = (rng.random(len(open_land)) < rng.beta(1.2, 12)) | _sliver(open_land, gsd_m)
    return open_land[~waste], _merged(faces[wooded], gsd_m), open_land[waste]


def _in_order(faces: NDArray[Any]) -> NDArray[Any]:
    """Sort faces from left to right, so that their order is ours and not the geometry library's."""
    return np.asarray(faces[np.lexsort([*shapely.bounds(faces).T[::-1]])])


def _sliver(faces: NDArray[Any], gsd_m: float) -> NDArray[np.bool_]:
    """Say which faces nobody could farm or see: narrower than two pixels, or than a tractor."""
    width_m = 2 * shapely.area(faces) / np.maximum(shapely.length(faces), 1e-9)
    return np.asarray(width_m < min(2 * gsd_m, 4.0))


def _merged(faces: NDArray[Any], gsd_m: float) -> NDArray[Any]:
    """Join the faces of one wood, keeping every vertex that a neighbour uses."""
    if not len(faces):
        return faces
    parts = shapely.get_parts(shapely.coverage_union_all(faces))
    return _in_order(parts[~_sliver(parts, gsd_m)])
