import pickle

import cv2
import numpy as np
import pytest

from hedgerow.edges.distance import radius_px
from hedgerow.edges.thinning import thinned
from hedgerow.edges.views import Pair, View, view_of_labels, view_of_map, view_of_mask, view_of_truth
from hedgerow.errors import ScoreError
from hedgerow.records import FIELD, FOREST, OTHER, Regions

VALID = np.ones((20, 24), bool)


def regions() -> Regions:
    labels = np.ones((20, 24), np.int32)
    labels[5:15, 6:12] = 2
    labels[5:15, 12:18] = 3
    return Regions(labels, np.array([OTHER, OTHER, FIELD, FOREST], np.uint8))


def test_a_map_is_its_border_probability_and_its_regions() -> None:
    probabilities = np.zeros((4, 20, 24), np.uint8)
    probabilities[3, 8:11] = 200
    view = view_of_map(probabilities, regions(), VALID, (10.0, 10.0))
    assert np.array_equal(view.p, probabilities[3])
    assert np.array_equal(view.line, thinned(probabilities[3] >= 128))
    assert view.line.any()


def test_a_truth_is_drawn_three_pixels_wide_and_keeps_its_burned_line() -> None:
    line = np.zeros((20, 24), bool)
    line[10, 3:20] = True
    view = view_of_truth(regions(), line, VALID, (1.0, 1.0))
    assert np.array_equal(view.line, line)
    assert set(np.unique(view.p)) == {0, 255}
    assert (view.p[9:12, 2:21] == 255).all()
    assert (view.p == 255).sum() == 3 * 19


def test_a_label_raster_is_drawn_from_its_boundary() -> None:
    view = view_of_labels(regions(), VALID, (1.0, 1.0))
    assert np.array_equal(view.p == 255, cv2.dilate(view.boundary.view(np.uint8), np.ones((3, 3))) > 0)


def test_a_mask_has_two_classes() -> None:
    p = np.zeros((20, 24), np.uint8)
    p[5:10, 5:10] = 128
    p[15, 15] = 127
    view = view_of_mask(p, VALID, (1.0, 1.0))
    assert (view.classes == FIELD).sum() == 25
    assert np.array_equal(view.p, p)


def test_objects_are_fields_and_forests_only() -> None:
    view = view_of_labels(regions(), VALID, (1.0, 1.0))
    assert view.objects.area_px.tolist() == [60, 60]


def test_nodata_is_taken_out_of_every_view() -> None:
    valid = VALID.copy()
    valid[:, 8:] = False
    view = View(np.full((20, 24), 255, np.uint8), regions(), valid, (1.0, 1.0), burned_line=VALID)
    assert not view.p[:, 8:].any()
    assert not view.line[:, 8:].any()
    assert not view.regions.labels[:, 8:].any()
    assert not view.boundary[6:14, 7:].any()
    assert not view.edges.any()


def test_a_pickled_view_leaves_its_cache_behind() -> None:
    view = view_of_labels(regions(), VALID, (1.0, 1.0))
    small = len(pickle.dumps(view))
    expected = view.edges
    view.near("edges", radius_px(2))
    assert len(pickle.dumps(view)) == small
    assert np.array_equal(pickle.loads(pickle.dumps(view)).edges, expected)


def test_maps_of_different_shape_cannot_be_compared() -> None:
    other = view_of_mask(np.zeros((4, 4), np.uint8), np.ones((4, 4), bool), (1.0, 1.0))
    with pytest.raises(ScoreError, match="one grid"):
        Pair(view_of_labels(regions(), VALID, (1.0, 1.0)), other)


def test_maps_with_different_valid_areas_cannot_be_compared() -> None:
    valid = VALID.copy()
    valid[0, :3] = False
    with pytest.raises(ScoreError, match="3 pixels are valid in one map only"):
        Pair(view_of_labels(regions(), VALID, (1.0, 1.0)), view_of_labels(regions(), valid, (1.0, 1.0)))


def test_maps_with_pixels_of_different_size_cannot_be_compared() -> None:
    with pytest.raises(ScoreError, match="one grid"):
        Pair(view_of_labels(regions(), VALID, (1.0, 1.0)), view_of_labels(regions(), VALID, (1.0, 2.0)))


@pytest.mark.parametrize(
    ("p", "valid", "size"),
    [
        (np.zeros((20, 24), np.float32), VALID, (1.0, 1.0)),
        (np.zeros((20, 23), np.uint8), VALID, (1.0, 1.0)),
        (np.zeros((20, 24), np.uint8), VALID.astype(np.uint8), (1.0, 1.0)),
        (np.zeros((20, 24), np.uint8), VALID, (1.0, 0.0)),
    ],
)
def test_a_view_checks_its_parts(p: np.ndarray, valid: np.ndarray, size: tuple[float, float]) -> None:
    with pytest.raises(ScoreError):
        View(p, regions(), valid, size)


def test_probabilities_need_all_classes() -> None:
    with pytest.raises(ScoreError, match="expected \\(4, height, width\\)"):
        view_of_map(np.zeros((3, 20, 24), np.uint8), regions(), VALID, (1.0, 1.0))
