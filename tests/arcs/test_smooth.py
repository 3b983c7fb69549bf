"""Corners become curves: Chaikin's points, within reach, for both neighbours at once, and never across a border."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.arcs.faces import faces, polygons
from hedgerow.arcs.join import join_tiles
from hedgerow.arcs.network import is_ring
from hedgerow.arcs.smooth import smoothed
from hedgerow.arcs.tile import tile_pieces
from hedgerow.edges.components import label_equal
from hedgerow.geo.windows import whole

FAR = 1e6


def arcs_of(ids):
    return join_tiles([tile_pieces(np.pad(ids, 1), whole(ids.shape), ids.shape)])


def smooth(ids, rounds, *, reach_m=FAR, pixel_m=(1.0, 1.0)):
    arcs = arcs_of(np.asarray(ids, np.int32))
    return arcs, smoothed(
        arcs, is_ring(arcs), rounds=rounds, pixel_m=pixel_m, shape=np.asarray(ids).shape, reach_m=reach_m
    )


def points_of(arcs, i):
    return arcs.points[arcs.offsets[i] : arcs.offsets[i + 1]]


def between(arcs, left, right):
    (i,) = np.flatnonzero((arcs.left == left) & (arcs.right == right))
    return points_of(arcs, i)


def shapes_of(arcs, exact):
    return polygons(faces(exact), arcs, arcs.points[:, ::-1].astype(float))


def chaikin(ring, rounds):
    """Corner cutting as it is written in textbooks: a quarter off both ends of every side, round by round."""
    for _ in range(rounds):
        after = np.roll(ring, -1, axis=0)
        ring = np.stack([0.75 * ring + 0.25 * after, 0.25 * ring + 0.75 * after], axis=1).reshape(-1, 2)
    return ring


@pytest.mark.parametrize("rounds", [1, 2, 3, 4])
def test_a_ring_gets_the_points_of_so_many_rounds_of_corner_cutting(rounds):
    ids = np.ones((9, 9), np.int32)
    ids[2:4, 2:7] = ids[2:7, 2:4] = 2
    arcs, found = smooth(ids, rounds)
    expected = chaikin(between(arcs, 1, 2)[:-1].astype(float), rounds)
    ring = between(found.arcs, 1, 2)
    assert ring[0].tolist() == ring[-1].tolist()
    assert sorted(ring[:-1].tolist()) == sorted(expected.tolist()), "quarters are exact"


def test_junctions_and_the_frame_stay():
    ids = np.repeat(np.repeat([[1, 2], [1, 3]], 4, axis=0), 4, axis=1)
    arcs, found = smooth(ids, 3)
    assert found.arcs.starts.tolist() == arcs.starts.tolist()
    assert found.arcs.ends.tolist() == arcs.ends.tolist()
    assert [0, 0] in found.arcs.points.tolist()
    assert shapely.area(shapes_of(found.arcs, arcs)).tolist() == [32, 16, 16], "nothing bends inside: nothing moves"


def test_a_curve_begins_no_farther_from_its_corner_than_asked():
    # Region 2 has one inner corner at (10, 10). A reach of 3 m is 3 px along the row and 1.5 px along the column here;
    # the one round puts its two points half way.
    ids = np.ones((20, 20), np.int32)
    ids[:10, :10] = 2
    ids = label_equal(ids)
    _, found = smooth(ids, 1, reach_m=3.0, pixel_m=(2.0, 1.0))
    line = between(found.arcs, 1, 2).tolist()
    assert sorted(line) == sorted([[10, 0], [10, 8.5], [9.25, 10], [0, 10]])
    _, unasked = smooth(ids, 1, reach_m=None)
    assert [10, 8] in between(unasked.arcs, 1, 2).tolist(), "4 px, half way"


def test_a_corner_that_would_sweep_over_another_border_stays_and_is_counted():
    # The triangle of the corner (10, 10) and the middles of its legs, (10, 5) and (5, 10), holds the island at (8, 8).
    ids = np.ones((20, 20), np.int32)
    ids[10:] = ids[:, 10:] = 2
    arcs, free = smooth(ids, 2)
    assert free.corners_kept == 0
    assert [10, 10] not in free.arcs.points.tolist()
    ids[8, 8] = 3
    arcs, found = smooth(ids, 2)
    assert found.corners_kept == 1
    assert [10, 10] in found.arcs.points.tolist()
    assert len(between(found.arcs, 1, 3)) == 4 * 4 + 1, "the island's own corners are free"
    assert shapely.coverage_is_valid(shapes_of(found.arcs, arcs))


def test_no_rounds_leave_everything_as_it_is():
    arcs, found = smooth(np.eye(5, dtype=np.int32) + 1, 0)
    assert found.arcs is arcs


@st.composite
def worlds(draw):
    shape = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    row, col = np.mgrid[: shape[0], : shape[1]]
    world = draw(st.sampled_from(["noise", "rings", "diagonals"]))
    labels = {
        "noise": rng.integers(0, 4, shape),
        "rings": np.maximum(abs(row - shape[0] // 2), abs(col - shape[1] // 2)) % 3,
        "diagonals": (row + col) // int(rng.integers(1, 4)) % 3,
    }[world]
    return label_equal(labels).astype(np.int32)


@settings(deadline=None, max_examples=40)
@given(worlds(), st.integers(1, 3), st.sampled_from([None, 1.0, FAR]), st.sampled_from([(1.0, 1.0), (0.7, 1.1)]))
def test_the_coverage_stays_valid_and_every_region_has_its_polygon(ids, rounds, reach_m, pixel_m):
    arcs, found = smooth(ids, rounds, reach_m=reach_m, pixel_m=pixel_m)
    shapes = shapes_of(found.arcs, arcs)
    assert len(shapes) == ids.max()
    if len(shapes):
        assert shapely.coverage_is_valid(shapes)
        assert shapely.is_valid(shapes).all()
        assert (shapely.area(shapes) > 0).all()
        assert shapely.area(shapes).sum() == pytest.approx(shapely.union_all(shapes).area, rel=1e-12)
