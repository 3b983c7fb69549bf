import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from hedgerow.edges.views import Pair, View, view_of_mask
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.ssim import Config, build, ssim

METRIC = build(Config())


def noise(seed: int, shape: tuple[int, int] = (40, 53)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def smooth(seed: int) -> np.ndarray:
    return cv2.GaussianBlur(noise(seed), (0, 0), 2)


def masks(seed: int) -> np.ndarray:
    return np.where(smooth(seed) > 127, np.uint8(255), np.uint8(0))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), draw=st.sampled_from([noise, smooth, masks]), height=st.integers(7, 40))
def test_similarity_is_that_of_scikit_image(seed: int, draw: object, height: int) -> None:
    test, reference = draw(seed)[:height], draw(seed + 1)[:height]  # type: ignore[operator]
    expected = structural_similarity(test, reference, win_size=7, data_range=255)
    assert ssim(test, reference).ssim == pytest.approx(expected, rel=1e-12)
    assert ssim(test, reference).n == (height - 6) * (53 - 6)


def test_the_mean_is_taken_over_windows_without_nodata() -> None:
    test, reference = smooth(1), smooth(2)
    valid = np.ones(test.shape, bool)
    valid[18:23, 30] = False
    _, each = structural_similarity(test, reference, win_size=7, data_range=255, full=True)
    clear = np.zeros_like(valid)
    clear[3:-3, 3:-3] = True
    clear[15:26, 27:34] = False  # three pixels round the five invalid ones
    found = ssim(test, reference, valid=valid)
    assert found.ssim == pytest.approx(each[clear].mean(), rel=1e-12)
    assert found.n == clear.sum()


def test_what_lies_under_nodata_does_not_matter() -> None:
    valid = np.ones((40, 53), bool)
    valid[:, 20:24] = False
    loud = np.where(valid, smooth(1), np.uint8(255))
    assert ssim(loud, smooth(2), valid=valid) == ssim(smooth(1), smooth(2), valid=valid)


def test_a_flat_offset_of_one_window_by_hand() -> None:
    # No variance: (2 * 100 * 120 + C1) / (100^2 + 120^2 + C1) with C1 = 2.55^2.
    one, other = (np.full((7, 7), value, np.uint8) for value in (100, 120))
    found = ssim(one, other)
    assert found.ssim == pytest.approx((24_000 + 6.5025) / (24_400 + 6.5025), rel=1e-12)
    assert found.n == 1


def test_the_negative_of_a_pattern_is_worse_than_nothing_alike() -> None:
    value = ssim(255 - noise(3), noise(3)).ssim
    assert value is not None
    assert -1 <= value < -0.5


def test_a_blank_image_is_similar_to_a_degree_and_flagged() -> None:
    blank = np.zeros((40, 53), np.uint8)
    expected = structural_similarity(blank, smooth(1), win_size=7, data_range=255)
    assert ssim(blank, smooth(1)).ssim == pytest.approx(expected, rel=1e-12)
    assert ssim(blank, smooth(1)).flag == "no border probabilities in the candidate"
    assert ssim(smooth(1), blank).flag == "no border probabilities in the reference"
    assert ssim(blank, blank).ssim is None
    assert ssim(blank, blank).flag == "no border probabilities in either map"


def test_an_image_smaller_than_a_window_has_no_similarity() -> None:
    assert ssim(noise(1)[:6], noise(2)[:6]).flag == "no window of 7 px lies in the valid area"
    assert ssim(noise(1)[:6], noise(2)[:6]).ssim is None


def test_the_booked_sums_are_those_of_the_function(pair_with_nodata: Pair) -> None:
    pair = pair_with_nodata
    (value,) = METRIC.conclude(totals(METRIC.book(pair)))
    found = ssim(pair.candidate.p, pair.reference.p, valid=pair.valid)
    assert (value.value, value.n) == (found.ssim, found.n)


def test_windows_are_booked_on_their_middle() -> None:
    valid = np.ones((20, 30), bool)
    p = np.zeros((20, 30), np.uint8)
    p[:, 15] = 255
    views: list[View] = [view_of_mask(image, valid, (1, 1)) for image in (np.zeros_like(p), p)]
    (booking,) = METRIC.book(Pair(*views))
    unlike = booking.values["similarity"] < 0.99
    assert set(booking.cols[unlike]) == set(range(12, 19))
    assert set(booking.rows[unlike]) == set(range(3, 17))


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ScoreError, match="uint8"):
        ssim(noise(1), noise(2)[1:])
    with pytest.raises(ScoreError, match="uint8"):
        ssim(noise(1).astype(np.float32), noise(2))  # type: ignore[arg-type]
