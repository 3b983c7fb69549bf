"""What is carved out of the land? Roads, hedges, water, yards, and the ragged outlines of woods.

All in metres, x to the right, y down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from hedgerow.sources._synthetic_texture import fractal_noise


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line to be painted, `width_m` wide, with a material."""

    material: str
    line: Any
    width_m: float


@dataclass(frozen=True, slots=True)
class Area:
    """A polygon to be painted with a material."""

    material: str
    polygon: Any


@dataclass(slots=True)
class Carved:
    """Everything that is neither field nor forest, while the layout grows.

    `hard` polygons (roads, water, yards) cut through woods, `soft` ones (margins, hedges, bunds) end at them.
    """

    hard: list[Any]
    soft: list[Any]
    strokes: list[Stroke]
    roads: NDArray[Any]
    areas: list[Area] = field(default_factory=list)
    marks: list[Stroke] = field(default_factory=list)
    """What is painted over fields and cuts none of them."""
    stream: Any = None

    @classmethod
    def along(
        cls, lines: NDArray[Any], kinds: NDArray[Any], widths: NDArray[np.float64], rng: np.random.Generator
    ) -> Carved:
        """Carve a strip along every line that has a kind; roads and tracks get verges on both sides."""
        some = kinds != "none"
        lines, kinds, widths = lines[some], kinds[some], widths[some]
        passable = np.isin(kinds, ("road", "track"))
        verges = widths * np.where(kinds == "road", rng.uniform(0.3, 2.6, len(kinds)), rng.uniform(0.1, 1.2))
        full = widths + np.where(passable, verges, 0.0)
        strips = shapely.buffer(lines, full / 2, quad_segs=1, cap_style="square", join_style="mitre")
        paving = rng.choice(("gravel", "asphalt", "concrete"), p=rng.dirichlet((1.0, 1.0, 0.5)), size=len(kinds))
        materials = np.where(kinds == "road", paving, kinds)
        strokes = [Stroke(str(m), line, float(w)) for m, line, w in zip(materials, lines, widths, strict=True)]
        return cls(list(strips[passable]), list(strips[~passable]), strokes, lines[passable])

    def add_stream(self, line: Any, width_m: float, rng: np.random.Generator) -> None:
        """Carve a stream with its banks."""
        self.stream = line
        self.strokes.append(Stroke("water", line, width_m))
        self.hard.append(shapely.buffer(line, width_m * rng.uniform(0.9, 2.0), quad_segs=2))

    def add_pond(self, pond: Any, bank_m: float) -> None:
        """Carve a pond with its bank."""
        self.areas.append(Area("water", pond))
        self.hard.append(shapely.buffer(pond, bank_m, quad_segs=2))

    def add_waterway(self, line: Any, width_m: float, *, cuts: bool) -> None:
        """Carve a strip of grass that drains a field, or only paint it: then it belongs to the field."""
        stroke = Stroke("margin", line, width_m)
        if not cuts:
            self.marks.append(stroke)
            return
        self.strokes.append(stroke)
        self.soft.append(shapely.buffer(line, width_m / 2, quad_segs=2))

    def add_yard(self, parts: list[Area]) -> None:
        """Carve a farmyard: its ground first, then its buildings."""
        self.areas += parts
        self.hard += [a.polygon for a in parts]

    def everything(self, forest: Any) -> Any:
        """Return all that is carved out, as one geometry."""
        hard, soft = (shapely.union_all(np.array(g, dtype=object)) for g in (self.hard, self.soft))
        return shapely.union(hard, shapely.difference(soft, forest))


def blob(centre: Any, radius_m: float, rng: np.random.Generator) -> Any:
    """Return a rounded polygon: an ellipse bent by a few harmonics."""
    angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    orders = np.arange(2, 8)
    phases, sizes = rng.uniform(0, 2 * math.pi, 6), rng.normal(0, 0.34, 6) / orders
    radii = radius_m * np.maximum(0.3, 1 + np.cos(angles[:, None] * orders + phases) @ sizes)
    stretch, turn = rng.uniform(0.35, 1.0), rng.uniform(0, math.pi)
    x, y = radii * np.cos(angles), radii * np.sin(angles) * stretch
    c, s = math.cos(turn), math.sin(turn)
    return shapely.Polygon(np.column_stack([centre[0] + c * x - s * y, centre[1] + s * x + c * y])).buffer(0)


