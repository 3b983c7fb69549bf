"""Where do the parcels of a synthetic landscape lie? Cut lines, then one noded linework, then faces that share borders.

Everything is in metres from the upper left corner of the scene, x to the right, y down. A landscape is cut up by lines
(recursive bisection of sections, or of Voronoi blocks), the lines are bent by one smooth displacement, and what is
neither field nor forest (roads, tracks, hedges, grass margins, water, yards) is carved out as polygons. All lines and
outlines are noded together on a fine grid and polygonized once: neighbours share every vertex, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import Voronoi

from hedgerow.sources._synthetic_shapes import Carved, blob, meander, roughen, yard

Point = tuple[float, float]
Cut = tuple[Point, Point, int]
"""Start, end, and depth of the cut: shallow cuts carry roads."""


@dataclass(frozen=True, slots=True)
class Style:
    """What a kind of landscape looks like; areas in hectares, lengths in metres.

    `borders` gives the chances of (nothing, grass margin, hedge, ditch or bund, track) along the deeper cuts.
    """

    area_ha: tuple[float, float]
    block_ha: float
    jitter_deg: float
    bend_m: float
    bend_length_m: float
    strips: bool
    voronoi: bool
    borders: tuple[float, float, float, float, float]
    road_depth: int
    forests: float


STYLES: dict[str, Style] = {
    "section": Style((3, 28), 65, 1.0, 1.0, 700, False, False, (0.42, 0.30, 0.10, 0.08, 0.10), 1, 2.0),
    "european": Style((0.6, 7), 30, 6.0, 6.0, 260, False, True, (0.52, 0.20, 0.14, 0.06, 0.08), 1, 2.2),
    "strips": Style((0.4, 3.0), 20, 2.0, 5.0, 420, True, True, (0.72, 0.18, 0.04, 0.04, 0.02), 1, 1.2),
    "contour": Style((1.0, 5), 25, 2.0, 26.0, 460, True, False, (0.62, 0.30, 0.05, 0.03, 0.00), 1, 2.0),
    "paddies": Style((0.04, 0.4), 3, 5.0, 1.5, 70, False, False, (0.03, 0.10, 0.00, 0.82, 0.05), 2, 0.5),
}

BORDERS = ("none", "margin", "hedge", "bund", "track")
_WIDTHS_M = {
    "margin": (0.6, 3.2), "hedge": (2.5, 6.5), "bund": (0.5, 1.6), "track": (3.0, 5.0), "road": (5.0, 8.5),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """The parcels of a scene (fields first, then forests) and what lies between them."""

    size_m: tuple[float, float]
    fields: NDArray[Any]
    forests: NDArray[Any]
    waste: NDArray[Any]
    carved: Carved
    heading_deg: float


def lay_out(
    size_m: tuple[float, float], gsd_m: float, style_name: str, rng: np.random.Generator, footprint: Any | None = None
) -> Layout:
    """Return the parcels of a scene of `size_m` (height, width), cut at `footprint` (default: the whole scene)."""
    style = STYLES[style_name]
    frame = shapely.box(0, 0, size_m[1], size_m[0]) if footprint is None else footprint
    heading_deg = float(rng.uniform(-4, 4) if style_name == "section" else rng.uniform(0, 180))
    extent_m = math.sqrt(size_m[0] * size_m[1])
    area_m2 = _parcel_area_m2(style, extent_m, rng)
    cuts = _place(_cuts(style, area_m2, extent_m, rng), size_m, heading_deg)
    lines, depths = _bent(cuts, style, area_m2, extent_m, rng)
    inside = shapely.intersects(lines, frame.buffer(30))
    lines, depths = lines[inside], depths[inside]
    carved, plain = _carve(lines, depths, style, gsd_m, extent_m, rng)
    forest = _forests(style, frame, extent_m, math.sqrt(area_m2), gsd_m, carved, rng)
    fields, forests, waste = _faces(plain, carved, forest, frame, gsd_m, rng)
    return Layout(size_m, fields, forests, waste, carved, heading_deg)


def _parcel_area_m2(style: Style, extent_m: float, rng: np.random.Generator) -> float:
    """Draw the mean parcel area, but let a scene hold between one and a half and 500 parcels."""
    low, high = style.area_ha
    drawn = 1e4 * math.exp(rng.uniform(math.log(low * 1.3), math.log(high * 0.75)))
    return float(np.clip(drawn, extent_m**2 / 500, extent_m**2 / rng.uniform(1.5, 6)))


def _cuts(style: Style, area_m2: float, extent_m: float, rng: np.random.Generator) -> list[Cut]:
    """Return the cuts of a square that covers the scene at any heading, in a frame centred on the scene."""
    radius = 0.72 * extent_m * 1.25 + math.sqrt(area_m2)
    block_m2 = max(style.block_ha * 1e4, 2.5 * area_m2)
    blocks, cuts = (_voronoi_blocks if style.voronoi else _grid_blocks)(radius, math.sqrt(block_m2), rng)
    for block in blocks:
        local = area_m2 * math.exp(rng.normal(0, 0.35))
        cuts += _bisect(block, local, radius, style, rng)
    return cuts


def _grid_blocks(radius: float, side_m: float, rng: np.random.Generator) -> tuple[list[list[Point]], list[Cut]]:
    """Cut the square by lines `side_m` apart, as the section roads of the US Midwest do."""
    xs, ys = (_marks(radius, side_m, rng) for _ in range(2))
    cuts: list[Cut] = [((x, -radius), (x, radius), 0) for x in xs[1:-1]]
    cuts += [((-radius, y), (radius, y), 0) for y in ys[1:-1]]
    blocks = [[(a, c), (b, c), (b, d), (a, d)] for a, b in _pairs(xs) for c, d in _pairs(ys)]
    return blocks, cuts


def _marks(radius: float, side_m: float, rng: np.random.Generator) -> list[float]:
    start = -radius + rng.uniform(0.05, 1.0) * side_m
    return [-radius, *np.arange(start, radius - 1e-3, side_m).tolist(), radius]


def _pairs(marks: list[float]) -> Iterator[tuple[float, float]]:
    return zip(marks[:-1], marks[1:], strict=True)


def _voronoi_blocks(radius: float, side_m: float, rng: np.random.Generator) -> tuple[list[list[Point]], list[Cut]]:
    """Cut the square into convex Voronoi cells of jittered seeds."""
    ticks = np.arange(-radius - 2 * side_m, radius + 2 * side_m, side_m)
    seeds = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2) + rng.uniform(0, side_m, 2)
    diagram = Voronoi(seeds + rng.uniform(-0.38, 0.38, seeds.shape) * side_m)
    points = diagram.vertices
    ridges = [r for r in diagram.ridge_vertices if -1 not in r]
    cuts: list[Cut] = [(_point(points[a]), _point(points[b]), 0) for a, b in ridges]
    cells = [diagram.regions[i] for i in diagram.point_region]
    return [[_point(points[i]) for i in cell] for cell in cells if cell and -1 not in cell], cuts


def _point(xy: NDArray[np.float64]) -> Point:
    return float(xy[0]), float(xy[1])


def _bisect(block: list[Point], area_m2: float, radius: float, style: Style, rng: np.random.Generator) -> list[Cut]:
    """Cut a convex block across its longest side (or, for strips, always in one direction) down to `area_m2`."""
    cuts: list[Cut] = []
    across = _longest_side(block) if style.strips else None
    stack = [(block, 1)]
    while stack:
        polygon, depth = stack.pop()
        if _area(polygon) < area_m2 * math.exp(rng.uniform(0.0, 0.9)) or _beyond(polygon, radius) or depth > 12:
            continue
        direction = across if across is not None else _longest_side(polygon)
        turn = math.radians(rng.normal(0, style.jitter_deg))
        halves = _cut(polygon, direction + turn, rng.uniform(0.34, 0.66))
        if halves is not None:
            left, right, (start, end) = halves
            cuts.append((start, end, depth))
            stack += [(left, depth + 1), (right, depth + 1)]
    return cuts


def _area(polygon: list[Point]) -> float:
    pairs = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs)) / 2


def _beyond(polygon: list[Point], radius: float) -> bool:
    xs, ys = zip(*polygon, strict=True)
    near_x, near_y = max(min(xs), min(max(xs), 0.0)), max(min(ys), min(max(ys), 0.0))
    return math.hypot(near_x, near_y) > radius


def _longest_side(polygon: list[Point]) -> float:
    """Return the direction (radians) of the longest side."""
    pairs = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    (ax, ay), (bx, by) = max(pairs, key=lambda e: math.dist(e[0], e[1]))
    return math.atan2(by - ay, bx - ax)


def _cut(
    polygon: list[Point], along: float, share: float
) -> tuple[list[Point], list[Point], tuple[Point, Point]] | None:
    """Cut a convex polygon square to the direction `along`, at `share` of its length in that direction."""
    c, s = math.cos(along), math.sin(along)
    heights = [x * c + y * s for x, y in polygon]
    level = min(heights) + share * (max(heights) - min(heights))
    left: list[Point] = []
    right: list[Point] = []
    crossings: list[Point] = []
    for i, (p, h) in enumerate(zip(polygon, heights, strict=True)):
        q, k = polygon[(i + 1) % len(polygon)], heights[(i + 1) % len(polygon)]
        (left if h <= level else right).append(p)
        if (h <= level) != (k <= level):
            t = (level - h) / (k - h)
            crossing = (p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1]))
            crossings.append(crossing)
            left.append(crossing)
            right.append(crossing)
    return (left, right, (crossings[0], crossings[1])) if len(crossings) == 2 else None


def _place(cuts: list[Cut], size_m: tuple[float, float], heading_deg: float) -> list[Cut]:
    """Turn the cuts by the heading and move their origin to the middle of the scene."""
    c, s = math.cos(math.radians(heading_deg)), math.sin(math.radians(heading_deg))

    def place(p: Point) -> Point:
        return size_m[1] / 2 + c * p[0] - s * p[1], size_m[0] / 2 + s * p[0] + c * p[1]

    return [(place(a), place(b), depth) for a, b, depth in cuts]


def _bent(
    cuts: list[Cut], style: Style, area_m2: float, extent_m: float, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the cuts as bent lines, each a little longer than the cut, so that it surely meets its neighbours."""
    ends = np.array([(a, b) for a, b, _ in cuts], dtype=np.float64)
    side = math.sqrt(area_m2)
    wave_m = max(style.bend_length_m, 1.6 * side)
    bend_m = style.bend_m * rng.uniform(0.3, 1.2) * min(1.0, wave_m / style.bend_length_m, extent_m / wave_m * 2)
    step_m = side / 10
    slack_m = 0.02 * side + 3 * bend_m * (2 * math.pi / wave_m) ** 2 * step_m**2 / 8
    along = ends[:, 1] - ends[:, 0]
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    ends += np.stack([-along, along], axis=1) * slack_m
    lines = shapely.segmentize(shapely.linestrings(ends), step_m)
    waves = rng.normal(size=(4, 2)) * 2 * math.pi / wave_m / 1.4
    phases, ways = rng.uniform(0, 2 * math.pi, 4), rng.normal(size=(4, 2)) * bend_m / 2

    def bend(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return xy + np.sin(xy @ waves.T + phases) @ ways

    return shapely.transform(lines, bend), np.array([d for *_, d in cuts])


def _carve(
    lines: NDArray[Any], depths: NDArray[np.int64], style: Style, gsd_m: float, extent_m: float,
    rng: np.random.Generator,
) -> tuple[Carved, NDArray[Any]]:  # fmt: skip
    """Give each line a kind of border; return what is carved out along them and the lines that stay bare."""
    kinds = rng.choice(BORDERS, size=len(lines), p=np.array(style.borders) / sum(style.borders))
    top = depths < style.road_depth
    kinds[top] = rng.choice(["road", "track", "margin"], size=int(top.sum()), p=[0.45, 0.35, 0.20])
    widths = np.array([rng.uniform(*_WIDTHS_M[k]) if k != "none" else 0.0 for k in kinds])
    # Roads as wide as fields are no landscape: in scenes a few tens of metres across they shrink to paths.
    widths = np.minimum(widths, 0.05 * extent_m)
    thin = widths < 0.15 * gsd_m
    kinds[thin] = "none"
    carved = Carved.along(lines, kinds, widths, rng)
    carved.add_water(meander(extent_m, rng) if rng.random() < 0.3 else None, extent_m, rng)
    if len(carved.roads):
        for _ in range(rng.poisson(min(1.0 * (extent_m / 600) ** 2, 25.0))):
            carved.add_yard(yard(carved.roads, extent_m, rng))
    return carved, lines[kinds == "none"]


def _forests(
    style: Style, frame: Any, extent_m: float, side_m: float, gsd_m: float, carved: Carved, rng: np.random.Generator
) -> Any:
    """Return the woods as one geometry: blobs of many sizes and a wood along the stream, with ragged edges."""
    step_m = max(3.0, 0.6 * gsd_m) if extent_m > 100 else 0.03 * extent_m
    count = rng.poisson(style.forests * max(1.0, (extent_m / 1500) ** 1.2))
    left, top, right, bottom = frame.bounds
    shapes = []
    for _ in range(count):
        centre = rng.uniform((left - 0.2 * (right - left), top - 0.2 * (bottom - top)), (1.2 * right, 1.2 * bottom))
        radius = side_m * math.exp(rng.uniform(math.log(0.15), math.log(1.1)))
        shapes.append(blob(centre, min(radius, 0.45 * extent_m), rng))
    if carved.stream is not None and rng.random() < 0.6:
        shapes.append(carved.stream.buffer(rng.uniform(0.01, 0.05) * extent_m, quad_segs=3))
    return shapely.union_all([roughen(s, step_m, rng) for s in shapes]) if shapes else shapely.Polygon()


def _faces(
    lines: NDArray[Any], carved: Carved, forest: Any, frame: Any, gsd_m: float, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Node all lines and outlines on one grid and sort the faces: fields, forests, waste land."""
    grid_m = min(gsd_m / 500, 0.005)
    other = carved.everything()
    outlines = [shapely.boundary(other), shapely.boundary(forest), shapely.boundary(frame)]
    noded = shapely.union_all(np.array([*lines, *outlines], dtype=object), grid_size=grid_m)
    faces = shapely.get_parts(shapely.polygonize([noded]))
    spots = shapely.get_coordinates(shapely.point_on_surface(faces))
    for geometry in (other, forest, frame):
        shapely.prepare(geometry)
    inside = shapely.contains_xy(frame, spots) & ~shapely.contains_xy(other, spots)
    wooded = inside & shapely.contains_xy(forest, spots)
    open_land = faces[inside & ~wooded]
    waste = (rng.random(len(open_land)) < 0.05) | _sliver(open_land, gsd_m)
    return open_land[~waste], _merged(faces[wooded], gsd_m), open_land[waste]


def _sliver(faces: NDArray[Any], gsd_m: float) -> NDArray[np.bool_]:
    """Say which faces nobody could farm or see: narrower than two pixels, or than a tractor."""
    width_m = 2 * shapely.area(faces) / np.maximum(shapely.length(faces), 1e-9)
    return np.asarray(width_m < np.minimum(2 * gsd_m, 4.0) + 0.01)


def _merged(faces: NDArray[Any], gsd_m: float) -> NDArray[Any]:
    """Join the faces of one wood, keeping every vertex that a neighbour uses."""
    if not len(faces):
        return faces
    parts = shapely.get_parts(shapely.coverage_union_all(faces))
    return parts[~_sliver(parts, gsd_m)]
