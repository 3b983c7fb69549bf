from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hedgerow.edges.contingency import objects_of, overlaps


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 20), cols=st.integers(1, 20))
def test_the_table_counts_every_pixel_once(seed: int, rows: int, cols: int) -> None:
    a, b = np.random.default_rng(seed).integers(0, 5, (2, rows, cols)).astype(np.int32)
    table = overlaps(a, b)
    found = dict(zip(zip(table.a.tolist(), table.b.tolist(), strict=True), table.px.tolist(), strict=True))
    assert found == dict(Counter(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)))


def test_objects_are_4_connected_areas_of_one_label() -> None:
    labels = np.array([[7, 7, 0, 2], [0, 7, 2, 2], [5, 0, 7, 0]])
    found = objects_of(labels)
    assert len(found) == 4  # 7 twice: the diagonal does not link
    assert sorted(found.area_px.tolist()) == [1, 1, 3, 3]


def test_the_centre_is_the_mean_rounded_down() -> None:
    labels = np.zeros((6, 8), np.int32)
    labels[1:4, 2:6] = 3  # rows 1..3, columns 2..5: centre (2, 3.5)
    found = objects_of(labels)
    assert (found.row.tolist(), found.col.tolist(), found.area_px.tolist()) == ([2], [3], [12])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_a_mask_has_the_areas_that_scipy_finds(seed: int) -> None:
    mask = np.random.default_rng(seed).random((15, 17)) < 0.5
    expected, count = ndimage.label(mask)
    found = objects_of(mask)
    assert len(found) == count
    assert sorted(found.area_px) == sorted(np.bincount(expected.ravel())[1:])


def test_no_object_at_all() -> None:
    nothing = objects_of(np.zeros((4, 4), np.int32))
    assert len(nothing) == 0
    table = overlaps(nothing.labels, nothing.labels)
    assert (table.px.tolist(), table.of_objects().px.tolist()) == ([16], [])
