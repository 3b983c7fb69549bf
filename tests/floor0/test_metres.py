"""Metres: pixel sizes, areas and lengths on the ellipsoid, against hand formulas and the geodesic itself."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Transformer

from hedgerow.errors import GeometryError
from hedgerow.geo.metres import (
    areas_and_perimeters_m,
    crs_units_per_metre,
    ground_sampling_distance_m,
    lengths_m,
    line_measures,
    pixel_size_m,
)

A, F = 6378137.0, 1 / 298.257223563  # WGS 84
E2 = F * (2 - F)
WGS84 = Geod(ellps="WGS84")
LATITUDES = [0.0, 48.0, 60.0]


def radii_m(latitude: float) -> tuple[float, float]:
    """Meridian and prime-vertical radius of curvature (Torge, Geodesy, eq. 4.13 and 4.14)."""
    w2 = 1 - E2 * math.sin(math.radians(latitude)) ** 2
    return A * (1 - E2) / w2**1.5, A / math.sqrt(w2)


def centred(crs: str, x: float, y: float, transform: Affine, side: int = 11) -> GeoBox:
    """A raster whose middle pixel's centre lies at (x, y); `transform` is its linear part."""
    moved = Affine.translation(x, y) @ transform @ Affine.translation(-side / 2, -side / 2)
    return GeoBox((side, side), moved, crs)


@pytest.mark.parametrize("latitude", LATITUDES)
def test_pixels_in_degrees_shrink_eastwards_with_the_latitude(latitude: float) -> None:
    step = 1e-5
    height, width = pixel_size_m(centred("EPSG:4326", 11.0, latitude, Affine.scale(step, -step)))
    meridian, vertical = radii_m(latitude)
    assert height == pytest.approx(math.radians(step) * meridian, rel=1e-6)
    assert width == pytest.approx(math.radians(step) * vertical * math.cos(math.radians(latitude)), rel=1e-6)


@pytest.mark.parametrize("latitude", LATITUDES)
def test_web_mercator_pixels_are_smaller_than_they_say(latitude: float) -> None:
    # Spherical Mercator stretches by 1 / cos(latitude) on a sphere of radius A, so 1 unit is cos(latitude) x R / A.
    x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform(11.0, latitude)
    height, width = pixel_size_m(centred("EPSG:3857", x, y, Affine.scale(10, -10)))
    meridian, vertical = radii_m(latitude)
    shrink = math.cos(math.radians(latitude))
    assert height == pytest.approx(10 * shrink * meridian / A, rel=1e-6)
    assert width == pytest.approx(10 * shrink * vertical / A, rel=1e-6)


@pytest.mark.parametrize("latitude", LATITUDES)
@pytest.mark.parametrize("off_deg", [0.0, 2.0])
def test_utm_pixels_follow_the_scale_of_the_projection(latitude: float, off_deg: float) -> None:
    # Point scale of the transverse Mercator: 0.9996 (1 + dlon^2 cos^2(lat) (1 + eta^2) / 2), Snyder 1987 eq. 8-11.
    x, y = Transformer.from_crs(4326, 32632, always_xy=True).transform(9 + off_deg, latitude)
    dlon, cos2 = math.radians(off_deg), math.cos(math.radians(latitude)) ** 2
    scale = 0.9996 * (1 + dlon**2 * cos2 * (1 + E2 / (1 - E2) * cos2) / 2)
    height, width = pixel_size_m(centred("EPSG:32632", x, y, Affine.scale(10, -10)))
    assert (height, width) == pytest.approx((10 / scale, 10 / scale), rel=2e-6)


@pytest.mark.parametrize("turn_deg", [30.0, 90.0, 200.0])
def test_a_rotated_grid_is_measured_along_its_own_axes(turn_deg: float) -> None:
    # On the central meridian of UTM every direction has scale 0.9996: sides of 2 and 5 units, however they are turned.
    x, y = Transformer.from_crs(4326, 32632, always_xy=True).transform(9, 48)
    turned = Affine.rotation(turn_deg) @ Affine.scale(5, -2)
    assert pixel_size_m(centred("EPSG:32632", x, y, turned)) == pytest.approx((2 / 0.9996, 5 / 0.9996), rel=1e-6)


