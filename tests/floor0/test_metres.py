"""Metres: pixel sizes, areas and lengths on the ellipsoid, against hand formulas and the geodesic itself."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer

from hedgerow.errors import GeometryError
from hedgerow.geo.metres import (
    areas_and_perimeters_m,
    crs_units_per_metre,
    ground_sampling_distance_m,
    lengths_m,
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


@pytest.mark.parametrize("measure", [areas_and_perimeters_m, lengths_m])
def test_nothing_measures_nothing(measure: Any) -> None:
    assert np.size(measure([], "EPSG:32632")) == 0
