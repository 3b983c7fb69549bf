"""Nearly straight becomes straight, nearly square becomes square, and the coverage holds: by hand and at random."""

from functools import partial

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

from hedgerow.arcs.adjust import Wishes, between, moves, on_line, parallel
from hedgerow.arcs.axes import Sides, directions
from hedgerow.arcs.faces import faces, polygons
from hedgerow.arcs.join import join_tiles
from hedgerow.arcs.lines import fitted
from hedgerow.arcs.regularize import regularized
from hedgerow.arcs.simplify import simplified
from hedgerow.arcs.straighten import straightened
from hedgerow.arcs.tile import tile_pieces
from hedgerow.edges.components import label_equal
from hedgerow.geo.windows import whole

METRE = (1.0, 1.0)


def arcs_of(ids):
    return join_tiles([tile_pieces(np.pad(ids, 1), whole(ids.shape), ids.shape)])


def flipped(points, pixel_m=METRE):
    """The plane in which the tests look at their maps: x to the right, y down, metres."""
    return points[:, ::-1] * np.asarray(pixel_m[::-1])


def shapes_of(arcs, exact, pixel_m=METRE):
    return polygons(faces(exact), arcs, flipped(arcs.points, pixel_m))


def regular(ids, move_m, pixel_m=METRE):
    arcs = arcs_of(np.asarray(ids, np.int32))
    found = regularized(
        arcs, faces(arcs), move_m=move_m, pixel_m=pixel_m, shape=np.asarray(ids).shape,
        in_crs=partial(flipped, pixel_m=pixel_m),
    )  # fmt: skip
    return arcs, found


def turns(shape):
    """Angles in degrees between the sides at every corner of a polygon."""
    corners = np.asarray(shape.exterior.coords)[:-1]
    one, other = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    cross, dot = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0], (one * other).sum(axis=1)
    return np.degrees(abs(np.arctan2(cross, dot)))


def block(height, width, turn, parcels=1):
    """Parcels of height x width side by side, turned by some degrees, as polygons around (60, 60)."""
    grid = [shapely.box(60 + k * width, 60, 60 + (k + 1) * width, 60 + height) for k in range(parcels)]
    return [shapely.affinity.rotate(box, turn, origin=(60, 60)) for box in grid]


def burned(shapes, size=160):
    return rasterize(
        [(shape, k) for k, shape in enumerate(shapes, start=1)], (size, size), transform=Affine.identity(),
        dtype="int32",
    )  # fmt: skip


@pytest.mark.parametrize("turn", [0, 7, 20, 45, 73])
def test_a_turned_rectangle_gets_its_four_right_angles_back(turn):
    (truth,) = block(40, 60, turn)
    ids = burned([truth])
    arcs, found = regular(ids, 2.0)
    (shape,) = shapes_of(found.arcs, arcs)
    assert len(shape.exterior.coords) == 5
    assert turns(shape) == pytest.approx([90] * 4, abs=0.1)
    # A border of some 50 px through a raster lies within half a pixel of where it was, and so do its corners, nearly.
    assert shape.hausdorff_distance(truth) < 1.0
    assert shape.area == pytest.approx(truth.area, rel=0.02)
    assert found.corners_kept == 0


@pytest.mark.parametrize("turn", [0, 12, 30])
def test_parcels_side_by_side_stay_one_row_with_straight_sides(turn):
    truth = block(50, 20, turn, parcels=3)
    arcs, found = regular(burned(truth), 3.0)
    shapes = shapes_of(found.arcs, arcs)
    assert shapely.coverage_is_valid(shapes)
    row = shapely.union_all(shapes).simplify(0.05)
    assert len(row.exterior.coords) == 5, "the parcels' own borders end in straight lines"
    assert turns(row) == pytest.approx([90] * 4, abs=0.5)
    for shape, true in zip(shapes, truth, strict=True):
        # Corners of three parcels are shared: a compromise between their lines, nearly right.
        assert np.sort(abs(turns(shape) - 90))[:4].max() < 1.0
        assert shape.hausdorff_distance(true) < 1.5


def test_what_is_round_gets_no_right_angles():
    (truth,) = [shapely.Point(80, 80).buffer(50)]
    arcs, found = regular(burned([truth]), 2.0)
    (shape,) = shapes_of(found.arcs, arcs)
    assert (turns(shape) < 60).all()
    assert shape.area == pytest.approx(truth.area, rel=0.03)


