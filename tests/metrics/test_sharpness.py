import numpy as np
import pytest

from hedgerow.edges.views import Pair
from hedgerow.metrics._booking import totals
from hedgerow.metrics.sharpness import Config, build, sharpness

STEP = np.zeros((64, 64), np.uint8)
STEP[:, 32:] = 210  # a multiple of 3, 5 and 7: the blurred ramps are whole numbers


def blurred(k: int) -> np.ndarray:
    padded = np.pad(STEP.astype(np.int64), ((0, 0), (k // 2, k // 2)), mode="edge")
    return (sum(padded[:, j : j + 64] for j in range(k)) // k).astype(np.uint8)


@pytest.mark.parametrize("k", [3, 5, 7])
def test_a_box_blur_of_k_pixels_leaves_two_kths_of_the_slope(k: int) -> None:
    found = sharpness(blurred(k), STEP)
    assert found.sharpness == pytest.approx(2 / k, rel=1e-12)
    assert found.sharpness_raw == pytest.approx(2 / k, rel=1e-12)


def test_over_sharpening_shows_in_the_raw_form_only() -> None:
    found = sharpness(STEP, blurred(5))
    assert found.sharpness == 1.0
    assert found.sharpness_raw == pytest.approx(2.5)


def test_an_edge_beyond_two_pixels_is_not_compared() -> None:
    moved = np.roll(STEP, 3, 1)
    moved[:, :3] = 0
    found = sharpness(moved, STEP)
    assert (found.matched, found.sharpness, found.flag) == (0, 0.0, None)


def test_empty_images_follow_the_one_rule() -> None:
    flat = np.zeros_like(STEP)
    assert sharpness(flat, flat).sharpness is None
    assert sharpness(flat, flat).flag == "no edges in either map"
    assert sharpness(flat, STEP).sharpness == 0.0
    assert sharpness(STEP, flat).sharpness == 0.0


def test_the_booked_sums_are_those_of_the_function(pair_with_nodata: Pair) -> None:
    pair = pair_with_nodata
    metric = build(Config())
    found = sharpness(pair.candidate.p, pair.reference.p, valid=pair.valid)
    values = metric.conclude(totals(metric.book(pair)))
    assert [value.value for value in values] == [found.sharpness, found.sharpness_raw]
    assert values[0].n == found.n_reference > 0
