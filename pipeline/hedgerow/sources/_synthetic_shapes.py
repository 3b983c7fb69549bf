"""What is carved out of the land? Roads, hedges, water, yards, and the ragged outlines of woods (metres, x right, y down)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line to be painted, `width_m` wide, with a material."""

    material: str
    line: Any
    width_m: float


@dataclass(frozen=True, slots=True)
class Area:
    """A polygon to be painted with a material; `height_m` is what throws a shadow."""

    material: str
    polygon: Any
    height_m: float = 0.0


@dataclass(slots=True)
class Carved:
    """Everything that is neither field nor forest, while the layout grows."""

    strips: list[Any]
    strokes: list[Stroke]
    roads: NDArray[Any]
    areas: list[Area] = field(default_factory=list)
    stream: Any = None

    @classmethod
    def along(
        cls, lines: NDArray[Any], kinds: NDArray[Any], widths: NDArray[np.float64], rng: np.random.Generator
    ) -> Carved:
        """Carve a strip along every line that has a kind; roads and tracks get verges on both sides."""
        some = kinds != "none"
        verges = np.where(np.isin(kinds, ("road", "track")), widths * rng.uniform(0.2, 1.6, len(kinds)), 0.0)
        strips = shapely.buffer(
            lines[some], (widths + verges)[some] / 2, quad_segs=1, cap_style="square", join_style="mitre"
        )
        strokes = [
            Stroke(str(k), line, float(w)) for k, line, w in zip(kinds[some], lines[some], widths[some], strict=True)
        ]
        return cls(list(strips), strokes, lines[np.isin(kinds, ("road", "track"))])

    def add_water(self, stream: Any | None, extent_m: float, rng: np.random.Generator) -> None:
        """Carve a stream with its banks, and ponds."""
        if stream is not None:
            width_m = min(float(rng.uniform(1.5, 9.0)), 0.03 * extent_m)
            self.stream = stream
            self.strokes.append(Stroke("water", stream, width_m))
            self.strips.append(shapely.buffer(stream, width_m * rng.uniform(0.9, 2.0), quad_segs=2))
        for _ in range(rng.poisson(min(0.4 * max(extent_m / 600, 0.5) ** 2, 12.0))):
            radius_m = min(float(rng.uniform(6, 35)), 0.06 * extent_m)
            pond = blob(rng.uniform(0, extent_m, 2), radius_m, rng)
            self.areas.append(Area("water", pond))
            self.strips.append(shapely.buffer(pond, radius_m * rng.uniform(0.05, 0.3), quad_segs=2))

    def add_yard(self, parts: list[Area]) -> None:
        """Carve a farmyard: its ground first, then its buildings."""
        self.areas += parts
        self.strips += [a.polygon for a in parts]

    def everything(self) -> Any:
        """Return all that is carved out, as one geometry."""
        return shapely.union_all(np.array(self.strips, dtype=object)) if self.strips else shapely.Polygon()


def blob(centre: Any, radius_m: float, rng: np.random.Generator) -> Any:
    """Return a rounded polygon: an ellipse bent by a few harmonics."""
    angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    orders = np.arange(2, 6)
    phases, sizes = rng.uniform(0, 2 * math.pi, 4), rng.normal(0, 0.28, 4) / orders
    radii = radius_m * np.maximum(0.3, 1 + np.cos(angles[:, None] * orders + phases) @ sizes)
    stretch, turn = rng.uniform(0.45, 1.0), rng.uniform(0, math.pi)
    x, y = radii * np.cos(angles), radii * np.sin(angles) * stretch
    c, s = math.cos(turn), math.sin(turn)
    return shapely.Polygon(np.column_stack([centre[0] + c * x - s * y, centre[1] + s * x + c * y]))


def roughen(polygon: Any, step_m: float, rng: np.random.Generator) -> Any:
    """Return the polygon with an edge as ragged as crowns make it: vertices every `step_m`, each a little displaced."""
    fine = shapely.segmentize(polygon, step_m)

    def shake(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        noise = rng.normal(0, 1, xy.shape)
        slow = np.repeat(rng.normal(0, 1, (len(xy) // 6 + 1, 2)), 6, axis=0)[: len(xy)]
        moved: NDArray[np.float64] = xy + step_m * (0.33 * noise + 0.5 * slow)
        moved[-1] = moved[0]
        return moved

    rings = [shapely.Polygon(shake(shapely.get_coordinates(p.exterior))) for p in shapely.get_parts(fine)]
    return shapely.buffer(shapely.union_all(shapely.make_valid(np.array(rings, dtype=object))), 0)


def meander(extent_m: float, rng: np.random.Generator) -> Any:
    """Return a winding line across the scene."""
    t = np.linspace(-0.3, 1.3, 90)
    turn = rng.uniform(0, 2 * math.pi)
    off = rng.uniform(-0.35, 0.35) * extent_m
    sway = sum(rng.normal(0, 0.05) / k * np.sin(2 * math.pi * k * 1.3 * t + rng.uniform(0, 6.3)) for k in (1, 2, 4, 7))
    u, v = (t - 0.5) * extent_m * 1.5, off + sway * extent_m
    c, s = math.cos(turn), math.sin(turn)
    return shapely.LineString(np.column_stack([0.5 * extent_m + c * u - s * v, 0.5 * extent_m + s * u + c * v]))


def yard(roads: NDArray[Any], extent_m: float, rng: np.random.Generator) -> list[Area]:
    """Return a farmyard at a random place of a random road: ground, then buildings (polygons along the road)."""
    road = roads[rng.integers(len(roads))]
    at = rng.uniform(0, road.length)
    (ax, ay), (bx, by) = (road.interpolate(d).coords[0] for d in (at, at + 1.0 if at + 1 < road.length else at - 1.0))
    turn, side = math.atan2(by - ay, bx - ax), rng.choice([-1.0, 1.0])
    size_m = min(float(rng.uniform(45, 110)), 0.2 * extent_m)
    place = _Placer(ax, ay, turn, float(side))
    ground = [Area("lawn", place.box(0, 0.5 * size_m, size_m * rng.uniform(0.7, 1.4), size_m))]
    ground.append(Area("yard", place.box(0, 0.4 * size_m, 0.5 * size_m, 0.7 * size_m)))
    roofs = ("roof_white", "roof_grey", "roof_red", "roof_brown", "roof_blue")
    for _ in range(rng.integers(2, 8)):
        u, v = rng.uniform(-0.4, 0.4) * size_m, rng.uniform(0.2, 0.85) * size_m
        w, h = size_m * rng.uniform(0.08, 0.34), size_m * rng.uniform(0.07, 0.17)
        inside = place.box(u, v, w, h).intersection(ground[0].polygon)
        if not inside.is_empty:
            ground.append(Area(str(rng.choice(roofs, p=(0.3, 0.3, 0.15, 0.15, 0.1))), inside, float(rng.uniform(4, 9))))
    return ground


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