def test_a_grid_rotated_in_degrees_mixes_both_axes() -> None:
    step, turn, latitude = 1e-5, math.radians(30), 60.0
    box = centred("EPSG:4326", 11.0, latitude, Affine.rotation(30) @ Affine.scale(step, -step))
    meridian, vertical = radii_m(latitude)
    north, east = math.radians(step) * meridian, math.radians(step) * vertical * math.cos(math.radians(latitude))
    along_x = math.hypot(east * math.cos(turn), north * math.sin(turn))
    along_y = math.hypot(east * math.sin(turn), north * math.cos(turn))
    assert pixel_size_m(box) == pytest.approx((along_y, along_x), rel=1e-6)


def test_south_up_pixels_have_the_size_of_north_up_ones() -> None:
    down = pixel_size_m(centred("EPSG:4326", 11, 48, Affine.scale(1e-4, -1e-4)))
    assert pixel_size_m(centred("EPSG:4326", 11, 48, Affine.scale(1e-4, 1e-4))) == pytest.approx(down, rel=1e-9)


@pytest.mark.parametrize(
    ("crs", "x", "y", "unit_m", "distortion"),
    [
        ("EPSG:2263", 985000, 200000, 0.3048006096, 1e-4),  # New York, US survey feet
        ("EPSG:27572", 600000, 2400000, 1.0, 4e-4),  # Lambert II étendu: its degrees are grads from Paris
        ("EPSG:2056", 2600000, 1200000, 1.0, 1e-5),  # Switzerland, at the projection's origin
        ("EPSG:7415", 155000, 463000, 1.0, 2e-4),  # Netherlands with heights, a compound CRS
    ],
)
def test_units_other_than_metres_and_degrees_are_known(
    crs: str, x: float, y: float, unit_m: float, distortion: float
) -> None:
    # National grids keep lengths to their stated distortion near their middle.
    box = centred(crs, x, y, Affine.scale(1, -1))
    assert pixel_size_m(box) == pytest.approx((unit_m, unit_m), rel=distortion)
    (side,) = lengths_m([shapely.LineString([(x, y), (x + 100, y)])], crs)
    assert side == pytest.approx(100 * unit_m, rel=distortion)


def test_the_ground_sampling_distance_is_the_geometric_mean_of_the_sides() -> None:
    x, y = Transformer.from_crs(4326, 32632, always_xy=True).transform(9, 48)
    box = centred("EPSG:32632", x, y, Affine.scale(8, -2))
    assert ground_sampling_distance_m(box) == pytest.approx(4 / 0.9996, rel=1e-6)
    # 4 CRS units are 4 / 0.9996 m.
    assert crs_units_per_metre(box) == pytest.approx(0.9996, rel=1e-6)


@pytest.mark.parametrize(
    ("crs", "transform", "what"),
    [
        (None, Affine.scale(1, -1), "no CRS"),
        ('LOCAL_CS["plan",UNIT["metre",1]]', Affine.scale(1, -1), "no CRS on the earth"),
        (
            "EPSG:4326",
            Affine.translation(500000, 6000000) @ Affine.scale(10, -10),
            "check its CRS",
        ),  # metres as degrees
        ("EPSG:32632", Affine.translation(5e5, 6e6) @ Affine.scale(0, -10), "check its CRS"),
    ],
)
def test_a_grid_without_a_size_on_earth_is_refused(crs: str | None, transform: Affine, what: str) -> None:
    with pytest.raises(GeometryError, match=what):
        pixel_size_m(GeoBox((10, 10), transform, crs))


@pytest.mark.parametrize("latitude", LATITUDES)
def test_areas_are_those_of_the_ellipsoid(latitude: float) -> None:
    # A cell of 0.01 x 0.01 degrees: authalic latitude integral (Snyder 1987 eq. 3-12) gives its area in closed form.
    def q(lat: float) -> float:
        s, e = math.sin(math.radians(lat)), math.sqrt(E2)
        return (1 - E2) * (s / (1 - E2 * s * s) + math.atanh(e * s) / e)

    expected = A**2 / 2 * math.radians(0.01) * (q(latitude + 0.01) - q(latitude))
    (area,), _ = areas_and_perimeters_m([shapely.box(11, latitude, 11.01, latitude + 0.01)], "EPSG:4326")
    # The upper and lower sides are parallels; cut every 2 km they bow less than 1e-6 of the area.
    assert area == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:32632", "EPSG:3035"])
