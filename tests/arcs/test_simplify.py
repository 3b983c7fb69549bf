"""Simplified borders: still one valid coverage, points only dropped, both neighbours moved together."""

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from hedgerow.arcs.faces import faces, polygons
from hedgerow.arcs.join import join_tiles
from hedgerow.arcs.network import corner_keys
from hedgerow.arcs.simplify import simplified
from hedgerow.arcs.tile import tile_pieces
from hedgerow.edges.components import label_equal
from hedgerow.geo.windows import whole


def arcs_of(ids):
    return join_tiles([tile_pieces(np.pad(ids, 1), whole(ids.shape), ids.shape)])


def blobs(height, width, seed):
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.standard_normal((height, width)), rng.uniform(0.5, 3))
    return label_equal(np.digitize(smooth, np.quantile(smooth, [0.3, 0.6, 0.8]))).astype(np.int32)


def simple_of(ids, tolerance_m, pixel_m=(1.0, 1.0)):
    arcs = arcs_of(ids)
    found = faces(arcs)
    return arcs, found, simplified(arcs, found, tolerance_m=tolerance_m, pixel_m=pixel_m)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(2, 60), st.integers(2, 60), st.integers(0, 10_000), st.sampled_from([0.5, 1, 2, 5, 20]),
    st.sampled_from([(1.0, 1.0), (10.003, 10.004), (0.7, 1.1)]),
)  # fmt: skip
def test_the_coverage_stays_valid_with_the_same_regions_and_junctions(height, width, seed, tolerance, pixel_m):
    arcs, found, simple = simple_of(blobs(height, width, seed), tolerance, pixel_m)
    shapes = polygons(found, simple, simple.points[:, ::-1].astype(float))
    assert len(shapes) == len(found.ids)
    if len(shapes):
        assert shapely.coverage_is_valid(shapes)
        assert shapely.is_valid(shapes).all()
    assert np.isin(corner_keys(simple.points), corner_keys(arcs.points)).all(), "points are dropped, never moved"
    open_ends = (arcs.starts != arcs.ends).any(axis=1)
    assert np.array_equal(simple.starts[open_ends], arcs.starts[open_ends])


def test_no_tolerance_keeps_every_point():
    arcs, _, simple = simple_of(blobs(30, 30, 1), 0.0)
    assert simple is arcs


def test_a_staircase_becomes_nearly_straight():
    # 38 steps of 0.5 m2 triangles; Visvalingam's order may leave one point in the middle.
    row, col = np.mgrid[:20, :20]
    _, _, simple = simple_of((1 + (row > col)).astype(np.int32), 2.0)
    border = int(np.flatnonzero((simple.left == 1) & (simple.right == 2))[0])
    assert simple.offsets[border + 1] - simple.offsets[border] <= 3


def test_a_notch_goes_when_its_triangles_are_below_the_tolerance():
    # A notch of 1 x 1 px: each of its corners makes a triangle of 0.5 m2 with its neighbours, sqrt(0.5) = 0.71 m.
    ids = np.ones((6, 9), np.int32)
    ids[3:] = 2
    ids[2, 4] = 2
    kept = [
        int(np.diff(simple.offsets)[(simple.left == 1) & (simple.right == 2)][0])
        for _, _, simple in (simple_of(ids, 0.70), simple_of(ids, 2.0))
    ]
    assert kept == [6, 2]


def test_the_tolerance_means_metres_along_both_axes():
    # The same notch on pixels of 2 x 0.5 m has the same triangles; on pixels of 2 x 2 m they are four times as large.
    ids = np.ones((6, 9), np.int32)
    ids[3:] = 2
    ids[2, 4] = 2
    points = {pixel_m: int(np.diff(simple_of(ids, 0.9, pixel_m)[2].offsets)[1]) for pixel_m in ((2.0, 0.5), (2.0, 2.0))}
    assert points[2.0, 0.5] < points[2.0, 2.0]


def test_a_small_island_keeps_a_ring():
    ids = np.ones((9, 9), np.int32)
    ids[4, 4] = 2
    _, found, simple = simple_of(ids, 50.0)
    shapes = polygons(found, simple, simple.points[:, ::-1].astype(float))
    assert shapes[1].area > 0
    assert shapely.coverage_is_valid(shapes)
