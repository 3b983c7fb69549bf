import cv2
import numpy as np
import pytest

from hedgerow.edges.views import Pair
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.corners import Config, build, corners


def box(value: int = 255, *, at: tuple[int, int] = (8, 8), side: int = 16) -> np.ndarray:
    image = np.zeros((32, 32), np.uint8)
    image[at[0] : at[0] + side, at[1] : at[1] + side] = value
    return image


def test_identity_keeps_every_corner() -> None:
    found = corners(box(), box())
    assert (found.n_reference, found.n_test, found.matched) == (4, 4, 4)
    assert found.retention == found.retention_raw == found.precision == found.recall == found.repeatability == 1.0


@pytest.mark.parametrize("contrast", [0.8, 0.4])
def test_retention_is_linear_in_contrast_and_the_literal_form_to_the_fourth_power(contrast: float) -> None:
    found = corners(box(round(255 * contrast)), box())
    assert found.retention == pytest.approx(contrast, rel=1e-9)
    assert found.retention_raw == pytest.approx(contrast**4, rel=1e-9)


def test_more_contrast_is_capped_but_shows_in_the_literal_form() -> None:
    found = corners(box(255), box(204))
    assert found.retention == 1.0
    assert found.retention_raw == pytest.approx((255 / 204) ** 4)


def test_a_corner_may_be_one_pixel_away_but_not_two() -> None:
    near, far = corners(box(at=(9, 9)), box()), corners(box(at=(10, 10)), box())
    assert (near.matched, near.retention, near.repeatability) == (4, 1.0, 1.0)
    assert (far.matched, far.repeatability) == (0, 0.0)
    assert far.retention is not None
    assert far.retention < 1


def test_a_spurious_corner_costs_precision_only() -> None:
    test = box()
    test[1:5, 26:30] = 255
    found = corners(test, box())
    assert found.retention == 1.0
    assert found.precision == 4 / found.n_test
    assert found.n_test > 4
    assert found.repeatability == 1.0


def test_blur_costs_retention() -> None:
    retained = [corners(cv2.GaussianBlur(box(), (0, 0), s), box()).retention for s in (0.5, 0.8, 1.1)]
    assert 1 > retained[0] > retained[1] > retained[2] > 0  # type: ignore[operator]


def test_a_blur_that_leaves_no_corner_above_the_threshold_retains_nothing() -> None:
    found = corners(cv2.GaussianBlur(box(), (0, 0), 1.5), box())
    assert (found.n_test, found.retention) == (0, 0.0)


def test_empty_images_follow_the_rule() -> None:
    flat = np.zeros((32, 32), np.uint8)
    both, spurious, lost = corners(flat, flat), corners(box(), flat), corners(flat, box())
    assert (both.retention, both.precision, both.repeatability) == (None, None, None)
    assert both.flag == "no corners in either map"
    assert (spurious.retention, spurious.retention_raw, spurious.precision) == (None, None, 0.0)
    assert (lost.retention, lost.retention_raw, lost.precision, lost.repeatability) == (0.0, 0.0, 0.0, 0.0)


def test_corners_at_nodata_do_not_count() -> None:
    valid = np.ones((32, 32), bool)
    valid[:, 24:] = False
    filled = np.where(valid, box(), np.uint8(0))
    assert corners(filled, filled, valid=valid).n_reference == 2


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90])
def test_flips_and_turns_change_little(turn: object, pair: Pair) -> None:
    images = pair.candidate.p, pair.reference.p
    before, after = corners(*images), corners(*(np.ascontiguousarray(turn(p)) for p in images))  # type: ignore[operator]
    # The 2 x 2 sum has no centre: a flip moves responses by one pixel, which matters at the frame only.
    assert after.retention == pytest.approx(before.retention, abs=1e-2)


def test_other_parameters_have_names_of_their_own() -> None:
    assert build(Config()).names[0] == "corner_retention"
    assert build(Config(power=1)).names[0] == "corner_retention@p1"


def test_the_booked_sums_are_those_of_the_function(pair_with_nodata: Pair) -> None:
    pair = pair_with_nodata
    metric = build(Config())
    found = corners(pair.candidate.p, pair.reference.p, valid=pair.valid)
    values = [value.value for value in metric.conclude(totals(metric.book(pair)))]
    assert values == [found.retention, found.retention_raw, found.precision, found.repeatability]
    assert 0 < found.n_reference < corners(pair.candidate.p, pair.reference.p).n_reference


def test_floats_are_refused() -> None:
    with pytest.raises(ScoreError, match="uint8"):
        corners(box().astype(np.float32), box().astype(np.float32))
