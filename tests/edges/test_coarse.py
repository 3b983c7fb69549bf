from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import block_reduce

from hedgerow.edges.coarse import block_majority, block_means, halved, quartered
from hedgerow.edges.views import View
from hedgerow.errors import ScoreError
from hedgerow.records import FIELD, OTHER, Regions


def most_frequent(block: np.ndarray) -> int:
    """Counter keeps the order in which labels were met, so the first of equals wins."""
    return int(Counter(block.ravel().tolist()).most_common(1)[0][0])


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 10_000),
    k=st.sampled_from([2, 4]),
    shape=st.tuples(st.integers(4, 21), st.integers(4, 21)),
    labels=st.integers(1, 6),
)
def test_each_block_takes_its_most_frequent_label(seed: int, k: int, shape: tuple[int, int], labels: int) -> None:
    raster = np.random.default_rng(seed).integers(1, labels + 1, shape).astype(np.int32)
    found = block_majority(raster, k)
    assert found.shape == (shape[0] // k, shape[1] // k)
    for row, col in np.ndindex(found.shape):
        assert found[row, col] == most_frequent(raster[row * k : (row + 1) * k, col * k : (col + 1) * k])


def test_the_numbering_of_labels_decides_nothing() -> None:
    raster = np.random.default_rng(4).integers(1, 9, (40, 60)).astype(np.int32)
    number = np.random.default_rng(5).permutation(9).astype(np.int32)
    for k in (2, 4):
        assert np.array_equal(block_majority(number[raster], k), number[block_majority(raster, k)])


def test_a_quarter_votes_by_its_sixteen_pixels_and_not_by_halves() -> None:
    # Label 2 wins three of the four halves, 2 : 1 : 1 each, but has 6 pixels where label 1 has 7.
    block = np.array([[2, 2, 2, 2], [1, 3, 1, 3], [2, 2, 1, 1], [1, 3, 1, 1]], np.int32)
    assert block_majority(block_majority(block, 2), 2).item() == 2
    assert block_majority(block, 4).item() == 1


@pytest.mark.parametrize("k", [2, 4])
def test_probabilities_are_averaged_and_halves_rounded_up(k: int) -> None:
    image = np.random.default_rng(k).integers(0, 256, (22, 31)).astype(np.uint8)
    whole = image[: 22 // k * k, : 31 // k * k]
    assert np.array_equal(block_means(image, k), np.floor(block_reduce(whole, (k, k), np.mean) + 0.5))
    assert block_means(np.array([[0, 1], [0, 1]], np.uint8), 2).item() == 1


def a_view(valid: np.ndarray) -> View:
    labels = np.ones(valid.shape, np.int32)
    labels[:, 7:] = 2
    p = np.full(valid.shape, 200, np.uint8)
    return View(p, Regions(labels, np.array([OTHER, FIELD, OTHER], np.uint8)), valid, (3.0, 5.0))


def test_a_coarse_pixel_is_valid_where_all_of_its_block_is() -> None:
    valid = np.ones((13, 18), bool)
    valid[5, 9] = False
    half, quarter = halved(a_view(valid)), quartered(a_view(valid))
    assert np.argwhere(~half.valid).tolist() == [[2, 4]]
    assert np.argwhere(~quarter.valid).tolist() == [[1, 2]]
    assert half.p[2, 4] == half.regions.labels[2, 4] == 0
    assert (half.shape, quarter.shape) == ((6, 9), (3, 4))
    assert (half.pixel_size_m, quarter.pixel_size_m) == ((6.0, 10.0), (12.0, 20.0))
    assert half.regions.class_of is not None
    assert half.classes[0].tolist() == [FIELD] * 4 + [OTHER] * 5  # columns 6 and 7 tie: the left one was met first


def test_a_map_without_a_whole_block_has_no_coarse_view() -> None:
    with pytest.raises(ScoreError, match="no block of 4 x 4"):
        quartered(a_view(np.ones((3, 18), bool)))
