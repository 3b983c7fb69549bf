"""Field maps of small exact worlds and of random ones: every number derived by hand or by an independent oracle."""

from itertools import pairwise

import numpy as np
import pyproj
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter
from shapely.ops import substring

from hedgerow import registry
from hedgerow.edges.blocks import ArrayReader
from hedgerow.errors import GeometryError
from hedgerow.records import FIELD, FOREST, OTHER
from hedgerow.stages.label import label_array, label_scene
from hedgerow.stages.trace import trace_labels, trace_scene

FIELD_COLUMNS = ["id", "class", "area_m2", "perimeter_m", "confidence", "source", "geometry"]
BORDER_COLUMNS = ["id", "left_id", "right_id", "class_pair", "length_m", "confidence", "open", "geometry"]


def utm(shape, size_m=10.0):
    """North-up pixels near the central meridian of zone 32, where the plane is 0.9996 of the ground."""
    return GeoBox(shape, Affine(size_m, 0, 500_000, 0, -size_m, 5_400_000), "EPSG:32632")


def traced(labels, **options):
    labels = np.asarray(labels)
    return trace_labels(labels, utm(labels.shape), **options)


def scene_of(kinds, folder, border=0):
    """A map from certain classes per pixel, through the components tracer; `border` is the border probability."""
    kinds = np.asarray(kinds)
    pixels = np.stack([np.where(kinds == k, 200, 0) for k in range(3)] + [np.full(kinds.shape, border)]).astype(
        np.uint8
    )
    valid = ArrayReader(kinds >= 0)
    regions = label_scene(ArrayReader(pixels), valid, registry.build("tracers", "components"), folder)
    return trace_scene(regions, ArrayReader(pixels), utm(kinds.shape), source="a/b.tif").field_map


@st.composite
def worlds(draw):
    shape = draw(st.integers(1, 48)), draw(st.integers(1, 48))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    labels = draw(st.integers(1, 5))
    if draw(st.booleans()):
        return rng.integers(0, labels + 1, shape)
    smooth = gaussian_filter(rng.standard_normal(shape), draw(st.sampled_from([0.7, 1.5, 3.0])))
    return np.digitize(smooth, np.quantile(smooth, np.linspace(0.2, 0.8, labels)))


@settings(deadline=None, max_examples=40)
@given(
    worlds(), st.integers(1, 64), st.sampled_from([0, 5, 15, 60]), st.sampled_from([0, 450, 2_000]),
    st.sampled_from([0, 450]), st.integers(0, 9),
)  # fmt: skip
def test_the_map_does_not_depend_on_tiles_order_or_pickling(
    all_of, shuffled_and_pickled, labels, tile_px, simplify, area, hole, seed
):
    rules = {"simplify_m": simplify, "min_area_m2": area, "min_hole_m2": hole}
    whole = traced(labels, tile_px=64, **rules)
    tiled = traced(labels, tile_px=tile_px, each=shuffled_and_pickled(seed), **rules)
    assert all_of(tiled) == all_of(whole)


@settings(deadline=None, max_examples=40)
@given(worlds(), st.sampled_from([0, 5, 15, 60]), st.sampled_from([0, 450, 2_000]))
def test_border_lines_are_polygon_edges_each_once(labels, simplify, area):
    found = traced(labels, simplify_m=simplify, min_area_m2=area)
    edges = [edge for shape in found.fields.geometry for ring in rings_of(shape) for edge in edges_of(ring)]
    shared = {edge for edge in edges if edges.count(edge) == 2}
    lines = [edge for line in found.borders.geometry for edge in edges_of(line)]
    # In a label raster every region is a field: what two polygons share is a border, and nothing else is.
    assert sorted(lines) == sorted(shared)
    assert found.summary["gap_m2"] == found.summary["overlap_m2"] == 0
    assert (found.fields.area >= area).all() or simplify


def rings_of(shape):
    return [shape.exterior, *shape.interiors]


def edges_of(line):
    points = list(line.coords)
    return [(min(a, b), max(a, b)) for a, b in pairwise(points)]


