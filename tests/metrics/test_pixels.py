from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.pixels import Config, build, pixels
from hedgerow.records import FIELD, FOREST, OTHER, Regions

REFERENCE = np.array([[1, 1, 1, 0], [1, 2, 2, 0]])
TEST = np.array([[1, 1, 0, 1], [1, 2, 1, 0]])


def test_counts_of_a_map_of_eight_pixels() -> None:
    found = pixels(TEST, REFERENCE)
    assert (found.tp, found.fp, found.fn, found.n_valid, found.agreeing) == (3, 2, 1, 8, 5)
    assert (found.iou, found.precision, found.recall, found.agreement) == (3 / 6, 3 / 5, 3 / 4, 5 / 8)
    forest = pixels(TEST, REFERENCE, target=FOREST)
    assert (forest.tp, forest.fp, forest.fn, forest.agreement) == (1, 0, 1, 5 / 8)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), target=st.sampled_from([OTHER, FIELD, FOREST]))
def test_scores_are_those_of_a_confusion_matrix_counted_pixel_by_pixel(seed: int, target: int) -> None:
    rng = np.random.default_rng(seed)
    reference, test = rng.integers(0, 3, (2, 9, 11))
    valid = rng.random((9, 11)) < 0.8
    pairs = Counter((int(r), int(t)) for r, t, v in zip(reference.flat, test.flat, valid.flat, strict=True) if v)
    tp = pairs[target, target]
    fp = sum(n for (r, t), n in pairs.items() if t == target) - tp
    fn = sum(n for (r, t), n in pairs.items() if r == target) - tp
    found = pixels(test, reference, target=target, valid=valid)
    assert (found.tp, found.fp, found.fn) == (tp, fp, fn)
    assert found.iou == tp / (tp + fp + fn)
    assert found.precision == tp / (tp + fp)
    assert found.recall == tp / (tp + fn)
    assert found.agreement == sum(pairs[c, c] for c in range(3)) / pairs.total()


def test_masks_are_rasters_of_two_classes() -> None:
    assert pixels(TEST == 1, REFERENCE == 1).iou == pixels(TEST, REFERENCE).iou


def test_what_is_not_valid_may_have_any_value_and_counts_nowhere() -> None:
    unknown = np.where(REFERENCE == 2, 3, REFERENCE)
    found = pixels(TEST, unknown, valid=unknown != 3)
    assert (found.tp, found.fp, found.fn, found.n_valid) == (3, 1, 1, 6)
    with pytest.raises(ScoreError, match="values from 0 to 3: expected 0 to 2"):
        pixels(TEST, unknown)


def test_rasters_of_two_shapes_are_refused() -> None:
    with pytest.raises(ScoreError, match=r"\(2, 4\) and \(2, 3\)"):
        pixels(TEST, REFERENCE[:, :3])


def test_an_empty_map_is_worst_and_two_have_no_score() -> None:
    nothing = np.zeros_like(REFERENCE)
    lost, invented, neither = pixels(nothing, REFERENCE), pixels(REFERENCE, nothing), pixels(nothing, nothing)
    for found, flag in ((lost, "no field pixels in the candidate"), (invented, "no field pixels in the reference")):
        assert (found.iou, found.precision, found.recall, found.agreement) == (0, 0, 0, 0)
        assert found.flag == flag
    assert (neither.iou, neither.agreement, neither.flag) == (None, None, "no field pixels in either map")


def test_every_valid_pixel_is_booked_once_where_it_lies() -> None:
    valid = np.ones((2, 4), bool)
    valid[0, 1] = False
    bookings = build(Config()).book(Pair(_view(TEST, valid), _view(REFERENCE, valid)))
    places = [place for b in bookings for place in zip(b.rows.tolist(), b.cols.tolist(), strict=True)]
    assert sorted(places) == [(0, 0), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]
    values = {v.name: v for v in build(Config()).conclude(totals(bookings))}
    assert values["pixel_iou"].value == 2 / 5
    assert values["pixel_iou"].n == 3
    assert values["pixel_agreement"].value == 4 / 7
    assert values["pixel_agreement"].n == 7


def test_forests_have_names_of_their_own_and_agreement_is_given_once() -> None:
    names = [[v.name for v in build(Config(target=target)).conclude({})] for target in ("field", "forest")]
    assert names == [
        ["pixel_iou", "pixel_precision", "pixel_recall", "pixel_agreement"],
        ["pixel_iou@forest", "pixel_precision@forest", "pixel_recall@forest"],
    ]


def _view(classes: np.ndarray, valid: np.ndarray) -> View:
    regions = Regions((classes + 1).astype(np.int32), np.array([OTHER, OTHER, FIELD, FOREST], np.uint8))
    return view_of_labels(regions, valid, (1, 1))
