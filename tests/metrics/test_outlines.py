import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from hedgerow import registry
from hedgerow.edges.contingency import objects_of
from hedgerow.edges.views import Pair
from hedgerow.errors import ScoreError
from hedgerow.geo.tiling import tile_geobox
from hedgerow.metrics import _outlines
from hedgerow.metrics._outlines import one_polygon, outlines_of, vertices
from hedgerow.stages.measure import measure

PX = (1.0, 1.0)


def outlined(labels: np.ndarray, pixel_size_m: tuple[float, float] = PX) -> np.ndarray:
    return outlines_of(objects_of(labels), pixel_size_m)


def counts(of: np.ndarray) -> list[int]:
    return vertices(of).per_polygon(len(of)).tolist()


def smooth_labels(seed: int, shape: tuple[int, int] = (60, 70), classes: int = 4) -> np.ndarray:
    field = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=shape), (0, 0), 5)
    return np.digitize(field / field.std(), np.linspace(-1, 1, classes - 1))


def test_a_rectangle_has_its_four_corners_in_metres() -> None:
    labels = np.zeros((20, 30), int)
    labels[3:9, 2:12] = 1
    (outline,) = outlined(labels, (2.0, 5.0))  # x = 5 columns, y = 2 rows
    assert outline.normalize() == shapely.box(10, 6, 60, 18).normalize()


def test_neighbours_leave_no_vertex_on_a_straight_side() -> None:
    labels = np.zeros((20, 30), int)
    labels[2:18, 2:12], labels[2:9, 12:25], labels[9:18, 12:25] = 1, 2, 3
    assert counts(outlined(labels)) == [4, 4, 4]


@pytest.mark.parametrize("seed", range(5))
def test_an_outline_does_not_depend_on_neighbours(seed: int) -> None:
    shape = smooth_labels(seed, classes=3) == 1
    crowd = np.where(shape, 1, 2 + np.random.default_rng(seed).integers(0, 40, (12, 14)).repeat(5, 0).repeat(5, 1))
    alone = outlined(shape)
    assert len(alone)
    found = {outline.normalize() for outline in outlined(crowd)}
    assert {outline.normalize() for outline in alone} <= found


@pytest.mark.parametrize("seed", range(3))
def test_a_quarter_turn_turns_the_outlines(seed: int) -> None:
    labels = smooth_labels(seed)
    # np.rot90 moves the corner (x, y) of a raster `width` wide to (y, width - x).
    width = labels.shape[1]
    turned = shapely.transform(outlined(labels), lambda xy: np.column_stack([xy[:, 1], width - xy[:, 0]]))
    expected = {outline.normalize() for outline in turned}
    assert {outline.normalize() for outline in outlined(np.rot90(labels).copy())} == expected


@pytest.mark.parametrize("slope", [0.1, 0.37, 0.5, 0.77, 0.95])
@pytest.mark.parametrize("side", [50, 300])
def test_a_slanted_border_is_one_edge_however_long(slope: float, side: int) -> None:
    y, x = np.indices((side, side)) + 0.5
    below = y <= slope * x + 1
    assert counts(outlined(below))[0] <= 5  # a quadrangle, one of whose corners the stairs may split
    stairs = int((np.diff(below.sum(axis=0)) != 0).sum())
    assert stairs > 4


def is_narrow(ring: shapely.LinearRing, tolerance: float) -> bool:
    """Whether a ring may lie within the tolerance on both sides of one line: three vertices stay, anyway."""
    return bool(shapely.Polygon(ring).buffer(-tolerance).is_empty)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), noise=st.booleans(), size=st.sampled_from([(1.0, 1.0), (2.0, 0.5)]))
def test_outlines_are_valid_and_those_of_wide_objects_within_a_pixel_diagonal_of_the_pixels(
    seed: int, noise: bool, size: tuple[float, float]
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (9, 11)) if noise else smooth_labels(seed, (24, 28))
    objects = objects_of(labels)
    found = outlines_of(objects, size)
    assert len(found) == len(objects)
    assert shapely.is_valid(found).all()
    for number, outline in enumerate(found, 1):
        row, col = np.nonzero(objects.labels == number)
        pixels = shapely.box(col * size[1], row * size[0], (col + 1) * size[1], (row + 1) * size[0])
        exact = shapely.union_all(pixels)
        assert outline.geom_type == "Polygon"
        assert len(outline.interiors) == len(exact.interiors)
        if not any(is_narrow(ring, np.hypot(*size)) for ring in (exact.exterior, *exact.interiors)):
            assert shapely.hausdorff_distance(outline.boundary, exact.boundary) <= np.hypot(*size) + 1e-9


def test_a_hole_is_part_of_the_outline() -> None:
    labels = np.zeros((30, 30), int)
    labels[3:25, 3:25] = 1
    labels[10:18, 9:20] = 0
    (outline,) = outlined(labels)
    assert counts(outlined(labels)) == [8]
    assert outline.area == 22 * 22 - 8 * 11


def test_a_sliver_one_pixel_wide_is_still_a_polygon() -> None:
    labels = np.zeros((5, 30), int)
    labels[2, 3:25] = 1
    (outline,) = outlined(labels)
    assert outline.is_valid
    assert outline.area > 0


def test_the_tiles_that_are_traced_at_a_time_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = smooth_labels(7)
    whole = outlined(labels)
    monkeypatch.setattr(_outlines, "_TILE_PX", 16)
    assert shapely.equals_exact(outlined(labels), whole, 0).all()


def test_a_raster_without_objects_has_no_outline() -> None:
    assert len(outlined(np.zeros((8, 8), int))) == 0


def test_only_single_polygons_have_an_outline() -> None:
    square = shapely.box(0, 0, 1, 1)
    assert one_polygon(square)[0] is square
    for shape, kind in ((shapely.MultiPolygon([square]), "MultiPolygon"), (shapely.Polygon(), "an empty polygon")):
        with pytest.raises(ScoreError, match=kind):
            one_polygon(shape)


@pytest.mark.parametrize("kind", ["c_iou", "polis", "outline_angles", "angle_consistency"])
@pytest.mark.parametrize("size", [32, 50])
def test_tiles_of_any_size_add_up_to_the_scene(kind: str, size: int, pair_with_nodata: Pair) -> None:
    shape = pair_with_nodata.shape
    geobox = GeoBox.from_bbox((0, 0, shape[1], shape[0]), "EPSG:32632", shape=shape)
    metric = registry.build("metrics", kind)
    whole, tiled = (
        measure(pair_with_nodata, [metric], tile_geobox(geobox, side, 0)).tallies()[metric.name].sums
        for side in (1024, size)
    )
    assert whole
    assert tiled == pytest.approx(whole, rel=1e-12)