def test_a_border_that_others_end_at_stays_straight_there():
    # A disk cut by a line, and one half of it by another: nothing here has right angles.
    disk = shapely.Point(80, 80).buffer(60)
    line = shapely.affinity.rotate(shapely.box(0, 80, 160, 240), 25, origin=(80, 80))
    other = shapely.affinity.rotate(shapely.box(80, -80, 240, 80), 55, origin=(80, 80))
    half, rest = disk & line, disk - line
    _, found = regular(burned([half, rest & other, rest - other]), 2.0)
    one, two = (
        found.arcs.points[found.arcs.offsets[i] : found.arcs.offsets[i + 1]]
        for i in range(len(found.arcs))
        if (found.arcs.left[i], found.arcs.right[i]) in ((1, 2), (1, 3))
    )
    assert len(one) == len(two) == 2
    (meeting,) = {tuple(p) for p in one.tolist()} & {tuple(p) for p in two.tolist()}
    ends = [p for p in [*one.tolist(), *two.tolist()] if tuple(p) != meeting]
    assert shapely.LineString(ends).distance(shapely.Point(meeting)) < 0.01


def test_what_does_not_fit_in_one_place_leaves_others_alone():
    # Beside the parcel lies a patch of noise: many of its corners have to stay, and all touch the same background.
    ids = burned(block(40, 60, 20)) + 1
    ids[5:29, 130:154] = np.random.default_rng(0).integers(1, 4, (24, 24))
    ids = label_equal(ids).astype(np.int32)
    arcs, found = regular(ids, 3.0)
    assert found.corners_kept > 0
    shapes = shapes_of(found.arcs, arcs)
    assert shapely.coverage_is_valid(shapes)
    assert turns(shapes[ids[90, 60] - 1]) == pytest.approx([90] * 4, abs=0.1)


def test_a_corner_does_not_swallow_an_island():
    # A parcel with a corner cut off, and a field of 1 px where its corner would be, with nodata between them.
    row, col = np.mgrid[:50, :50]
    ids = ((abs(row - 24.5) < 15) & (abs(col - 22.5) < 15) & (row - 10 + 37 - col >= 6)).astype(np.int32)
    free_arcs, free = regular(ids, 6.0)
    assert shapely.area(shapes_of(free.arcs, free_arcs)).tolist() == pytest.approx([900], abs=10)
    ids[12, 36] = 2
    arcs, found = regular(ids, 6.0)
    shapes = shapes_of(found.arcs, arcs)
    assert found.corners_kept > 0
    assert shapely.coverage_is_valid(shapes)
    assert not shapes[0].intersects(shapes[1])


def test_a_hole_does_not_turn_inside_out():
    # Nodata: a block of 12 x 12 m, and a pixel at its corner, of which simplifying leaves a triangle. The corner that
    # they share goes with the block's sides: over the triangle's far side, if nobody looks. Nothing crosses by that.
    nodata = burned([shapely.affinity.rotate(shapely.box(14, 14, 26, 26), 81)], size=40)
    nodata[13, 15] = 1
    exact = arcs_of(1 - nodata)
    simple = simplified(exact, faces(exact), tolerance_m=2.0, pixel_m=METRE)
    found = regularized(simple, faces(exact), move_m=4.0, pixel_m=METRE, shape=nodata.shape, in_crs=flipped)
    before, after = (
        [shapely.LinearRing(ring) for ring in np.split(arcs.points, arcs.offsets[1:-1])]
        for arcs in (simple, found.arcs)
    )
    assert len(before) == 3
    assert [ring.is_ccw for ring in after] == [ring.is_ccw for ring in before]
    assert found.corners_kept > 0


def test_the_frame_stays_where_it_is():
    rng = np.random.default_rng(1)
    arcs, found = regular(label_equal(np.kron(rng.integers(0, 3, (6, 6)), np.ones((6, 6), int)) + 1), 3.0)
    outside = shapely.union_all(shapes_of(found.arcs, arcs))
    assert outside.symmetric_difference(shapely.box(0, 0, 36, 36)).area == pytest.approx(0, abs=1e-9)


def test_nothing_is_done_when_nothing_is_asked_for():
    arcs, found = regular(np.eye(5, dtype=np.int32) + 1, 0.0)
    assert found.arcs is arcs