def test_the_same_field_has_the_same_area_and_perimeter_in_every_crs(crs: str) -> None:
    ring = [(11.0, 48.0), (11.004, 48.001), (11.005, 48.004), (11.001, 48.003)]
    there = Transformer.from_crs(4326, crs, always_xy=True)
    area, perimeter = WGS84.polygon_area_perimeter(*zip(*ring, strict=True))
    areas, perimeters = areas_and_perimeters_m([shapely.Polygon([there.transform(*p) for p in ring])], crs)
    # Straight sides of 400 m in two CRSs part by less than a millimetre.
    assert areas[0] == pytest.approx(abs(area), rel=1e-5)
    assert perimeters[0] == pytest.approx(perimeter, rel=1e-6)


def test_holes_are_taken_out_of_the_area_and_added_to_the_perimeter() -> None:
    # At the centre of UTM the scale is 0.9996: 100 m x 100 m with a hole of 20 m x 20 m, either way round.
    x, y = Transformer.from_crs(4326, 32632, always_xy=True).transform(9, 48)
    outer, hole = shapely.box(x, y, x + 100, y + 100), shapely.box(x + 40, y + 40, x + 60, y + 60)
    ring = list(hole.exterior.coords)
    for inner in (ring, ring[::-1]):
        areas, perimeters = areas_and_perimeters_m([shapely.Polygon(outer.exterior, [inner])], "EPSG:32632")
        assert areas[0] == pytest.approx((10_000 - 400) / 0.9996**2, rel=1e-6)
        assert perimeters[0] == pytest.approx((400 + 80) / 0.9996, rel=1e-6)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_lengths_are_geodesics_between_vertices(crs: str) -> None:
    points = [(11.0, 60.0), (11.01, 60.0), (11.01, 60.01)]
    there = Transformer.from_crs(4326, crs, always_xy=True)
    line = shapely.LineString([there.transform(*p) for p in points])
    (length,) = lengths_m([line], crs)
    expected = sum(WGS84.inv(*a, *b)[2] for a, b in pairwise(points))
    assert length == pytest.approx(expected, rel=1e-7)


def test_a_long_line_in_a_plane_is_measured_where_it_lies() -> None:
    # A parallel in degrees is no geodesic: 10 degrees along 60 north are vertical radius x cos x dlon, 0.4 % longer.
    (length,) = lengths_m([shapely.LineString([(0, 60), (10, 60)])], "EPSG:4326")
    along = radii_m(60)[1] * math.cos(math.radians(60)) * math.radians(10)
    assert length == pytest.approx(along, rel=1e-6)
    assert WGS84.inv(0, 60, 10, 60)[2] < along * (1 - 9e-4)


def plane_at(latitude: float, longitude: float) -> CRS:
    """Metres east and north of a place on WGS 84, true in its middle."""
    return CRS.from_dict({"proj": "aeqd", "lat_0": latitude, "lon_0": longitude, "ellps": "WGS84"})


def ring_of(size_m: float, rng: np.random.Generator) -> Any:
    """Return seven corners, and the first again, at random distances around the middle of a plane: (8, 2)."""
    angle, distance = np.sort(rng.uniform(0, 2 * np.pi, 7)), rng.uniform(0.3, 1, 7) * size_m
    return np.column_stack([np.cos(angle) * distance, np.sin(angle) * distance])[[*range(7), 0]]


@pytest.mark.parametrize("latitude", [0.0, 48.0, 60.0, -33.0, 80.0, 89.999, -89.99])
@pytest.mark.parametrize("size_m", [30.0, 900.0])
@pytest.mark.parametrize("longitude", [9.0, 180.0])
def test_areas_and_lengths_are_those_of_geodesics(latitude: float, longitude: float, size_m: float) -> None:
    # Corners nearer than 2 km are joined by one geodesic here and there; poles and the antimeridian lie inside.
    plane, rng = plane_at(latitude, longitude), np.random.default_rng(1)
    to_degrees = Transformer.from_crs(plane, 4326, always_xy=True)
    for _ in range(20):
        ring = ring_of(size_m, rng)
        expected, around = WGS84.polygon_area_perimeter(*to_degrees.transform(*ring[:-1].T))
        measured = line_measures(ring, np.array([0, 8]), plane)
        (area,) = measured.ring_areas_m2(measured.swept_m2, measured.turn_rad)
        # Both are sums of areas as large as the earth's, around the south pole most of all: that much is rounding.
        assert area == pytest.approx(abs(expected), rel=1e-6, abs=1e-3 if abs(latitude) < 89 else 1)
        assert measured.length_m[0] == pytest.approx(around, rel=1e-9)


