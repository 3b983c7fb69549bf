"""How long, how large, how fine? Geodesic lengths and areas, and metres per pixel, in any CRS.

Lengths are sums of geodesics (pyproj.Geod). Areas are sums over edges as well: each edge sweeps a triangle between
itself and the north pole, on the sphere that has the ellipsoid's areas. So a line that two polygons share is measured
once, and the areas of both are sums of what was measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Transformer

from hedgerow.errors import GeometryError

# A straight line in a projected plane is no geodesic: cut longer edges before measuring them.
# At 60 degrees north an east-west edge of 2 km bows by 0.14 m, far below 0.1 % of its field.
_LONGEST_EDGE_M = 2_000.0
_METRES_PER_DEGREE = 111_320.0
_LEAST_ECCENTRICITY = 1e-9  # a sphere's formulas below this one

Floats = NDArray[np.float64]
Offsets = NDArray[np.int64]


@dataclass(frozen=True)
class LineMeasures:
    """What lines (n,) measure: the sums around a ring, lines walked backwards counted negative, tell its area.

    `length_m`; `swept_m2`, the area between a line and the north pole, positive eastwards; `turn_rad`, how far it
    leads around the pole. `earth_m2` is the area of the whole ellipsoid.
    """

    length_m: Floats
    swept_m2: Floats
    turn_rad: Floats
    earth_m2: float

    def ring_areas_m2(self, swept_m2: Floats, turn_rad: Floats) -> Floats:
        """Return the areas that rings enclose; a ring around a pole encloses the pole that is nearer."""
        area = np.abs(swept_m2)
        return np.where(np.abs(turn_rad) > np.pi, np.minimum(area, self.earth_m2 - area), area)


def pixel_size_m(geobox: GeoBox) -> tuple[float, float]:
    """Return (height, width) in metres of the pixel at the raster's centre, along the pixel axes.

    Raises:
        GeometryError: the grid has no CRS, or one in which its pixels have no size on earth.
    """
    crs = _crs_of(geobox)
    rows, cols = geobox.shape
    a = geobox.transform
    corners = [a @ (cols / 2 + dx, rows / 2 + dy) for dy, dx in ((-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5))]
    xs, ys = zip(*corners, strict=True)
    lon, lat = _to_degrees(crs).transform(xs, ys)
    if not np.isfinite(lon).all() or not np.isfinite(lat).all():
        raise GeometryError(f"the raster's centre has no place on earth in {crs.to_string()}: check its CRS")
    _, _, height = _geod(crs).inv(lon[0], lat[0], lon[1], lat[1])
    _, _, width = _geod(crs).inv(lon[2], lat[2], lon[3], lat[3])
    if not (np.isfinite((height, width)).all() and height > 0 and width > 0):
        raise GeometryError(
            f"a pixel at the raster's centre (longitude {lon[0]:.6g}, latitude {lat[0]:.6g} in {crs.to_string()}) "
            f"measures {height:g} x {width:g} m: check its CRS and geotransform"
        )
    return float(height), float(width)


def ground_sampling_distance_m(geobox: GeoBox) -> float:
    """Return one number for the fineness of a grid: the geometric mean of its pixel's sides, in metres."""
    height, width = pixel_size_m(geobox)
    return float(np.sqrt(height * width))


