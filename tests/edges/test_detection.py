import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.morphology import area_opening

from hedgerow.edges.canny import canny
from hedgerow.edges.detection import Detection, Detector, adaptive_thresholds, gradient_counts, opened
from hedgerow.edges.views import view_of_mask
from hedgerow.errors import ScoreError


def box(value: int) -> np.ndarray:
    image = np.zeros((64, 64), np.uint8)
    image[16:48, 16:48] = value
    return image


def steepness(image: np.ndarray) -> np.ndarray:
    """|dx| + |dy| of the 3 x 3 Sobel gradient, term by term on a frame of repeated pixels."""
    p = np.pad(image.astype(int), 1, mode="edge")
    dx = (p[:, 2:] - p[:, :-2])[:-2] + 2 * (p[:, 2:] - p[:, :-2])[1:-1] + (p[:, 2:] - p[:, :-2])[2:]
    dy = (p[2:] - p[:-2])[:, :-2] + 2 * (p[2:] - p[:-2])[:, 1:-1] + (p[2:] - p[:-2])[:, 2:]
    return np.abs(dx) + np.abs(dy)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), low=st.floats(0, 1), high=st.floats(0, 1), sigma=st.sampled_from([0.3, 1, 3]))
def test_thresholds_let_pass_what_reaches_the_quantiles(seed: int, low: float, high: float, sigma: float) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (30, 41)).astype(np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), sigma)
    found = adaptive_thresholds(gradient_counts(image), low, high)
    gradients = steepness(image)
    expected = [np.quantile(gradients[gradients > 0], q, method="inverted_cdf") for q in (low, high)]
    assert [threshold + 1 for threshold in found] == expected


def test_the_gradient_of_colour_is_that_of_the_steepest_channel() -> None:
    image = np.random.default_rng(2).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    expected = np.max([steepness(image[..., k]) for k in range(3)], axis=0)
    assert np.array_equal(gradient_counts(image), np.bincount(expected.ravel(), minlength=2041))


def test_gradients_that_see_nodata_are_not_counted() -> None:
    valid = np.ones((64, 64), bool)
    valid[:, :30] = False
    image = np.where(valid, np.uint8(200), np.uint8(0))
    assert gradient_counts(image, valid)[0] == 64 * 33  # column 30 touches nodata
    assert gradient_counts(image, valid).sum() == 64 * 33


@pytest.mark.parametrize("value", [1, 20, 127, 255])
def test_a_box_of_any_height_has_the_edges_of_a_full_one(value: int) -> None:
    detector = Detection("adaptive").of_image(box(value))
    # Straight sides have a gradient of 4 x the height, and they are more than 80 % of all pixels with a gradient.
    assert (detector.low, detector.high) == (4 * value - 1, 4 * value - 1)
    assert np.array_equal(detector.edges(box(value)), canny(box(255)))


def test_a_flat_reference_takes_the_fixed_thresholds() -> None:
    assert Detection("adaptive").of_image(np.full((9, 9), 7, np.uint8)) == Detector(100, 200)


def test_a_view_has_the_thresholds_and_edges_of_its_raster() -> None:
    image = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 256, (50, 60)).astype(np.uint8), (0, 0), 1.5)
    valid = np.random.default_rng(6).random((50, 60)) > 0.002
    image = np.where(valid, image, np.uint8(0))
    view = view_of_mask(image, valid, (1.0, 1.0))
    for detection in (Detection(), Detection("adaptive"), Detection("adaptive", clean_px=4), Detection(clean_px=4)):
        detector = detection.of_view(view)
        assert detector == detection.of_image(image, valid)
        assert np.array_equal(view.once(detector), detector.edges(image, valid))
    assert view.once(Detector()) is view.edges


def test_equal_detectors_detect_once() -> None:
    view = view_of_mask(box(90), np.ones((64, 64), bool), (1.0, 1.0))
    assert view.once(Detector(30, 60)) is view.once(Detector(30, 60))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), least=st.integers(1, 12), share=st.sampled_from([0.1, 0.25, 0.4]))
def test_cleaning_is_an_area_opening(seed: int, least: int, share: float) -> None:
    edges = np.random.default_rng(seed).random((25, 33)) < share
    expected = area_opening(edges.astype(np.uint8), least, connectivity=2) > 0
    assert np.array_equal(opened(edges, least), expected)


def test_nothing_is_cleaned_by_default() -> None:
    edges = np.eye(5, dtype=bool)
    assert opened(edges, 0) is edges
    assert opened(edges, 5).sum() == 5
    assert not opened(edges, 6).any()


def test_what_edges_depend_on_is_recorded_and_named() -> None:
    assert Detection().suffixes == ()
    assert Detection().parameters == (("low", 100), ("high", 200))
    both = Detection("adaptive", clean_px=5)
    assert both.suffixes == ("adaptive", "clean5px")
    assert dict(both.parameters) == {
        "thresholds": "adaptive", "low_quantile": 0.5, "high_quantile": 0.8, "clean_px": 5
    }  # fmt: skip
    assert Detection("adaptive", 0.7, 0.9).suffixes == ("adaptive0.7-0.9",)


@pytest.mark.parametrize(
    "options", [{"thresholds": "otsu"}, {"low_quantile": 0.9}, {"high_quantile": 1.1}, {"clean_px": -1}]
)
def test_settings_that_mean_nothing_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ScoreError):
        Detection(**options)  # type: ignore[arg-type]
