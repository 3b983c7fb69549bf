import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hedgerow.edges.views import Pair, view_of_labels
from hedgerow.metrics._booking import totals
from hedgerow.metrics.objects import Config, build, objects
from hedgerow.records import FIELD, FOREST, OTHER, Regions


def brute(test: np.ndarray, reference: np.ndarray) -> tuple[int, int, int]:
    """Every 4-connected area against every other, as the polygon loop of Fields of The World does."""
    found, n_found = ndimage.label(test)
    wanted, n_wanted = ndimage.label(reference)
    tp = 0
    for k in range(1, n_wanted + 1):
        for m in range(1, n_found + 1):
            a, b = wanted == k, found == m
            tp += int((a & b).sum() / (a | b).sum() > 0.5)
    return tp, n_found - tp, n_wanted - tp


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.1, 0.4, 0.6]))
def test_counts_are_those_of_all_pairs(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    reference = rng.random((14, 16)) < share
    test = reference ^ (rng.random((14, 16)) < 0.08)
    found = objects(test, reference)
    assert (found.tp, found.fp, found.fn) == brute(test, reference)


def polygons(mask: np.ndarray) -> list[shapely.Geometry]:
    parts = rasterio.features.shapes(mask.astype(np.uint8), mask=mask, connectivity=4)
    return [shapely.geometry.shape(outline) for outline, _ in parts]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([1, 3, 5]))
def test_counts_are_those_of_polygons_laid_over_each_other(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    reference = (rng.random((8, 9)) < 0.6).repeat(size, 0).repeat(size, 1)
    test = reference ^ (rng.random(reference.shape) < 0.1)
    found, wanted = polygons(test), polygons(reference)
    pairs = [(one.intersection(other).area, one.union(other).area) for one in found for other in wanted]
    tp = sum(shared / either > 0.5 for shared, either in pairs)
    counts = objects(test, reference)
    assert (counts.tp, counts.fp, counts.fn) == (tp, len(found) - tp, len(wanted) - tp)


def test_empty_rasters_count_as_in_ftw() -> None:
    nothing, something = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    something[2:4, 2:4] = True
    for test, reference, expected in (
        (nothing, nothing, (0, 0, 0)),
        (something, nothing, (0, 1, 0)),
        (nothing, something, (0, 0, 1)),
    ):
        found = objects(test, reference)
        assert (found.tp, found.fp, found.fn) == expected
    assert objects(nothing, nothing).f1 is None
    assert objects(nothing, nothing).flag == "no objects in either map"
    assert objects(something, nothing).precision == 0.0
    assert objects(nothing, something).recall == 0.0


def test_diagonal_pixels_are_two_objects() -> None:
    assert objects(np.eye(2, dtype=bool), np.eye(2, dtype=bool)).tp == 2


def test_an_iou_of_one_half_is_no_match() -> None:
    reference, half, more = np.zeros((3, 4, 8), bool)
    reference[:, :8] = half[:2] = True
    more[:2] = more[2, :1] = True
    assert (objects(half, reference).tp, objects(half, reference).fp, objects(half, reference).fn) == (0, 1, 1)
    assert objects(more, reference).tp == 1


def test_a_lost_wall_loses_both_fields() -> None:
    apart = np.zeros((10, 21), np.int32)
    apart[:, :10], apart[:, 11:] = 1, 2
    together = np.ones((10, 21), np.int32)
    found = objects(together, apart)
    assert (found.tp, found.fp, found.fn) == (0, 1, 2)


def test_a_relabelled_raster_is_the_same() -> None:
    reference = np.random.default_rng(0).integers(0, 4, (20, 20))
    shuffled = np.array([0, 9, 5, 7])[reference]
    found = objects(shuffled, reference)
    assert (found.precision, found.recall, found.f1) == (1.0, 1.0, 1.0)


def test_other_is_no_object_and_a_label_may_have_several_areas() -> None:
    labels = np.ones((9, 9), np.int32)
    labels[1:4, 1:4] = labels[5:8, 5:8] = 2
    regions = Regions(labels, np.array([OTHER, OTHER, FIELD], np.uint8))
    view = view_of_labels(regions, np.ones((9, 9), bool), (1, 1))
    assert totals(build(Config()).book(Pair(view, view))) == {"tp": 2, "fn": 0, "fp": 0}


def test_a_match_is_booked_on_the_centre_of_the_reference_object() -> None:
    valid = np.ones((20, 20), bool)
    views = []
    for shift in (2, 0):
        labels = np.ones((20, 20), np.int32)
        labels[4 : 12 + shift, 4:12] = 2
        views.append(view_of_labels(Regions(labels, np.array([OTHER, OTHER, FOREST], np.uint8)), valid, (1, 1)))
    booking = build(Config()).book(Pair(*views))[1]
    assert (booking.rows.tolist(), booking.cols.tolist(), booking.values["tp"].tolist()) == ([7], [7], [1.0])


def test_other_thresholds_have_names_of_their_own() -> None:
    assert [v.name for v in build(Config()).conclude({})] == ["object_precision", "object_recall", "object_f1"]
    assert build(Config(iou=0.75)).conclude({})[2].name == "object_f1@0.75"
    with pytest.raises(ValueError, match="greater than or equal to"):
        Config(iou=0.4)
