import cv2
import numpy as np
import pytest

from hedgerow.edges.harris import IDEAL_CORNER, harris_response, local_maxima


def box(value: int = 255) -> np.ndarray:
    image = np.zeros((32, 32), np.uint8)
    image[8:24, 8:24] = value
    return image


@pytest.mark.parametrize("seed", range(5))
def test_response_is_opencvs(seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (70, 83)).astype(np.uint8)
    expected = cv2.cornerHarris(image, 2, 3, 0.04)
    assert np.abs(harris_response(image) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_tile_has_the_response_of_the_whole() -> None:
    image = np.random.default_rng(8).integers(0, 256, (90, 90)).astype(np.uint8)
    whole, tile = harris_response(image), harris_response(image[20:70, 15:60])
    assert np.array_equal(whole[23:67, 18:57], tile[3:47, 3:42])


def test_an_ideal_corner_and_a_straight_edge() -> None:
    response = harris_response(box())
    assert response.max() == pytest.approx(0.1083984375, rel=1e-12)
    assert IDEAL_CORNER == 0.1083984375
    assert sorted(map(tuple, np.argwhere(np.isclose(response, response.max())))) == [
        (9, 9), (9, 23), (23, 9), (23, 23)
    ]  # fmt: skip
    # Two columns of Sobel 4 x 255 / 2040 = 1/2, two rows: sum of squares 4 x 1/4 = 1, so R = -0.04 x 1^2.
    assert response.min() == pytest.approx(-0.04, rel=1e-12)


def test_contrast_enters_with_its_fourth_power() -> None:
    assert harris_response(box(204)).max() == pytest.approx(0.8**4 * IDEAL_CORNER, rel=1e-12)


def test_a_box_has_four_corners() -> None:
    assert local_maxima(harris_response(box()), 0.01 * IDEAL_CORNER).sum() == 4
