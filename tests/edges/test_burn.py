import numpy as np
import pytest
import shapely
from odc.geo.geobox import GeoBox

from hedgerow.edges.burn import burned_line, burned_regions
from hedgerow.edges.layers import boundary_of
from hedgerow.errors import ScoreError
from hedgerow.records import FIELD, FOREST, OTHER

GRID = GeoBox.from_bbox((0, 0, 40, 30), "EPSG:32632", shape=(30, 40))  # 1 m; row 0 is the top, y = 30


def test_areas_become_regions_with_the_rest_as_other() -> None:
    regions = burned_regions([shapely.box(5, 10, 15, 20), shapely.box(15, 10, 25, 20)], [FIELD, FOREST], GRID)
    classes = regions.class_of[regions.labels]
    assert (classes == FIELD).sum() == 100
    assert (classes == FOREST).sum() == 100
    assert (classes[10:20, 5:15] == FIELD).all()
    assert (classes[10:20, 15:25] == FOREST).all()
    assert (classes == OTHER).sum() == 30 * 40 - 200
    assert regions.valid.all()


def test_where_polygons_overlap_the_later_one_wins() -> None:
    regions = burned_regions([shapely.box(5, 10, 16, 20), shapely.box(15, 10, 25, 20)], [FIELD, FOREST], GRID)
    classes = regions.class_of[regions.labels]
    assert (classes[:, 15] == FOREST).sum() == 10


def test_outlines_are_one_pixel_wide() -> None:
    line = burned_line([shapely.box(5.5, 10.5, 15.5, 20.5)], GRID)
    ring = np.zeros((30, 40), bool)
    ring[9:20, 5:16] = True
    ring[10:19, 6:15] = False
    assert np.array_equal(line, ring)


def test_a_hole_has_an_outline_too() -> None:
    outer, hole = shapely.box(5.5, 5.5, 25.5, 25.5), shapely.box(10.5, 10.5, 15.5, 15.5)
    with_hole = burned_line([outer.difference(hole)], GRID)
    assert (with_hole & ~burned_line([outer], GRID)).sum() == 20  # a ring of 6 x 6 pixels


def test_the_frame_is_no_border() -> None:
    for inset in (0, 0.5, 1, 1.5):
        field = shapely.box(inset, inset, 40 - inset, 30 - inset)
        assert not burned_line([field], GRID).any()
        assert len(np.unique(burned_regions([field], [FIELD], GRID).labels)) == 1


def test_a_border_that_meets_the_frame_goes_on_to_it() -> None:
    halves = [shapely.box(1, 1, 20, 29), shapely.box(20, 1, 39, 29)]
    boundary = boundary_of(burned_regions(halves, [FIELD, FIELD], GRID).labels)
    expected = np.zeros((30, 40), bool)
    expected[:, 19] = True
    assert np.array_equal(boundary, expected)


def test_a_raster_of_a_few_pixels_is_burned_as_it_is() -> None:
    tiny = GeoBox.from_bbox((0, 0, 3, 3), "EPSG:32632", shape=(3, 3))
    assert (burned_regions([shapely.box(0, 0, 3, 1)], [FIELD], tiny).labels != 1).sum() == 3
    assert not burned_line([shapely.box(0, 0, 3, 1)], tiny).any()


def test_no_polygons_and_empty_ones_burn_nothing() -> None:
    for shapes in ([], [shapely.Polygon()]):
        assert not burned_line(shapes, GRID).any()
        assert set(np.unique(burned_regions(shapes, [FIELD] * len(shapes), GRID).labels)) == {1}


def test_a_class_must_be_given_for_each_polygon() -> None:
    with pytest.raises(ScoreError, match="1 polygons but 2 classes"):
        burned_regions([shapely.box(0, 0, 1, 1)], [FIELD, FIELD], GRID)
