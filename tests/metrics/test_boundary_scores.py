from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hedgerow.edges.views import Pair, view_of_labels, view_of_mask
from hedgerow.errors import ScoreError
from hedgerow.metrics import boundary_f1 as f1_family
from hedgerow.metrics import boundary_iou as iou_family
from hedgerow.metrics._booking import totals
from hedgerow.metrics.boundary_f1 import boundary_f1
from hedgerow.metrics.boundary_iou import boundary_iou
from hedgerow.records import FIELD, FOREST, OTHER, Regions

VALID = np.ones((20, 30), bool)


def outline(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def blob(seed: int, shape: tuple[int, int] = (50, 60)) -> np.ndarray:
    field = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=shape), (0, 0), 5)
    return field > 0.3 * field.std()


def brute_f1(test: np.ndarray, reference: np.ndarray, tolerance: float) -> float:
    to_reference = ndimage.distance_transform_edt(~reference)[test]
    to_test = ndimage.distance_transform_edt(~test)[reference]
    precision, recall = (to_reference <= tolerance).mean(), (to_test <= tolerance).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), tolerance=st.sampled_from([0, 1, 2, 3.5, 14]))
def test_boundary_f_is_that_of_the_distances(seed: int, tolerance: float) -> None:
    test, reference = outline(blob(seed)), outline(blob(seed + 1))
    assert boundary_f1(test, reference, tolerance_px=tolerance).f1 == pytest.approx(
        brute_f1(test, reference, tolerance)
    )


def test_a_line_beyond_the_tolerance_is_no_match() -> None:
    reference, near, far = np.zeros((3, 20, 20), bool)
    reference[:, 8] = near[:, 10] = far[:, 11] = True
    assert boundary_f1(near, reference).f1 == 1.0
    assert boundary_f1(far, reference).f1 == 0.0
    assert boundary_f1(far, reference, tolerance_px=3).f1 == 1.0


def test_half_a_line_has_full_precision_and_half_recall() -> None:
    reference = np.zeros((20, 20), bool)
    reference[:, 8] = True
    test = reference.copy()
    test[:10] = False
    found = boundary_f1(test, reference, tolerance_px=0)
    assert (found.precision, found.recall, found.matched_reference, found.matched_test) == (1.0, 0.5, 10, 10)
    assert found.f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize("turn", [lambda m: m[::-1], lambda m: m[:, ::-1], np.rot90, lambda m: np.rot90(m, 2)])
def test_flips_and_turns_change_nothing(turn: object) -> None:
    test, reference = blob(1), blob(2)
    moved = [np.ascontiguousarray(turn(m)) for m in (test, reference)]  # type: ignore[operator]
    assert boundary_iou(*moved) == boundary_iou(test, reference)
    edges = outline(test), outline(reference)
    turned = [np.ascontiguousarray(turn(m)) for m in edges]  # type: ignore[operator]
    assert boundary_f1(*turned) == boundary_f1(*edges)


def test_a_dilated_copy_lowers_boundary_f() -> None:
    reference = blob(7)
    scores = [1.0]
    for _ in range(4):
        grown = ndimage.binary_dilation(reference, iterations=len(scores))
        value = boundary_f1(outline(grown), outline(reference), tolerance_px=1).f1
        assert value is not None
        scores.append(value)
    assert all(later <= earlier for earlier, later in pairwise(scores))
    assert scores[-1] < 0.5


def test_a_growing_shift_never_improves_boundary_scores() -> None:
    reference = np.zeros((60, 60), bool)
    reference[15:45, 15:45] = True
    shifts = [np.roll(reference, k, 1) for k in range(10)]
    for score in (
        [boundary_f1(outline(m), outline(reference)).f1 for m in shifts],
        [boundary_iou(m, reference).iou for m in shifts],
    ):
        assert score[0] == 1.0
        assert all(b <= a for a, b in pairwise(score))  # type: ignore[operator]


def paper_band(mask: np.ndarray, d: int) -> np.ndarray:
    """Mask minus its erosion, the frame counting as outside (Cheng et al. 2021)."""
    padded = np.pad(mask, 1)
    return mask & ~ndimage.binary_erosion(padded, np.ones((3, 3)), iterations=d)[1:-1, 1:-1]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), d=st.integers(1, 6))
def test_boundary_iou_is_the_papers(seed: int, d: int) -> None:
    test, reference = blob(seed), blob(seed + 1)
    bands = paper_band(test, d), paper_band(reference, d)
    expected = (bands[0] & bands[1]).sum() / (bands[0] | bands[1]).sum()
    assert boundary_iou(test, reference, d=d, border="reference").iou == pytest.approx(expected)


