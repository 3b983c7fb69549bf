import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.morphology import skeletonize

from hedgerow.edges.views import Pair, View, view_of_truth
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.cldice import Config, build, cldice
from hedgerow.records import OTHER, Regions


def blobs(seed: int, shape: tuple[int, int] = (40, 50)) -> np.ndarray:
    field = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=shape), (0, 0), 3)
    return field > 0.3 * field.std()


def bar(*, rows: tuple[int, int] = (10, 15), cols: tuple[int, int] = (5, 45)) -> np.ndarray:
    mask = np.zeros((30, 50), bool)
    mask[slice(*rows), slice(*cols)] = True
    return mask


def truth(line: np.ndarray) -> View:
    regions = Regions(np.ones(line.shape, np.int32), np.array([OTHER, OTHER], np.uint8))
    return view_of_truth(regions, line, np.ones(line.shape, bool), (1.0, 1.0))


def score(candidate: np.ndarray, reference: np.ndarray) -> float | None:
    metric = build(Config())
    (value,) = metric.conclude(totals(metric.book(Pair(truth(candidate), truth(reference)))))
    return value.value


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_it_is_the_harmonic_mean_of_both_shares_of_skeletons_inside_masks(seed: int) -> None:
    test, reference = blobs(seed), blobs(seed + 1)
    precision, sensitivity = reference[skeletonize(test)].mean(), test[skeletonize(reference)].mean()
    found = cldice(test, reference)
    assert (found.precision, found.sensitivity) == pytest.approx((precision, sensitivity), rel=1e-12)
    assert found.cldice == pytest.approx(2 * precision * sensitivity / (precision + sensitivity), rel=1e-12)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_identity_is_exactly_one(seed: int) -> None:
    found = cldice(blobs(seed), blobs(seed))
    assert (found.cldice, found.flag) == (1.0, None)
    assert found.n_reference == found.hit_reference > 0


def test_width_does_not_matter() -> None:
    assert cldice(bar(rows=(10, 15)), bar(rows=(11, 14))).cldice == 1.0


def test_a_line_beside_the_other_mask_is_lost() -> None:
    assert cldice(bar(rows=(20, 25)), bar(rows=(10, 15))).cldice == 0.0


def test_half_a_line_has_full_precision_and_half_sensitivity() -> None:
    whole, half = np.zeros((2, 30, 50), bool)
    whole[10, 5:45] = half[10, 5:25] = True
    # A truth's mask is its line, 3 px wide: half the line covers one pixel more of the whole one, 21 of 40.
    assert score(half, whole) == pytest.approx(2 * (21 / 40) / (1 + 21 / 40), rel=1e-12)
    assert score(whole, half) == score(half, whole)


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (1, 1.0), (2, 0.0)])
def test_burned_lines_lie_inside_each_other_up_to_one_pixel(shift: int, expected: float) -> None:
    line = np.zeros((30, 50), bool)
    line[10, 5:45] = True
    assert score(np.roll(line, shift, 0), line) == expected


def test_empty_masks_follow_the_one_rule() -> None:
    nothing = np.zeros((30, 50), bool)
    both, lost, surplus = cldice(nothing, nothing), cldice(nothing, bar()), cldice(bar(), nothing)
    assert (both.cldice, both.flag) == (None, "no lines in either map")
    assert (lost.cldice, lost.flag) == (0.0, "no lines in the candidate")
    assert (surplus.cldice, surplus.flag) == (0.0, "no lines in the reference")


def test_what_is_invalid_is_background() -> None:
    valid = np.ones((30, 50), bool)
    valid[:, 30:] = False
    found = cldice(bar(), bar(cols=(5, 30)), valid=valid)
    assert found.cldice == 1.0
    assert found.n_test == skeletonize(bar(cols=(5, 30))).sum()


def test_the_booked_sums_are_those_of_the_function(pair_with_nodata: Pair) -> None:
    metric = build(Config())
    (value,) = metric.conclude(totals(metric.book(pair_with_nodata)))
    masks = (view.p >= 128 for view in (pair_with_nodata.candidate, pair_with_nodata.reference))
    found = cldice(*masks, valid=pair_with_nodata.valid)
    assert (value.value, value.n) == (found.cldice, found.n_reference)
    assert 0 < found.cldice < 1  # type: ignore[operator]


def test_masks_must_be_bool_and_of_one_shape() -> None:
    with pytest.raises(ScoreError, match="bool masks of one shape"):
        cldice(bar().astype(np.uint8), bar())  # type: ignore[arg-type]
    with pytest.raises(ScoreError, match="bool masks of one shape"):
        cldice(bar(), bar()[1:])
