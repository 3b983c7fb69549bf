"""Maps that come part by part: the same rows and numbers however they are parted, measured on the ellipsoid."""

import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from geopandas.testing import assert_geodataframe_equal
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from hedgerow.geo.metres import areas_and_perimeters_m, lengths_m
from hedgerow.stages import outlines
from hedgerow.stages.label import label_array
from hedgerow.stages.trace import trace_scene

LABELS = np.random.default_rng(8).integers(0, 5, (30, 41))


def grid_of(crs: str, step: float, lon: float, lat: float) -> GeoBox:
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    turned = Affine.translation(x, y) @ Affine.rotation(20) @ Affine.scale(step, -step)
    return GeoBox(LABELS.shape, turned, crs)


def scene(crs="EPSG:32632", step=10.0, lon=9.5, lat=48.0):
    return trace_scene(label_array(LABELS), None, grid_of(crs, step, lon, lat), source="a.tif")


@pytest.mark.parametrize("points", [12, 500])
def test_parts_put_together_are_the_map(points, monkeypatch):
    expected = scene().field_map
    monkeypatch.setattr(outlines, "_PART_POINTS", points)
    parts = {name: list(frames) for name, frames in scene().outlines.layers().items()}
    for name, whole in (("fields", expected.fields), ("borders", expected.borders)):
        assert len(parts[name]) > 1
        assert_geodataframe_equal(pd.concat(parts[name], ignore_index=True), whole)


def test_an_empty_map_has_one_empty_part_per_layer():
    empty = trace_scene(label_array(np.zeros((3, 4), int)), None, GeoBox((3, 4), Affine.scale(10), "EPSG:32632"))
    assert {name: [len(part) for part in parts] for name, parts in empty.outlines.layers().items()} == {
        "fields": [0],
        "borders": [0],
    }


@pytest.mark.parametrize(
    ("crs", "step", "lon", "lat"),
    [("EPSG:32632", 10, 9.5, 48), ("EPSG:4326", 1e-3, -60, -33), ("EPSG:3857", 300, 179.999, 60),
     ("EPSG:3413", 1000, 40, 89.9)],
)  # fmt: skip
def test_measures_added_up_from_arcs_are_those_of_the_polygons(crs, step, lon, lat):
    # In turn: metres, degrees, pixels of 300 m across the antimeridian, and pixels of 1 km around the pole.
    found = scene(crs, step, lon, lat).field_map
    area, perimeter = areas_and_perimeters_m(found.fields.geometry.values, crs)
    assert found.fields.area_m2.tolist() == pytest.approx(area.tolist(), rel=1e-6)
    assert found.fields.perimeter_m.tolist() == pytest.approx(perimeter.tolist(), rel=1e-9)
    assert found.borders.length_m.tolist() == pytest.approx(lengths_m(found.borders.geometry.values, crs).tolist())


def test_the_perimeter_of_a_field_inside_is_the_sum_of_its_borders():
    found = trace_scene(label_array(LABELS + 1), None, grid_of("EPSG:32632", 10.0, 9.5, 48.0)).field_map
    edge = shapely.union_all(found.fields.geometry.values).boundary
    inside = found.fields[found.fields.disjoint(edge)]
    assert len(inside) > 300
    sides = pd.concat([found.borders.set_index(name).length_m for name in ("left_id", "right_id")])
    around = sides.groupby(level=0).sum()
    assert around[inside.id].tolist() == pytest.approx(inside.perimeter_m.tolist(), rel=1e-12)
