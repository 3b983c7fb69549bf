import numpy as np
import pytest

from hedgerow.edges.views import Pair, view_of_labels
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.c_iou import Config, build, c_iou
from hedgerow.records import FIELD, OTHER, Regions


def square() -> np.ndarray:
    labels = np.zeros((40, 60), np.int32)
    labels[10:30, 5:25] = 1
    return labels


def test_a_notch_costs_iou_and_vertices() -> None:
    # The square loses an 8 x 8 corner: IoU = 336 / 400; 6 vertices instead of 4.
    test = square()
    test[10:18, 5:13] = 0
    found = c_iou(test, square())
    assert found.c_iou == pytest.approx(336 / 400 * (1 - 2 / 10))
    assert found.vertex_ratio == 6 / 4
    assert (found.n_reference, found.n_test, found.matched, found.flag) == (1, 1, 1, None)


def test_the_vertices_of_a_hole_count() -> None:
    test = square()
    test[16:22, 10:20] = 0
    found = c_iou(test, square())
    assert found.c_iou == pytest.approx(340 / 400 * (1 - 4 / 12))
    assert found.vertex_ratio == 8 / 4


def test_fewer_vertices_cost_as_much_as_more() -> None:
    notched = square()
    notched[10:18, 5:13] = 0
    assert c_iou(notched, square()).c_iou == c_iou(square(), notched).c_iou
    assert c_iou(square(), notched).vertex_ratio == 4 / 6


def test_a_missed_object_counts_nothing_and_a_superfluous_one_is_not_seen() -> None:
    two = square()
    two[5:15, 40:55] = 2
    missed, superfluous = c_iou(square(), two), c_iou(two, square())
    assert (missed.c_iou, missed.matched, missed.n_reference) == (0.5, 1, 2)
    assert (superfluous.c_iou, superfluous.n_test) == (1.0, 2)
    assert missed.vertex_ratio == superfluous.vertex_ratio == 1.0


def test_too_simple_here_does_not_make_up_for_too_ragged_there() -> None:
    # One outline gains two vertices, another one loses two: as many in all, and yet neither is as it was.
    plain = square()
    plain[10:30, 35:55] = 2
    left, right = plain.copy(), plain.copy()
    left[10:18, 5:13], right[10:18, 35:43] = 0, 0
    found = c_iou(left, right)
    assert found.vertex_ratio == 1.0
    assert found.c_iou == pytest.approx(336 / 400 * (1 - 2 / 10))


def test_empty_rasters_follow_the_one_rule() -> None:
    nothing = np.zeros((40, 60), np.int32)
    neither, lost, invented = c_iou(nothing, nothing), c_iou(nothing, square()), c_iou(square(), nothing)
    assert (neither.c_iou, neither.vertex_ratio, neither.flag) == (None, None, "no objects in either map")
    assert (lost.c_iou, lost.vertex_ratio, lost.flag) == (0.0, 0.0, "no objects in the candidate")
    assert (invented.c_iou, invented.vertex_ratio, invented.flag) == (0.0, 0.0, "no objects in the reference")


def test_without_a_match_there_is_no_vertex_ratio() -> None:
    found = c_iou(np.roll(square(), 20, axis=1), square())
    assert (found.c_iou, found.vertex_ratio, found.matched) == (0.0, None, 0)


def test_rasters_of_different_shape_are_refused() -> None:
    with pytest.raises(ScoreError, match="one \\(height, width\\)"):
        c_iou(square(), square()[1:])


def test_the_metric_agrees_with_the_function_and_books_on_the_reference() -> None:
    test = square()
    test[10:18, 5:13] = 0
    valid = np.ones(test.shape, bool)
    class_of = np.array([OTHER, OTHER, FIELD], np.uint8)
    pair = Pair(*(view_of_labels(Regions(labels + 1, class_of), valid, (10.0, 10.0)) for labels in (test, square())))
    bookings = build(Config()).book(pair)
    score, simplicity = build(Config()).conclude(totals(bookings))
    assert (score.value, simplicity.value) == (c_iou(test, square()).c_iou, 1.5)
    assert (score.n, simplicity.n) == (1, 4)
    matched = bookings[-1]
    assert (matched.rows.tolist(), matched.cols.tolist()) == ([19], [14])