@settings(deadline=None, max_examples=30)
@given(worlds())
def test_rasterizing_the_fields_gives_the_labels_back(labels):
    found = traced(labels)
    geobox = utm(labels.shape)
    inside = shapely.point_on_surface(found.fields.geometry.values)
    col, row = ~geobox.transform * (shapely.get_x(inside), shapely.get_y(inside))
    value = labels[np.asarray(row).astype(int), np.asarray(col).astype(int)]
    burnt = np.zeros(labels.shape, np.int32)
    if len(found.fields):
        burnt = rasterio.features.rasterize(
            zip(found.fields.geometry, value, strict=True), labels.shape, transform=geobox.transform, dtype="int32"
        )
    assert np.array_equal(burnt, labels)
    assert found.fields.area.sum() == 100 * np.count_nonzero(labels)


def test_two_fields_that_share_an_edge():
    found = traced([[1, 1, 2], [1, 1, 2]])
    assert found.fields.columns.tolist() == FIELD_COLUMNS
    assert found.borders.columns.tolist() == BORDER_COLUMNS
    assert found.fields.area.tolist() == [400, 200]
    assert found.fields["class"].tolist() == ["field", "field"]
    # On the central meridian the plane is 0.9996 of the ground.
    assert found.fields.perimeter_m.tolist() == pytest.approx([80 / 0.9996, 60 / 0.9996], rel=1e-5)
    assert found.fields.area_m2.tolist() == pytest.approx([400 / 0.9996**2, 200 / 0.9996**2], rel=1e-5)
    (border,) = found.borders.itertuples()
    assert border.length_m == pytest.approx(20 / 0.9996, rel=1e-5)
    assert (border.class_pair, border.confidence) == ("field|field", 1.0)
    assert border.open, "both ends lie on the scene edge"
    assert found.fields.confidence.tolist() == [1.0, 1.0]


def test_a_field_within_another_has_one_closed_border():
    found = traced([[1, 1, 1], [1, 2, 1], [1, 1, 1]])
    (border,) = found.borders.itertuples()
    assert border.geometry.is_closed
    assert border.geometry.length == 40
    assert not border.open
    assert {border.left_id, border.right_id} == {1, 2}
    assert len(found.fields.geometry[0].interiors) == 1


def test_a_lone_square_has_no_border_because_nodata_is_none():
    found = traced(np.pad(np.ones((2, 2), int), 1))
    assert len(found.fields) == 1
    assert len(found.borders) == 0


def test_borders_that_end_on_a_hole_of_nodata_are_open():
    labels = np.repeat([[1] * 4, [2] * 4], 4, axis=0)
    labels[3:5, 1:3] = 0  # the border from west to east is cut by a hole
    labels[:, 0] = labels[:, 3] = 3  # and ends at another field
    found = traced(labels)
    pairs = {(b.left_id, b.right_id) for b in found.borders.itertuples()}
    assert len(pairs) == len(found.borders)
    opened = {tuple(sorted((b.left_id, b.right_id))) for b in found.borders.itertuples() if b.open}
    # The hole touches the fields beside it, so every border ends at nodata or at the scene edge here.
    assert len(opened) == len(found.borders)
    inner = np.pad(np.repeat([[1] * 2, [2] * 2], 2, axis=0), 2, constant_values=3)
    assert [b.open for b in traced(inner).borders.itertuples()] == [False] * 3


def test_diagonal_neighbours_meet_in_a_point_and_share_no_border():
    found = traced([[1, 2], [2, 1]])
    assert len(found.fields) == 4
    assert len(found.borders) == 4
    assert found.borders.length.tolist() == [10] * 4


def test_a_one_pixel_sliver_keeps_its_two_borders():
    labels = np.ones((5, 7), int)
    labels[:, 3] = 2
    labels[:, 4:] = 3
    found = traced(labels)
    assert sorted(found.borders.length) == [50, 50]
    assert found.fields.area.tolist() == [1500, 500, 1500]


def test_a_border_on_a_tile_seam_is_one_straight_line():
    labels = np.repeat([[1], [2]], 4, axis=0).repeat(8, axis=1)
    found = traced(labels, tile_px=4)
    (line,) = found.borders.geometry
    assert shapely.get_num_coordinates(line) == 2
    assert line.length == 80


