import numpy as np
import pytest

from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.panoptic import Config, build, panoptic_quality
from hedgerow.records import FIELD, FOREST, OTHER, Regions, Value


def view(*objects: tuple[int, slice, slice]) -> View:
    """A map of 20 x 30 px: objects by class, rows and columns, on `other`."""
    labels = np.ones((20, 30), np.int32)
    for number, (_, rows, cols) in enumerate(objects, start=2):
        labels[rows, cols] = number
    classes = np.array([OTHER, OTHER, *(c for c, _, _ in objects)], np.uint8)
    return view_of_labels(Regions(labels, classes), np.ones(labels.shape, bool), (1, 1))


def scored(candidate: View, reference: View) -> dict[str, Value]:
    metric = build(Config())
    return {value.name: value for value in metric.conclude(totals(metric.book(Pair(candidate, reference))))}


TALL, LOW, WOOD = (
    (FIELD, slice(0, 10), slice(0, 5)),
    (FIELD, slice(12, 16), slice(0, 5)),
    (FOREST, slice(2, 9), slice(8, 18)),
)


def test_one_match_of_four_fifths_one_lost_and_one_invented() -> None:
    reference, test = np.zeros((2, 20, 20), np.int32)
    reference[0:10, 0:5], reference[12:16, 0:5] = 1, 2
    test[0:8, 0:5], test[0:4, 10:14] = 1, 2
    found = panoptic_quality(test, reference)
    assert (found.tp, found.fp, found.fn) == (1, 1, 1)
    assert found.iou_sum == pytest.approx(0.8, abs=1e-12)
    assert found.panoptic_quality == pytest.approx(0.8 / 2, abs=1e-12)
    assert found.segmentation_quality == pytest.approx(0.8, abs=1e-12)
    assert found.recognition_quality == 0.5


def test_classes_weigh_the_same_whatever_their_objects() -> None:
    values = scored(view(TALL, WOOD), view(TALL, LOW, WOOD))
    assert values["panoptic_quality"].value == pytest.approx((1 / 1.5 + 1) / 2, abs=1e-12)
    assert values["segmentation_quality"].value == 1.0
    assert values["recognition_quality"].value == pytest.approx((1 / 1.5 + 1) / 2, abs=1e-12)
    assert values["panoptic_quality"].n == 3


def test_the_right_outline_of_the_wrong_class_is_no_match() -> None:
    values = scored(view(TALL, (FIELD, *WOOD[1:])), view(TALL, WOOD))
    assert values["panoptic_quality"].value == pytest.approx((1 / 1.5 + 0) / 2, abs=1e-12)
    assert values["segmentation_quality"].value == 0.5


def test_a_class_that_only_the_candidate_shows_counts_as_zero() -> None:
    values = scored(view(TALL, WOOD), view(TALL))
    assert [v.value for v in values.values()] == [0.5, 0.5, 0.5]


def test_an_iou_of_one_half_is_no_match() -> None:
    half = (FIELD, slice(0, 5), slice(0, 5))
    assert scored(view(half), view(TALL))["panoptic_quality"].value == 0.0
    more = (FIELD, slice(0, 6), slice(0, 5))
    assert scored(view(more), view(TALL))["panoptic_quality"].value == pytest.approx(0.6, abs=1e-12)


def test_an_empty_map_is_worst_and_two_have_no_score() -> None:
    for pair, flag in (((view(), view(TALL)), "candidate"), ((view(TALL), view()), "reference")):
        assert [(v.value, v.flag) for v in scored(*pair).values()] == [(0.0, f"no objects in the {flag}")] * 3
    assert [(v.value, v.flag) for v in scored(view(), view()).values()] == [(None, "no objects in either map")] * 3


def test_a_match_and_its_iou_are_booked_on_the_centre_of_the_reference_object() -> None:
    bookings = build(Config()).book(Pair(view((FIELD, slice(0, 8), slice(0, 5))), view(TALL)))
    booking = next(b for b in bookings if "tp_field" in b.values)
    assert (booking.rows.tolist(), booking.cols.tolist()) == ([4], [2])
    assert booking.values["tp_field"].tolist() == [1.0]
    assert booking.values["iou_field"] == pytest.approx([0.8], abs=1e-12)
    assert booking.values["tp_forest"].tolist() == [0.0]


def test_rasters_of_two_shapes_are_refused() -> None:
    with pytest.raises(ScoreError, match="give two of one"):
        panoptic_quality(np.ones((3, 3)), np.ones((3, 4)))