def test_the_frame_is_a_boundary_only_if_asked_for() -> None:
    everything = np.ones((20, 20), bool)
    assert boundary_iou(everything, everything).iou is None
    assert boundary_iou(everything, everything, border="reference").union == 20 * 20 - 16 * 16


def test_empty_boundaries_follow_the_one_rule() -> None:
    nothing, something = np.zeros((20, 20), bool), np.eye(20, dtype=bool)
    for score in (boundary_f1(nothing, nothing), boundary_iou(nothing, nothing)):
        assert score.flag == "no boundaries in either map"
    assert boundary_f1(nothing, nothing).f1 is None
    assert boundary_f1(nothing, something).f1 == 0.0
    assert boundary_f1(something, nothing).f1 == 0.0
    assert boundary_iou(nothing, something).iou == 0.0
    assert boundary_iou(something, nothing).iou == 0.0


def test_masks_of_different_shape_are_refused() -> None:
    with pytest.raises(ScoreError):
        boundary_f1(VALID, VALID[1:])
    with pytest.raises(ScoreError):
        boundary_iou(VALID, VALID[1:])
    with pytest.raises(ScoreError, match="at least 1"):
        boundary_iou(VALID, VALID, d=0)


def two_fields(wall: int, classes: tuple[int, int] = (FIELD, FIELD)) -> Regions:
    labels = np.ones((20, 30), np.int32)
    labels[:, wall:] = 2
    return Regions(labels, np.array([OTHER, *classes], np.uint8))


def concluded(metric: object, pair: Pair) -> float | None:
    return metric.conclude(totals(metric.book(pair)))[0].value  # type: ignore[attr-defined, no-any-return]


def test_bands_of_a_moved_wall_overlap_by_hand() -> None:
    # The wall is drawn at column 14; band 12..16. Moved by 1: 13..17. Shared 4 columns of 6; column 15 changed class.
    pair = Pair(*(view_of_labels(two_fields(w, (FIELD, FOREST)), VALID, (1, 1)) for w in (16, 15)))
    assert concluded(iou_family.build(iou_family.Config()), pair) == pytest.approx(3 / 6)
    same_class = Pair(*(view_of_labels(two_fields(w), VALID, (1, 1)) for w in (16, 15)))
    assert concluded(iou_family.build(iou_family.Config()), same_class) == pytest.approx(4 / 6)


def test_a_tolerance_in_metres_depends_on_the_pixel_size() -> None:
    metric = f1_family.build(f1_family.Config(tolerance_m=5))
    for size, expected in ((1.0, 1.0), (2.0, 0.0)):
        pair = Pair(*(view_of_labels(two_fields(w), VALID, (1.0, size)) for w in (19, 15)))
        assert concluded(metric, pair) == expected


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "boundary_f1"),
        ({"tolerance_px": 1}, "boundary_f1@1px"),
        ({"tolerance_px": 1.5}, "boundary_f1@1.5px"),
        ({"tolerance_m": 5}, "boundary_f1@5m"),
    ],
)
def test_other_tolerances_have_names_of_their_own(options: dict[str, float], name: str) -> None:
    metric = f1_family.build(f1_family.Config(**options))  # type: ignore[arg-type]
    assert metric.name == name
    assert [value.name for value in metric.conclude({})] == [name]


def test_other_bands_have_names_of_their_own() -> None:
    assert iou_family.build(iou_family.Config()).name == "boundary_iou"
    assert iou_family.build(iou_family.Config(d_px=5)).name == "boundary_iou@5px"


def test_a_boundary_that_nodata_may_hide_is_not_counted() -> None:
    valid = VALID.copy()
    valid[:, 17:] = False
    # The candidate's wall may lie under nodata: columns within 2 px of it are no evidence.
    pair = Pair(*(view_of_labels(two_fields(w), valid, (1, 1)) for w in (25, 16)))
    value = f1_family.build(f1_family.Config()).conclude(totals(f1_family.build(f1_family.Config()).book(pair)))[0]
    assert (value.value, value.n) == (None, 0)


def test_a_mask_and_its_view_agree_on_identity() -> None:
    p = np.where(blob(3), np.uint8(255), np.uint8(0))
    view = view_of_mask(p, np.ones(p.shape, bool), (1, 1))
    assert concluded(iou_family.build(iou_family.Config()), Pair(view, view)) == 1.0