@pytest.mark.parametrize("up", [1, -1])
def test_left_is_left_along_the_line_in_the_crs(up):
    labels = np.random.default_rng(2).integers(1, 5, (12, 12))
    geobox = GeoBox(labels.shape, Affine(10, 0, 500_000, 0, -10 * up, 5_400_000), "EPSG:32632")
    found = trace_labels(labels, geobox)
    shapes = dict(zip(found.fields.id, found.fields.geometry, strict=True))
    for border in found.borders.itertuples():
        first = substring(border.geometry, 0, 10)
        left, right = (shapely.centroid(first.offset_curve(side)) for side in (3, -3))
        assert shapes[border.left_id].contains(left)
        assert shapes[border.right_id].contains(right)


def test_class_pairs_and_ids_of_what_is_no_field(tmp_path):
    found = scene_of(np.repeat([[FIELD] * 3, [FOREST] * 3, [OTHER] * 3, [OTHER] * 3], 2, axis=0), tmp_path)
    assert found.fields["class"].tolist() == ["field", "forest"]
    assert found.fields.source.tolist() == ["a/b.tif"] * 2
    by_pair = {b.class_pair: {b.left_id, b.right_id} for b in found.borders.itertuples()}
    assert by_pair == {"field|forest": {1, 2}, "forest|other": {2, 0}}


def test_other_beside_other_is_no_border(tmp_path):
    found = scene_of([[OTHER, OTHER, -1, OTHER]], tmp_path)
    assert len(found.fields) == len(found.borders) == 0


def test_confidences_are_mean_probabilities(tmp_path):
    found = scene_of([[FIELD, FIELD, FOREST]], tmp_path, border=51)
    assert found.fields.confidence.tolist() == pytest.approx([200 / 255] * 2)
    assert found.borders.confidence.tolist() == pytest.approx([51 / 255])


def test_confidence_weighs_every_pixel_of_the_region_and_both_sides_of_the_border(tmp_path):
    pixels = np.zeros((4, 1, 4), np.uint8)
    pixels[FIELD, 0] = [250, 200, 0, 0]
    pixels[FOREST, 0] = [0, 0, 100, 120]
    pixels[3, 0] = [5, 55, 95, 10]
    valid = ArrayReader(np.ones((1, 4), bool))
    regions = label_scene(ArrayReader(pixels), valid, registry.build("tracers", "components"), tmp_path)
    found = trace_scene(regions, ArrayReader(pixels), utm((1, 4)), tile_px=1).field_map
    assert found.fields.confidence.tolist() == pytest.approx([225 / 255, 110 / 255])
    assert found.borders.confidence.tolist() == pytest.approx([75 / 255])


def test_filled_nodata_counts_in_the_area_but_not_in_the_confidence(tmp_path):
    kinds = np.full((3, 3), FIELD)
    kinds[1, 1] = -1
    pixels = np.zeros((4, 3, 3), np.uint8)
    pixels[FIELD] = np.where(kinds >= 0, 204, 0)
    regions = label_scene(
        ArrayReader(pixels), ArrayReader(kinds >= 0), registry.build("tracers", "components"), tmp_path
    )
    found = trace_scene(regions, ArrayReader(pixels), utm((3, 3)), min_hole_m2=150).field_map
    assert found.fields.area.tolist() == [900]
    assert found.fields.confidence.tolist() == pytest.approx([0.8])


@pytest.mark.parametrize("labels", [np.zeros((4, 5), int), np.zeros((1, 1), int)])
def test_an_empty_map_has_its_columns_and_its_crs(labels):
    found = traced(labels, simplify_m=5, min_area_m2=10, min_hole_m2=10)
    assert found.fields.columns.tolist() == FIELD_COLUMNS
    assert found.borders.columns.tolist() == BORDER_COLUMNS
    assert found.fields.crs == found.borders.crs == "EPSG:32632"
    assert len(found.fields) == len(found.borders) == 0
    assert found.fields.dtypes.astype(str)["area_m2"] == "float64"
    assert found.borders.dtypes.astype(str)["open"] == "bool"