def test_lines_add_up_to_rings() -> None:
    plane, ring = plane_at(48, 9), ring_of(900, np.random.default_rng(2))
    whole = line_measures(ring, np.array([0, 8]), plane)
    parts = line_measures(np.concatenate([ring[:4], ring[:2:-1]]), np.array([0, 4, 9]), plane)  # the second backwards
    assert parts.length_m.sum() == pytest.approx(whole.length_m[0], rel=1e-12)
    assert parts.swept_m2 @ [1, -1] == pytest.approx(whole.swept_m2[0], rel=1e-9)


def test_the_whole_earth_and_its_parts_have_their_areas() -> None:
    # The surface of an oblate ellipsoid (Snyder 1987, eq. 3-12 at the pole).
    e = math.sqrt(E2)
    earth = 2 * math.pi * A**2 * (1 + (1 - E2) / e * math.atanh(e))
    world, north = shapely.box(-180, -90, 180, 90), shapely.box(-180, 0, 180, 90)
    areas, _ = areas_and_perimeters_m([world, north], 4326)
    assert areas.tolist() == pytest.approx([earth, earth / 2], rel=1e-9)
    for pole in (3413, 3031):  # a cap of 10 degrees around each pole, in polar stereographic metres
        to = Transformer.from_crs(4326, pole, always_xy=True)
        edge = 80 if pole == 3413 else -80
        round_cap = shapely.Polygon([to.transform(lon, edge) for lon in np.arange(0, 360, 0.1)])
        s = math.sin(math.radians(80))
        below = A**2 * math.pi * (1 - E2) * (s / (1 - E2 * s * s) + math.atanh(e * s) / e)
        (area,), _ = areas_and_perimeters_m([round_cap], pole)
        assert area == pytest.approx(earth / 2 - below, rel=1e-5)


def test_a_sphere_is_an_ellipsoid_as_well() -> None:
    (area,), (perimeter,) = areas_and_perimeters_m([shapely.box(0, 0, 1, 1)], "+proj=longlat +R=6371000")
    assert area == pytest.approx(6371000**2 * math.radians(1) * math.sin(math.radians(1)), rel=1e-7)
    assert perimeter == pytest.approx(6371000 * math.radians(1) * (3 + math.cos(math.radians(1))), rel=1e-7)


def test_several_parts_count_together() -> None:
    x, y = Transformer.from_crs(4326, 32632, always_xy=True).transform(9, 48)
    parts = shapely.MultiPolygon([shapely.box(x, y, x + 10, y + 10), shapely.box(x + 20, y, x + 30, y + 10)])
    lines = shapely.MultiLineString([[(x, y), (x + 10, y)], [(x + 20, y), (x + 30, y)]])
    areas, perimeters = areas_and_perimeters_m([parts, parts.geoms[0]], 32632)
    assert areas.tolist() == pytest.approx([200 / 0.9996**2, 100 / 0.9996**2], rel=1e-6)
    assert perimeters.tolist() == pytest.approx([80 / 0.9996, 40 / 0.9996], rel=1e-6)
    assert lengths_m([lines, lines.geoms[0]], 32632).tolist() == pytest.approx([20 / 0.9996, 10 / 0.9996], rel=1e-6)


def test_small_pixels_far_from_greenwich_keep_their_digits() -> None:
    # 1 m2 at 48 degrees north on the edge of UTM zone 1: the sums run to 1e13 m2, and nothing may be lost on the way.
    x, y = Transformer.from_crs(4326, 32601, always_xy=True).transform(-177, 48)
    (area,), _ = areas_and_perimeters_m([shapely.box(x, y, x + 1, y + 1)], 32601)
    assert area == pytest.approx(1 / 0.9996**2, rel=1e-5)


@pytest.mark.parametrize("measure", [areas_and_perimeters_m, lengths_m])
def test_nothing_measures_nothing(measure: Any) -> None:
    assert np.size(measure([], "EPSG:32632")) == 0