def areas_and_perimeters_m(
    geometries: Sequence[Any] | NDArray[Any], crs: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return geodesic areas (m2, holes taken out) and perimeters (m, holes included) of polygons in `crs`."""
    polygons, owner = shapely.get_parts(np.asarray(geometries, dtype=object), return_index=True)
    rings, polygon = shapely.get_rings(polygons, return_index=True)
    measured = line_measures(*_points_of(rings), crs)
    area = measured.ring_areas_m2(measured.swept_m2, measured.turn_rad)
    hole = np.diff(polygon, prepend=-1) == 0
    count = len(geometries)
    return _added(owner[polygon], np.where(hole, -area, area), count), _added(owner[polygon], measured.length_m, count)


def lengths_m(geometries: Sequence[Any] | NDArray[Any], crs: Any) -> NDArray[np.float64]:
    """Return geodesic lengths (m) of lines in `crs`."""
    lines, owner = shapely.get_parts(np.asarray(geometries, dtype=object), return_index=True)
    return _added(owner, line_measures(*_points_of(lines), crs).length_m, len(geometries))


def line_measures(points: Floats, offsets: Offsets, crs: Any) -> LineMeasures:
    """Measure lines of any CRS.

    Args:
        points: (n, 2) x and y; line i owns `points[offsets[i]:offsets[i + 1]]`, two points at least.
        offsets: (lines + 1,).
        crs: what the points are in.

    The areas are those of geodesics to 1e-6 of the area between an edge and its chord. Source: great circles of the
    authalic sphere (Snyder 1987, eq. 3-11 and 3-12), their spherical excess with the pole (Todhunter 1886, art. 103).
    """
    plane = CRS.from_user_input(crs)
    geod = _geod(plane)
    sphere = _Authalic(geod.a, float(np.sqrt(max(geod.es, 0.0))))
    if len(offsets) < 2:
        none = np.zeros(0)
        return LineMeasures(none, none, none, sphere.earth_m2)
    unit_m = _METRES_PER_DEGREE if plane.is_geographic else plane.axis_info[0].unit_conversion_factor
    xy, starts = _cut(points, offsets, _LONGEST_EDGE_M / unit_m)
    lon, lat = _to_degrees(plane).transform(xy[:, 0], xy[:, 1])
    _, _, length = geod.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    turn = np.radians(_eastwards(lon))
    swept = sphere.swept_m2(np.radians(lat), turn)
    return LineMeasures(_sums(length, starts), _sums(swept, starts), _sums(turn, starts), sphere.earth_m2)


def crs_units_per_metre(geobox: GeoBox) -> float:
    """Return how many CRS units make a metre at the raster's centre (the factor for tolerances given in metres)."""
    a = geobox.transform
    side = float(np.sqrt(abs(a.a * a.e - a.b * a.d)))
    return side / ground_sampling_distance_m(geobox)


def _crs_of(geobox: GeoBox) -> CRS:
    if geobox.crs is None:
        raise GeometryError("the raster has no CRS: assign one first (for instance `rio edit-info --crs EPSG:XXXX`)")
    return CRS.from_user_input(str(geobox.crs))


@lru_cache(maxsize=64)  # 7 ms each; pyproj keeps one per thread inside
def _to_degrees(crs: CRS) -> Transformer:
    """Return the way to degrees east of Greenwich on the CRS's own ellipsoid.

    Not to `crs.geodetic_crs`: that of the old French grids counts in grads, that of a rotated pole is itself.
    """
    ellipsoid = crs.ellipsoid
    if ellipsoid is None:
        raise GeometryError(f"{crs.to_string()} is no CRS on the earth: assign a geographic or projected one")
    degrees = {"proj": "longlat", "a": ellipsoid.semi_major_metre, "b": ellipsoid.semi_minor_metre}
    return Transformer.from_crs(crs, CRS.from_dict(degrees), always_xy=True)


def _geod(crs: CRS) -> Geod:
    geod = crs.get_geod()
    return geod if geod is not None else Geod(ellps="WGS84")


@dataclass(frozen=True)
class _Authalic:
    """The sphere that has the areas of an ellipsoid with this semi-major axis and eccentricity."""

    semi_major_m: float
    eccentricity: float

    @property
    def earth_m2(self) -> float:
        """Area of the ellipsoid."""
        return 2 * np.pi * self.semi_major_m**2 * float(self._q(np.ones(1))[0])

    def swept_m2(self, latitude: Floats, turn: Floats) -> Floats:
        """Return the areas (n - 1,) between consecutive points and the north pole, positive eastwards; radians."""
        pole = self._q(np.ones(1))[0]
        sine = np.clip(self._q(np.sin(latitude)) / pole, -1.0, 1.0)
        near, far = np.sqrt((1 - sine) / 2), np.sqrt((1 + sine) / 2)  # sine and cosine of half the polar distance
        both, rest = near[:-1] * near[1:], far[:-1] * far[1:]
        excess = 2 * np.arctan2(both * np.sin(turn), rest + both * np.cos(turn))
        return np.asarray(excess * self.semi_major_m**2 * pole / 2, np.float64)

    def _q(self, sine: Floats) -> Floats:
        e = self.eccentricity
        if e < _LEAST_ECCENTRICITY:
            return 2 * sine
        return np.asarray((1 - e * e) * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e), np.float64)


def _eastwards(lon: Floats) -> Floats:
    """Degrees from each longitude to the next, the short way; across the antimeridian without a rounding."""
    here, there = lon[:-1], lon[1:]
    step = there - here
    over = (180.0 - np.abs(here)) + (180.0 - np.abs(there))
    return np.where(np.abs(step) > 180.0, np.where(step < 0, over, -over), step)


def _points_of(lines: NDArray[Any]) -> tuple[Floats, Offsets]:
    counts = shapely.get_num_coordinates(lines)
    return shapely.get_coordinates(lines), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _cut(points: Floats, offsets: Offsets, longest: float) -> tuple[Floats, Offsets]:
    """Put points into edges longer than `longest`, at equal distances."""
    step = np.diff(points, axis=0, append=points[-1:])
    step[offsets[1:] - 1] = 0
    pieces = np.maximum(np.ceil(np.hypot(step[:, 0], step[:, 1]) / longest), 1).astype(np.int64)
    if (pieces == 1).all():
        return points, offsets
    first = np.concatenate([[0], np.cumsum(pieces)])
    share = (np.arange(first[-1]) - np.repeat(first[:-1], pieces)) / np.repeat(pieces, pieces)
    return np.repeat(points, pieces, axis=0) + share[:, None] * np.repeat(step, pieces, axis=0), first[offsets]


def _added(owner: NDArray[np.int64], values: Floats, count: int) -> Floats:
    return np.asarray(np.bincount(owner, values, count), np.float64)


def _sums(edges: Floats, offsets: Offsets) -> Floats:
    """Sum the edges of each line; the edge from the end of one to the start of the next does not count."""
    own = np.append(edges, 0.0)
    own[offsets[1:] - 1] = 0.0
    return np.add.reduceat(own, offsets[:-1])
