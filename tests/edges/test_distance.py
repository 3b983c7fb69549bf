import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.edges.distance import distance_to, eroded, nearest, radius_m, radius_px, within


def brute_within(mask: np.ndarray, radius: tuple[float, float]) -> np.ndarray:
    points = np.argwhere(mask)
    out = np.zeros_like(mask)
    for y, x in np.ndindex(mask.shape):
        squares = ((points[:, 0] - y) / radius[0]) ** 2 + ((points[:, 1] - x) / radius[1]) ** 2
        out[y, x] = len(points) > 0 and squares.min() <= 1 + 1e-9
    return out


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), tolerance=st.sampled_from([0.5, 1, 1.5, 2, 3, 5, 13, 14.2]))
def test_within_is_the_euclidean_distance(seed: int, tolerance: float) -> None:
    mask = np.random.default_rng(seed).random((23, 31)) < 0.01
    assert np.array_equal(within(mask, radius_px(tolerance)), brute_within(mask, (tolerance, tolerance)))


@pytest.mark.parametrize("tolerance_m", [2.0, 5.0, 31.0])
def test_metres_draw_an_ellipse_on_pixels_that_are_not_square(tolerance_m: float) -> None:
    mask = np.zeros((41, 41), bool)
    mask[20, 20] = True
    size = (1.0, 0.7)
    found = within(mask, radius_m(tolerance_m, size))
    y, x = np.mgrid[-20:21, -20:21]
    assert np.array_equal(found, (y * size[0]) ** 2 + (x * size[1]) ** 2 <= tolerance_m**2 * (1 + 1e-9))


def test_zero_tolerance_is_the_set_itself() -> None:
    mask = np.eye(5, dtype=bool)
    assert np.array_equal(within(mask, radius_px(0)), mask)


def test_nothing_is_near_an_empty_set() -> None:
    nothing = np.zeros((40, 40), bool)
    assert not within(nothing, radius_px(2)).any()
    assert not within(nothing, radius_px(30)).any()
    assert np.isinf(distance_to(nothing)).all()


def test_the_frame_is_not_nodata() -> None:
    valid = np.ones((9, 9), bool)
    assert eroded(valid, 3).all()
    valid[4, 4] = False
    expected = np.ones((9, 9), bool)
    expected[2:7, 2:7] = False
    assert np.array_equal(eroded(valid, 2), expected)


def test_nearest_gives_the_place_of_a_closest_pixel() -> None:
    mask = np.random.default_rng(1).random((20, 25)) < 0.05
    rows, cols = nearest(mask)
    assert mask[rows, cols].all()
    y, x = np.indices(mask.shape)
    assert np.allclose(np.hypot(rows - y, cols - x), distance_to(mask))


def test_a_tolerance_of_three_pixels_in_metres_reaches_three_pixels() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    assert 0.3 / 0.1 < 3  # in floating point
    assert np.array_equal(within(mask, radius_m(0.3, (0.1, 0.1))), within(mask, radius_px(3)))
