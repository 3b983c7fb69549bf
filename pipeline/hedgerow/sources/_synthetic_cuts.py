"""How is a landscape cut into parcels? Recursive bisection of square sections or Voronoi blocks, by bent lines.

Everything is in metres; cuts are made in a frame centred on the scene and then turned, moved and bent into it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import Voronoi

Point = tuple[float, float]
Cut = tuple[Point, Point, int]
"""Start, end, and depth of the cut: -1 for a road through the land, 0 between blocks, more inside them."""


@dataclass(frozen=True, slots=True)
class Style:
    """What a kind of landscape looks like; areas in hectares, lengths in metres.

    `borders` and `block_borders` give the weights of `BORDERS` along the cuts inside and between the blocks.
    """

    area_ha: tuple[float, float]
    block_ha: float
    jitter_deg: float
    bend_m: float
    bend_length_m: float
    strips: bool
    voronoi: bool
    borders: tuple[float, ...]
    block_borders: tuple[float, ...]
    wooded: float


BORDERS = ("none", "margin", "hedge", "bund", "track", "road")

STYLES: dict[str, Style] = {
    "section": Style((3, 28), 65, 1.0, 1.0, 700, False, False, (42, 30, 10, 8, 10, 0), (5, 20, 5, 5, 15, 50), 1.0),
    "european": Style((0.6, 7), 30, 6.0, 6.0, 260, False, True, (54, 20, 12, 6, 8, 0), (24, 20, 14, 6, 36, 0), 1.1),
    "strips": Style((0.4, 3.0), 20, 2.0, 5.0, 420, True, True, (72, 18, 4, 4, 2, 0), (18, 25, 5, 5, 47, 0), 0.6),
    "contour": Style((1.0, 5), 25, 2.0, 26.0, 460, True, False, (62, 30, 5, 3, 0, 0), (10, 40, 10, 5, 20, 15), 1.0),
    "paddies": Style((0.04, 0.4), 3, 5.0, 1.5, 70, False, False, (4, 12, 0, 80, 4, 0), (0, 15, 2, 60, 18, 5), 0.4),
}


def bent_lines(
    style: Style, size_m: tuple[float, float], heading_deg: float, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[np.int64], float]:
    """Return the lines that cut a scene of `size_m` (height, width), their depths, and the side of a parcel in m."""
    extent_m = math.sqrt(size_m[0] * size_m[1])
    area_m2 = _parcel_area_m2(style, extent_m, rng)
    cuts = _cuts(style, area_m2, extent_m, rng) + _through_roads(style, extent_m, rng)
    ends = _place(cuts, size_m, heading_deg)
    near = shapely.intersects(
        shapely.linestrings(ends), shapely.box(0, 0, size_m[1], size_m[0]).buffer(0.06 * extent_m)
    )
    lines = _bent(ends[near], style, math.sqrt(area_m2), extent_m, rng)
    return lines, np.array([depth for *_, depth in cuts])[near], math.sqrt(area_m2)


def _parcel_area_m2(style: Style, extent_m: float, rng: np.random.Generator) -> float:
    """Draw the mean parcel area, but let a scene hold between about one and 500 parcels."""
    low, high = style.area_ha
    drawn = 1e4 * math.exp(rng.uniform(math.log(low * 1.3), math.log(high * 0.75)))
    return float(np.clip(drawn, extent_m**2 / 500, extent_m**2 / rng.uniform(1.0, 6)))


def _cuts(style: Style, area_m2: float, extent_m: float, rng: np.random.Generator) -> list[Cut]:
    """Return the cuts of a square that covers the scene at any heading."""
    radius = 0.9 * extent_m + math.sqrt(area_m2)
    block_m2 = max(style.block_ha * 1e4, 2.5 * area_m2)
    blocks, cuts = (_voronoi_blocks if style.voronoi else _grid_blocks)(radius, math.sqrt(block_m2), rng)
    for block in blocks:
        local = area_m2 * math.exp(rng.normal(0, 0.35))
        cuts += _bisect(block, local, radius, style, rng)
    return cuts


def _through_roads(style: Style, extent_m: float, rng: np.random.Generator) -> list[Cut]:
    """Return roads that cross the scene whatever the parcels do."""
    if extent_m < 130 or (not style.voronoi and rng.random() < 0.8):
        return []
    turns = rng.uniform(0, math.pi, rng.poisson(min(0.7 + extent_m / 2500, 3.5)))
    offsets = rng.uniform(-0.5, 0.5, len(turns)) * extent_m
    return [(_at(-extent_m, off, turn), _at(extent_m, off, turn), -1) for off, turn in zip(offsets, turns, strict=True)]


def _at(u: float, v: float, turn: float) -> Point:
    c, s = math.cos(turn), math.sin(turn)
    return c * u - s * v, s * u + c * v


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
    return pairwise(marks)


def _voronoi_blocks(radius: float, side_m: float, rng: np.random.Generator) -> tuple[list[list[Point]], list[Cut]]:
    """Cut the square into convex Voronoi cells of jittered seeds."""
    ticks = np.arange(-radius - 2 * side_m, radius + 2 * side_m, side_m)
    seeds = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2) + rng.uniform(0, side_m, 2)
    diagram = Voronoi(seeds + rng.uniform(-0.38, 0.38, seeds.shape) * side_m)
    points = [(float(x), float(y)) for x, y in diagram.vertices]
    cuts: list[Cut] = [(points[a], points[b], 0) for a, b in diagram.ridge_vertices if a >= 0 and b >= 0]
    cells = [diagram.regions[i] for i in diagram.point_region]
    return [[points[i] for i in cell] for cell in cells if cell and -1 not in cell], cuts


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


def _place(cuts: list[Cut], size_m: tuple[float, float], heading_deg: float) -> NDArray[np.float64]:
    """Return the ends (cuts, 2, 2), turned by the heading, with the origin in the scene's upper left corner."""
    c, s = math.cos(math.radians(heading_deg)), math.sin(math.radians(heading_deg))
    ends = np.array([(a, b) for a, b, _ in cuts], dtype=np.float64)
    return np.asarray(ends @ np.array([(c, s), (-s, c)]) + (size_m[1] / 2, size_m[0] / 2))


def _bent(
    ends: NDArray[np.float64], style: Style, side_m: float, extent_m: float, rng: np.random.Generator
) -> NDArray[Any]:
    """Return the cuts as bent lines, each a little longer than its cut, so that it surely meets its neighbours."""
    wave_m = max(style.bend_length_m, 1.6 * side_m)
    bend_m = style.bend_m * rng.uniform(0.3, 1.2) * min(1.0, wave_m / style.bend_length_m, extent_m / wave_m * 2)
    step_m = side_m / 10
    slack_m = 0.02 * side_m + 3 * bend_m * (2 * math.pi / wave_m) ** 2 * step_m**2 / 8
    along = ends[:, 1] - ends[:, 0]
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    lines = shapely.segmentize(shapely.linestrings(ends + np.stack([-along, along], axis=1) * slack_m), step_m)
    waves = rng.normal(size=(4, 2)) * 2 * math.pi / wave_m / 1.4
    phases, ways = rng.uniform(0, 2 * math.pi, 4), rng.normal(size=(4, 2)) * bend_m / 2
    return np.asarray(shapely.transform(lines, lambda xy: xy + np.sin(xy @ waves.T + phases) @ ways))