def test_min_area_leaves_no_smaller_field_and_no_gap():
    labels = np.random.default_rng(4).integers(1, 6, (40, 40))
    found = traced(labels, min_area_m2=1_000)
    assert found.fields.area.min() >= 1_000 * 0.9996**2
    assert found.fields.area.sum() == 40 * 40 * 100
    assert shapely.coverage_is_valid(found.fields.geometry.values)


# One field of about 600 m, as pixels of four grids at three latitudes.
def geodesic_square(lat, side_m=600.0):
    geod = pyproj.Geod(ellps="WGS84")
    east = geod.fwd(9.0, lat, 90, side_m)[0] - 9.0
    north = geod.fwd(9.0, lat, 0, side_m)[1] - lat
    return east, north


def grids_over(lat):
    east, north = geodesic_square(lat)
    degrees = GeoBox((200, 200), Affine(east / 100, 0, 9.0, 0, -north / 100, lat + north), "EPSG:4326")
    corner = [(9.0, lat), (9.0 + east, lat), (9.0 + east, lat + north), (9.0, lat + north)]
    yield "degrees", degrees, shapely.Polygon(corner)
    square = shapely.Polygon(corner)
    for name, crs, turn in (("mercator", 3857, 0), ("utm", 32632, 0), ("rotated", 32632, 30)):
        to = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
        plane = shapely.transform(
            shapely.segmentize(square, east / 50), lambda xy, to=to: np.column_stack(to.transform(*xy.T))
        )
        left, low, right, high = plane.buffer(400 / max(np.cos(np.radians(lat)), 0.3)).bounds
        span = max(right - left, high - low) * 1.5
        pixel = span / 400
        around = Affine.translation(*plane.centroid.coords[0]) * Affine.rotation(turn) * Affine.scale(pixel, -pixel)
        yield name, GeoBox((400, 400), around * Affine.translation(-200, -200), f"EPSG:{crs}"), plane


@pytest.mark.parametrize("lat", [0.0, 48.0, 60.0])
def test_the_same_field_has_the_same_size_in_every_crs(lat):
    truth = 600.0 * 600.0
    for name, geobox, shape in grids_over(lat):
        labels = rasterio.features.rasterize([shape], geobox.shape, transform=geobox.transform, dtype="int32")
        found = trace_labels(labels, geobox)
        (field,) = found.fields.itertuples()
        # Pixels are no exact square; what they cover is compared with the plane's own share of the truth.
        covered = field.geometry.area / shape.area
        assert field.area_m2 == pytest.approx(truth * covered, rel=1e-3), name
        assert covered == pytest.approx(1, abs=0.03), name


def test_metre_rules_mean_metres_in_degrees():
    # The same fields in degrees at 60 north (pixels of 10 x 10 m) and in metres: the same merge, the same points stay.
    labels = np.digitize(gaussian_filter(np.random.default_rng(5).standard_normal((60, 60)), 2), [-0.1, 0, 0.1]) + 1
    geod = pyproj.Geod(ellps="WGS84")
    east, north = geod.fwd(9, 60, 90, 10)[0] - 9, geod.fwd(9, 60, 0, 10)[1] - 60
    degrees = GeoBox(labels.shape, Affine(east, 0, 9, 0, -north, 60 + 30 * north), "EPSG:4326")
    rules = {"simplify_m": 11, "min_area_m2": 1_050, "min_hole_m2": 1_050}
    here, there = trace_labels(labels, degrees, **rules), traced(labels, **rules)
    assert len(here.fields) == len(there.fields)
    assert here.borders.geometry.count_coordinates().tolist() == there.borders.geometry.count_coordinates().tolist()


def test_a_grid_without_crs_or_of_another_shape_is_refused():
    with pytest.raises(GeometryError, match="no CRS"):
        trace_labels(np.ones((2, 2), int), GeoBox((2, 2), Affine.identity(), None))
    with pytest.raises(GeometryError, match="own GeoBox"):
        trace_scene(label_array(np.ones((2, 2), int)), None, utm((2, 3)))