def test_metres_mean_metres_along_both_axes():
    # A notch 1 px wide and 1 px deep, on pixels of 4 m x 1 m: 4 m deep from the side, 1 m deep from above.
    side, above = np.ones((9, 9), np.int32), np.ones((9, 9), np.int32)
    side[:, 5:], above[5:] = 2, 2
    side[4, 5], above[5, 4] = 1, 1
    for ids, depth in ((side, 1.0), (above, 4.0)):
        for distance, is_straight in ((depth * 0.9, False), (depth * 1.1, True)):
            straight = straightened(arcs_of(ids), distance_m=distance, pixel_m=(4.0, 1.0))
            (points,) = np.diff(straight.offsets)[(straight.left == 1) & (straight.right == 2)]
            assert (points == 2) == is_straight


def test_two_borders_between_the_same_corners_do_not_fall_on_each_other():
    # A sliver of 1 px between two fields: both of its long borders are straight lines from corner to corner.
    ids = np.ones((8, 12), np.int32)
    ids[4:] = 2
    ids[4, 3:9] = 3
    arcs = arcs_of(ids)
    straight = straightened(arcs, distance_m=5.0, pixel_m=METRE)
    shapes = shapes_of(straight, arcs)
    assert shapely.coverage_is_valid(shapes)
    assert (shapely.area(shapes) > 0).all()


