import numpy as np
from skimage.morphology import skeletonize

from hedgerow.edges.thinning import BLOCK_PX, thinned


def test_a_band_becomes_its_centre_line() -> None:
    mask = np.zeros((40, 60), bool)
    mask[19:22, 5:55] = True
    lines = thinned(mask)
    # Zhang-Suen may bend the last pixel of an end; between the ends there is the centre row and nothing else.
    assert set(np.nonzero(lines[:, 7:53])[0]) == {20}
    assert lines[:, 7:53].sum() == 46


def test_a_raster_within_one_block_is_thinned_as_a_whole() -> None:
    mask = np.random.default_rng(0).random((80, 90)) < 0.6
    assert np.array_equal(thinned(mask), skeletonize(mask))


def test_a_line_across_a_block_seam_stays_in_one_piece() -> None:
    mask = np.zeros((60, BLOCK_PX + 100), bool)
    mask[29:32, :] = True
    lines = thinned(mask)
    assert lines[30, 5:-5].all()
    assert lines.sum(axis=0).max() == 1


def test_an_empty_raster_has_no_lines() -> None:
    assert not thinned(np.zeros((10, 10), bool)).any()
