import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.edges.canny import canny, gradient_magnitude, linked


def noise(seed: int, shape: tuple[int, int], sigma: float = 1.0) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    blurred = cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma)
    return np.clip((blurred - 128) * (1 + 3 * sigma) + 128, 0, 255).astype(np.uint8)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000), rows=st.integers(5, 60), cols=st.integers(5, 60), sigma=st.sampled_from([0.5, 1, 2])
)
def test_candidates_linked_to_seeds_are_opencvs_edges(seed: int, rows: int, cols: int, sigma: float) -> None:
    image = noise(seed, (rows, cols), sigma)
    parts = (cv2.Canny(image, 100, 100) > 0, cv2.Canny(image, 200, 200) > 0)
    assert np.array_equal(linked(*parts), cv2.Canny(image, 100, 200) > 0)


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3)])
def test_edges_of_a_valid_image_are_opencvs(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(4).integers(0, 256, shape).astype(np.uint8)
    expected = cv2.Canny(image, 100, 200) > 0
    assert expected.any()
    assert np.array_equal(canny(image), expected)
    assert np.array_equal(canny(image, np.ones(shape[:2], bool)), expected)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000), rows=st.integers(1, 40), cols=st.integers(1, 40), step=st.sampled_from([1, 64, 255])
)
def test_colour_edges_are_opencvs_also_where_channels_tie(seed: int, rows: int, cols: int, step: int) -> None:
    image = noise(seed, (rows, cols, 3)) // step * step
    image[..., seed % 3] = image[..., 1]
    assert np.array_equal(canny(image), cv2.Canny(image, 100, 200) > 0)
    cropped = image[rows // 3 :, cols // 3 :]
    assert np.array_equal(canny(cropped), cv2.Canny(np.ascontiguousarray(cropped), 100, 200) > 0)


def test_edges_far_from_nodata_are_those_of_the_whole_image() -> None:
    image = np.zeros((60, 60), np.uint8)
    image[35:50, 30:50] = 255
    valid = np.ones((60, 60), bool)
    valid[:10, :10] = False
    assert np.array_equal(canny(image, valid), cv2.Canny(image, 100, 200) > 0)


def test_a_filled_collar_seeds_no_weak_edge() -> None:
    # A step of 40 gives a gradient of 160: a candidate, no seed. The collar's step to 0 gives 4 x 120 = 480: a seed.
    image = np.full((64, 64), 120, np.uint8)
    image[32:, :] = 160
    valid = np.ones((64, 64), bool)
    valid[:, :12] = False
    filled = np.where(valid, image, np.uint8(0))
    leaking = (cv2.Canny(filled, 100, 200) > 0)[:, 15:]
    assert leaking.sum() > 40
    assert not canny(filled, valid).any()


def test_gradient_of_a_step_is_four_times_its_height() -> None:
    image = np.zeros((9, 9), np.uint8)
    image[:, 5:] = 50
    expected = np.zeros((9, 9))
    expected[:, 4:6] = 200
    assert np.array_equal(gradient_magnitude(image), expected)


def test_gradient_beside_nodata_is_zero() -> None:
    image = np.full((9, 9), 200, np.uint8)
    valid = np.ones((9, 9), bool)
    valid[:, :3] = False
    assert not gradient_magnitude(np.where(valid, image, np.uint8(0)), valid).any()


@pytest.mark.parametrize(("first_invalid", "kept"), [(13, False), (14, False), (15, True), (16, True)])
def test_edges_within_two_pixels_of_nodata_are_removed(first_invalid: int, kept: bool) -> None:
    image = np.zeros((40, 40), np.uint8)
    image[:, 12:] = 255
    (column,) = set(np.nonzero(canny(image)[5:-5])[1])
    assert column in (11, 12)
    valid = np.ones((40, 40), bool)
    valid[:, column + first_invalid - 12 :] = False  # the nearest invalid pixel is 1, 2, 3, 4 px away
    assert canny(image, valid).any() == kept