@st.composite
def worlds(draw):
    shape = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    row, col = np.mgrid[: shape[0], : shape[1]]
    size = int(rng.integers(2, 7))
    world = draw(st.sampled_from(["noise", "blobs", "rings", "diagonals"]))
    labels = {
        "noise": rng.integers(0, 4, shape),
        "blobs": np.kron(rng.integers(0, 4, (13, 13)), np.ones((size, size), int))[: shape[0], : shape[1]],
        "rings": np.maximum(abs(row - shape[0] // 2), abs(col - shape[1] // 2)) // int(rng.integers(1, 4)) % 3,
        "diagonals": (row + col) // int(rng.integers(1, 4)) % 3,
    }[world]
    return label_equal(labels).astype(np.int32)


@settings(deadline=None, max_examples=40)
@given(worlds(), st.sampled_from([0.5, 0.8, 2, 6]), st.sampled_from([METRE, (0.7, 1.1)]))
def test_straight_borders_keep_the_coverage_and_the_distance(ids, distance, pixel_m):
    arcs = arcs_of(ids)
    straight = straightened(arcs, distance_m=distance, pixel_m=pixel_m)
    before, after = shapes_of(arcs, arcs, pixel_m), shapes_of(straight, arcs, pixel_m)
    assert len(before) == len(after)
    if len(after):
        assert shapely.coverage_is_valid(after)
        assert (shapely.area(after) > 0).all()
    for i in range(len(arcs)):
        old, new = (
            shapely.LineString(flipped(a.points[a.offsets[i] : a.offsets[i + 1]], pixel_m)) for a in (arcs, straight)
        )
        assert old.hausdorff_distance(new) <= distance + 1e-9
        assert old.is_ring or (old.coords[0], old.coords[-1]) == (new.coords[0], new.coords[-1])


@settings(deadline=None, max_examples=40)
@given(worlds(), st.sampled_from([0.8, 2, 6]), st.sampled_from([METRE, (0.7, 1.1)]))
def test_regular_borders_keep_the_coverage_and_no_border_strays_far(ids, move, pixel_m):
    arcs, found = regular(ids, move, pixel_m)
    before, after = shapes_of(arcs, arcs, pixel_m), shapes_of(found.arcs, arcs, pixel_m)
    assert len(before) == len(after)
    if len(after):
        assert shapely.coverage_is_valid(after)
        assert shapely.is_valid(after).all()
        assert shapely.area(after).sum() == pytest.approx(shapely.union_all(after).area, rel=1e-12)
        straight = straightened(arcs, distance_m=move, pixel_m=pixel_m)
        moved = (found.arcs.points - straight.points) * pixel_m
        assert np.hypot(*moved.T).max() <= move + 1e-9
        assert (shapely.area(after) >= shapely.area(shapes_of(straight, arcs, pixel_m)) / 2).all()
        # Once for the straight line, once for the move of its ends.
        assert shapely.hausdorff_distance(before, after).max() <= 2 * move + 1e-9


# The parts, by hand.


def test_the_line_of_a_staircase_is_its_diagonal():
    stairs = np.array([[0, 0], [1, 0], [1, 1], [2, 1], [2, 2], [3, 2], [3, 3]], float)
    line = fitted(stairs, np.array([0]), np.array([6]), aside=0.0)
    assert line.middle.tolist() == [[1.75, 1.25]]
    assert np.degrees(line.angle) == pytest.approx([45])
    back = fitted(stairs[::-1], np.array([0]), np.array([6]), aside=0.0)
    assert np.degrees(back.angle) == pytest.approx([225])


def test_the_rounded_ends_of_a_long_line_do_not_count():
    # A straight line of 20 m whose last metre bends away: left out, it is horizontal.
    bent = np.array([[0, 0], [10, 0], [19, 0], [20, 5]], float)
    line = fitted(bent, np.array([0]), np.array([3]), aside=3.0)
    assert line.angle.tolist() == [0.0]
    assert line.middle[0, 1] == 0.0


def square_sides(*angles, left=1, right=0):
    count = len(angles)
    return Sides(np.radians(angles), np.full(count, 10.0), np.full(count, left), np.full(count, right))


def test_sides_run_along_or_across_the_axis_of_their_parcel():
    # Three sides agree on 7 degrees, modulo 90; the fourth is off by 3, and a fifth, short one by 40.
    sides = Sides(np.radians([7, 97, 187, 280, 47]), np.array([10.0, 10, 10, 10, 1]), np.full(5, 1), np.zeros(5, int))
    told = np.degrees(directions(sides, 2, move=1.0))
    axis = told[0]
    assert axis == pytest.approx(7.75, abs=0.1), "the mean of 7, 7, 7 and 10"
    assert told[:4] == pytest.approx([axis, axis + 90, axis + 180, axis + 270])
    assert np.isnan(told[4])


def test_a_long_side_is_not_turned_farther_than_its_ends_may_move():
    # 10 m turned by 0.75 and 2.25 degrees about its middle: its ends move by 5 m x sin: 0.065 m and 0.196 m.
    sides = square_sides(7, 97, 187, 280)
    assert np.isnan(directions(sides, 2, move=0.15)).tolist() == [False, False, False, True]


def test_a_parcel_without_right_angles_tells_nothing():
    assert np.isnan(directions(square_sides(0, 60, 120), 2, move=9.0)).all()


def test_neighbours_with_nearly_one_axis_share_it():
    one, other = square_sides(0, 90, 180), square_sides(1, 91, 181, left=2)
    shared = Sides(np.radians([270.5]), np.array([10.0]), np.array([1]), np.array([2]))
    sides = Sides(*(np.concatenate([getattr(s, n) for s in (one, other, shared)]) for n in Sides.__annotations__))
    told = np.degrees(directions(sides, 3, move=1.0))
    assert told % 90 == pytest.approx([0.5] * 7, abs=1e-6)


def test_a_corner_goes_where_its_lines_meet():
    corner = np.array([0, 0])
    wishes = on_line(corner, np.array([[5.0, 0], [0, 5]]), np.radians([0, 90]), weight=1.0)
    move = moves(wishes, np.array([[0.3, -0.2]]), np.zeros((1, 2), bool), rest=1e-9)
    assert move == pytest.approx(np.array([[-0.3, 0.2]]), abs=1e-6)


def test_a_side_takes_its_direction_with_the_least_moves():
    at = np.array([[0.0, 0], [10, 1]])
    wishes = parallel(np.array([0]), np.array([1]), np.array([0.0]), weight=1e6)
    move = moves(wishes, at, np.zeros((2, 2), bool), rest=1.0)
    assert move == pytest.approx(np.array([[0, 0.5], [0, -0.5]]), abs=1e-4)


def test_what_is_fixed_stays_and_the_other_end_does_all():
    at = np.array([[0.0, 0], [10, 1]])
    wishes = parallel(np.array([0]), np.array([1]), np.array([0.0]), weight=1e6)
    move = moves(wishes, at, np.array([[True, True], [False, False]]), rest=1.0)
    assert move == pytest.approx(np.array([[0, 0], [0, -1]]), abs=1e-4)


def test_a_corner_between_two_others_comes_onto_their_line():
    at = np.array([[4.0, 1], [0, 0], [10, 0]])
    fixed = np.array([[False] * 2, [True] * 2, [True] * 2])
    wishes = between(np.array([0]), np.array([1]), np.array([2]), at, weight=1e6)
    assert moves(wishes, at, fixed, rest=1.0)[0] == pytest.approx([0, -1], abs=1e-4)


def test_wishes_are_given_up_where_a_corner_takes_part_in_them():
    both = Wishes.all_of(
        parallel(np.array([0]), np.array([1]), np.array([0.0]), weight=1.0),
        on_line(np.array([2]), np.zeros((1, 2)), np.array([0.0]), weight=1.0),
    )
    left = both.without(np.array([False, True, False]))
    assert left.corner[:, 0].tolist() == [2]