def noisy_masses(frame: Any, share: float, rng: np.random.Generator) -> list[Any]:
    """Return polygons over about `share` of the frame: where a fractal noise is high, as woods on rough ground."""
    left, top, right, bottom = frame.bounds
    cells = 128
    noise = fractal_noise((cells, cells), cells * rng.uniform(0.2, 0.7), 3.0, 1.1, rng)
    mask = (noise > np.quantile(noise, 1 - share)).astype(np.uint8)
    rings, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    scale = np.array([(right - left), (bottom - top)]) / (cells - 1) * 1.04
    shapes = [
        shapely.Polygon(r[:, 0] * scale + (left, top) - 0.02 * scale * cells).buffer(0) for r in rings if len(r) > 5
    ]
    nested = [n[3] >= 0 for r, n in zip(rings, tree[0], strict=True) if len(r) > 5] if len(rings) else []
    holes = shapely.union_all([s for s, hole in zip(shapes, nested, strict=True) if hole])
    return [shapely.difference(s, holes) for s, hole in zip(shapes, nested, strict=True) if not hole]


def roughen(polygon: Any, ragged_m: float, rng: np.random.Generator) -> Any:
    """Return the polygon with an edge as ragged as crowns make it: displaced by waves of about `ragged_m` and more."""
    fine = shapely.segmentize(shapely.simplify(polygon, 0.5 * ragged_m), ragged_m)
    lengths_m = ragged_m * np.array([2.5, 2.5, 3.5, 3.5, 5, 5, 8, 8, 13, 13])
    turns, phases = rng.uniform(0, 2 * math.pi, 10), rng.uniform(0, 2 * math.pi, 10)
    waves = 2 * math.pi / lengths_m * np.array([np.cos(turns), np.sin(turns)])
    ways = rng.normal(size=(10, 2)) * ragged_m * 0.22 * np.sqrt(lengths_m / lengths_m[0])[:, None]
    return shapely.buffer(shapely.transform(fine, lambda xy: xy + np.sin(xy @ waves + phases) @ ways), 0)


def meander(extent_m: float, length: float, rng: np.random.Generator) -> Any:
    """Return a winding line `length` times as long as the scene, somewhere in it."""
    t = np.linspace(-0.5, 0.5, 90) * length
    sway = sum(rng.normal(0, 0.05) / k * np.sin(2 * math.pi * k * 1.3 * t + rng.uniform(0, 6.3)) for k in (1, 2, 4, 7))
    turn, start = rng.uniform(0, 2 * math.pi), rng.uniform(0.15, 0.85, 2)
    c, s = math.cos(turn), math.sin(turn)
    return shapely.LineString(extent_m * (start + np.column_stack([c * t - s * sway, s * t + c * sway])))


def yard(roads: NDArray[Any], extent_m: float, rng: np.random.Generator) -> list[Area]:
    """Return a farmyard at a random place of a random road: lawn, yard, then buildings along the road."""
    road = roads[rng.integers(len(roads))]
    at = rng.uniform(0, road.length)
    (ax, ay), (bx, by) = (road.interpolate(d).coords[0] for d in (at, at + 1.0 if at + 1 < road.length else at - 1.0))
    turn, side = math.atan2(by - ay, bx - ax), float(rng.choice([-1.0, 1.0]))
    size_m = min(float(rng.uniform(45, 130)), 0.2 * extent_m)
    place = _Placer(ax, ay, turn, side)
    lawn = place.box(0, 0.5 * size_m, size_m * rng.uniform(0.7, 1.5), size_m)
    parts = [Area("lawn", lawn), Area("yard", place.box(0, 0.4 * size_m, rng.uniform(0.2, 0.5) * size_m, 0.7 * size_m))]
    roofs = ("roof_white", "roof_grey", "roof_red", "roof_brown", "roof_blue")
    for _ in range(rng.integers(2, 9)):
        u, v = rng.uniform(-0.4, 0.4) * size_m, rng.uniform(0.2, 0.85) * size_m
        length_m, width_m = size_m * rng.uniform(0.08, 0.30), size_m * rng.uniform(0.07, 0.15)
        house = place.box(u, v, length_m, width_m).intersection(lawn)
        if not house.is_empty:
            parts.append(Area(str(rng.choice(roofs, p=(0.3, 0.32, 0.15, 0.15, 0.08))), house))
    return parts


@dataclass(frozen=True, slots=True)
class _Placer:
    """Boxes in the frame of a road: u along it, v away from it."""

    x: float
    y: float
    turn: float
    side: float

    def box(self, u: float, v: float, width: float, height: float) -> Any:
        c, s = math.cos(self.turn), math.sin(self.turn)
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (width / 2, height / 2) + (u, v)
        corners[:, 1] *= self.side
        return shapely.Polygon(np.column_stack([self.x + corners @ (c, -s), self.y + corners @ (s, c)]))
