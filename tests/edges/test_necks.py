"""How wide an area is, by hand and against erosion by a disk."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from hedgerow.edges.necks import BODY, BODY_WIDTH, CORE, PASSAGE, reach_px, widths


def disk(radius_m, pixel_m):
    """All pixels within a radius of the middle one, as a mask."""
    rows, cols = (int(radius_m // side) for side in pixel_m)
    row, col = np.mgrid[-rows : rows + 1, -cols : cols + 1]
    return (row * pixel_m[0]) ** 2 + (col * pixel_m[1]) ** 2 <= radius_m**2


@pytest.mark.parametrize("pixel_m", [(1.0, 1.0), (2.0, 1.3)])
@pytest.mark.parametrize("neck_m", [2.0, 3.0, 4.7])
def test_cores_and_bodies_are_what_erosion_by_a_disk_leaves(pixel_m, neck_m):
    rng = np.random.default_rng(3)
    keys = np.kron(rng.integers(0, 3, (6, 6)), np.ones((15, 15), int)).astype(np.int32)
    found = widths(keys, neck_m=neck_m, pixel_m=pixel_m)
    for level, radius in ((CORE, neck_m / 2), (BODY, BODY_WIDTH * neck_m / 2)):
        left = [binary_erosion(keys == k, disk(radius, pixel_m), border_value=1) for k in (1, 2)]
        assert np.array_equal(found >= level, np.any(left, axis=0))


def test_the_frame_makes_nothing_narrow():
    assert (widths(np.ones((3, 50), np.int32), neck_m=9.0, pixel_m=(1.0, 1.0)) == BODY).all()
    beside = np.array([[1, 1, 1, 0]], np.int32)
    assert widths(beside, neck_m=4.0, pixel_m=(1.0, 1.0)).tolist() == [[CORE, PASSAGE, PASSAGE, PASSAGE]]


@pytest.mark.parametrize("pixel_m", [(1.0, 0.8), (0.8, 1.0), (0.3, 0.3)])
def test_what_lies_beyond_the_reach_does_not_matter(pixel_m):
    # One pixel of another kind: every pixel around it, seen with its reach only, is what it is in the whole.
    keys = np.ones((81, 81), np.int32)
    keys[40, 40] = 0
    px = reach_px(3.0, pixel_m)
    whole = widths(keys, neck_m=3.0, pixel_m=pixel_m)
    for row, col in [(40, 40 + k) for k in range(1, 40)] + [(40 - k, 40) for k in range(1, 40)]:
        seen = (slice(max(row - px, 0), row + px + 1), slice(max(col - px, 0), col + px + 1))
        alone = widths(keys[seen], neck_m=3.0, pixel_m=pixel_m)[min(px, row), min(px, col)]
        assert alone == whole[row, col]
    assert set(np.unique(whole[40])) == {PASSAGE, CORE, BODY}
