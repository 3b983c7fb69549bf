"""Small regions join a neighbour: which, in what order, and that the arcs afterwards are those of the merged raster."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.arcs.join import join_tiles, relabelled
from hedgerow.arcs.merge import Rules, merged_ids
from hedgerow.arcs.tile import tile_pieces
from hedgerow.edges.components import label_equal
from hedgerow.geo.windows import whole

OTHER, FIELD, FOREST, VOID = 0, 1, 2, 255


def arcs_of(ids, border=None):
    border = None if border is None else np.pad(np.asarray(border, np.uint8), 1)
    return join_tiles([tile_pieces(np.pad(ids, 1), whole(ids.shape), ids.shape, border)])


def merged(ids, kind, *, hole=0.0, area=0.0, width=0.0, weak=0.0, border=None, pixel_m=(1.0, 1.0)):
    """The raster of ids after merging; `kind` lists the class of ids 1, 2, …"""
    ids = np.asarray(ids, np.int32)
    target = merged_ids(
        arcs_of(ids, border),
        np.bincount(ids.ravel(), minlength=len(kind) + 1),
        np.asarray([VOID, *kind], np.uint8),
        rules=Rules(min_hole_px=hole, min_area_px=area, min_width_m=width, min_border=weak),
        pixel_m=pixel_m,
        objects=(FIELD, FOREST),
        void=VOID,
    )
    return target[ids].tolist()


def test_a_small_field_goes_to_the_neighbour_with_the_longest_shared_border():
    # Field 2 (2 px) shares 2 unit edges with field 1 above and 3 with field 3 (2 below, 1 on the right).
    ids = [[1, 1, 1], [2, 2, 3], [3, 3, 3]]
    assert merged(ids, [FIELD, FIELD, FIELD], area=3) == [[1, 1, 1], [3, 3, 3], [3, 3, 3]]


def test_shared_borders_are_measured_in_metres():
    # Field 2 shares one edge along the row with 1 above, and one along the column with 3 on its right.
    ids = [[1, 1, 1], [2, 3, 3]]
    tall, flat = (10.0, 1.0), (1.0, 10.0)
    assert merged(ids, [FIELD] * 3, area=2, pixel_m=tall)[1][0] == 3
    assert merged(ids, [FIELD] * 3, area=2, pixel_m=flat)[1][0] == 1


def test_other_is_a_neighbour_like_any():
    ids = [[1, 1, 1], [1, 2, 3], [1, 1, 3]]
    assert merged(ids, [OTHER, FIELD, FIELD], area=2)[1] == [1, 1, 3]


def test_nodata_is_no_neighbour_but_an_island_in_nodata_is_dropped():
    assert merged([[3, 3, 3], [2, 1, 1], [3, 3, 3]], [FIELD, FIELD, VOID], area=2)[1] == [1, 1, 1]
    assert merged([[2, 2, 2], [2, 1, 2], [2, 2, 2]], [FIELD, VOID], area=2)[1] == [0, 0, 0]


def test_the_smallest_goes_first_and_grows_its_neighbour():
    # Field 2 (1 px) shares two edges with 3 (5 px), one with 1; with it, 3 has 6 px, is not below 6, and stays.
    ids = [[1, 2, 3, 3, 4], [1, 3, 3, 3, 4]]
    assert merged(ids, [OTHER, FIELD, FIELD, OTHER], area=6) == [[1, 3, 3, 3, 4]] * 2


def test_equal_borders_go_to_the_smaller_id():
    assert merged([[1, 1, 2, 3, 3]], [FIELD] * 3, area=2) == [[1, 1, 1, 3, 3]]


def test_a_hole_in_one_field_is_filled_even_if_it_is_nodata():
    ring = [[1, 1, 1], [1, 2, 1], [1, 1, 1]]
    for kind in (OTHER, FOREST, FIELD, VOID):
        assert merged(ring, [FIELD, kind], hole=2) == [[1, 1, 1]] * 3
        assert merged(ring, [FIELD, kind], hole=1)[1][1] == (0 if kind == VOID else 2)


def test_a_field_within_other_is_no_hole():
    assert merged([[1, 1, 1], [1, 2, 1], [1, 1, 1]], [OTHER, FIELD], hole=9)[1] == [1, 2, 1]


def test_nodata_that_reaches_the_scene_edge_is_no_hole():
    assert merged([[1, 2, 1], [1, 1, 1]], [FIELD, VOID], hole=9) == [[1, 0, 1], [1, 1, 1]]


def test_two_areas_within_one_field_are_not_filled_one_by_one_but_nested_holes_are():
    side_by_side = [[1, 1, 1, 1], [1, 2, 3, 1], [1, 1, 1, 1]]
    assert merged(side_by_side, [FIELD, FOREST, OTHER], hole=9) == side_by_side
    nested = np.ones((5, 5), int)
    nested[1:4, 1:4], nested[2, 2] = 2, 3
    assert merged(nested, [FIELD, FIELD, OTHER], hole=20) == [[1] * 5] * 5


def test_adjoining_background_becomes_one():
    assert merged([[1, 2, 3]], [OTHER, OTHER, FIELD]) == [[1, 1, 3]]


def test_a_small_field_goes_where_no_border_is():
    """It shares three unit edges with each of two fields, and its border with the smaller id is the stronger one."""
    ids, border = [[1] * 3, [1] * 3, [2] * 3, [3] * 3, [3] * 3], [[0] * 3, [250] * 3, [50] * 3, [0] * 3, [0] * 3]
    assert merged(ids, [FIELD] * 3, area=4, border=border)[2] == [3, 3, 3]
    assert merged(ids, [FIELD] * 3, area=4)[2] == [1, 1, 1]
    # Five times as long does not help a border that is certain.
    ids = [[1, 1, 1, 1, 1], [1, 2, 2, 3, 3], [1, 1, 1, 3, 3]]
    certain = np.full((3, 5), 255)
    assert merged(ids, [FIELD] * 3, area=3, border=certain)[1][1] == 1
    assert merged([[1, 1, 2, 3], [1, 1, 3, 3]], [FIELD] * 3, area=2, border=certain[:2, :4])[0][2] == 3, "two edges"
    certain[1, 3] = 0
    assert merged(ids, [FIELD] * 3, area=3, border=certain)[1][1] == 3


def test_a_sliver_is_told_by_twice_its_area_over_its_perimeter():
    """Of a strip of 2 x 40 px that is 2 * 80 / 84 px, of a square of 3 px with its corners cut 2 * 9 / (12 - 1.17)."""
    strip, square = np.ones((20, 40), int), np.ones((20, 40), int)
    strip[10:12], strip[12:], square[5:8, 5:8] = 2, 3, 2
    for ids, width in ((strip, 1.905), (square, 1.662)):
        kept, gone = ids.tolist(), np.where(ids == 2, 1, ids).tolist()
        assert merged(ids, [FIELD] * 3, width=width - 0.001) == kept
        assert merged(ids, [FIELD] * 3, width=width + 0.001) == gone
        assert merged(ids, [FIELD] * 3, width=10 * width - 0.01, pixel_m=(10.0, 10.0)) == kept
        assert merged(ids, [FIELD] * 3, width=10 * width + 0.01, pixel_m=(10.0, 10.0)) == gone


def test_fields_that_no_border_parts_are_one_and_the_weakest_joins_first():
    """The one of more neighbours (nodata round the raster is one) gives its id."""
    ids = [[1, 1, 2, 2, 3, 3]] * 2
    border = [[0, 40, 60, 90, 110, 0]] * 2  # 50 between 1 and 2, 100 between 2 and 3
    assert merged(ids, [FIELD] * 3, border=border, weak=0.19) == ids
    assert merged(ids, [FIELD] * 3, border=border, weak=0.2)[0] == [2, 2, 2, 2, 3, 3]
    assert merged(ids, [FIELD] * 3, border=border, weak=0.4)[0] == [2] * 6
    assert merged(ids, [FIELD, FOREST, FIELD], border=border, weak=1.0) == ids
    assert merged(ids, [FIELD, OTHER, OTHER], border=border, weak=1.0)[0] == [1, 1, 2, 2, 2, 2]
    assert merged(ids, [FIELD, VOID, VOID], border=border, weak=1.0)[0] == [1, 1, 0, 0, 0, 0]


def test_the_border_of_what_has_joined_is_judged_as_a_whole():
    """Weak alone, a stretch of border stays where the rest of it, between the joined fields, is strong."""
    ids = [[1, 1, 1, 1, 2, 2], [3] * 6]
    border = [[250, 250, 250, 20, 20, 100], [250, 250, 250, 250, 60, 100]]
    # 1 | 2 is 20 and 2 | 3 is 70 of 255; what 1 and 2 have become has one of 171 with 3.
    assert merged(ids, [FIELD] * 3, border=border, weak=0.4) == [[1] * 6, [3] * 6]
    assert merged(ids, [FOREST, FIELD, FIELD], border=border, weak=0.4) == [[1, 1, 1, 1, 2, 2], [2] * 6]


@settings(deadline=None, max_examples=60)
@given(st.floats(0, np.pi / 2), st.sampled_from([(1.0, 0.083), (2.0, 0.176)]))
def test_lengths_hardly_depend_on_the_direction(angle, height_and_most):
    """A straight line through 400 px, drawn along pixel edges, is never too short and hardly too long."""
    height, most = height_and_most
    rows, cols = np.indices((400, 400)) - 199.5
    side = np.where(rows * np.cos(angle) - cols * np.sin(angle) > 0, 1, 2).astype(np.int32)
    arcs = arcs_of(side)
    inner = (arcs.left > 0) & (arcs.right > 0)
    line_m = 400 / max(np.cos(angle), np.sin(angle)) * np.hypot(height * np.sin(angle), np.cos(angle))
    assert -4 * height < arcs.lengths_m((height, 1.0))[inner].sum() - line_m < most * line_m + 4 * height


def test_lengths_of_rings_go_through_the_middles_of_their_edges():
    """A ring of one pixel is a diamond; two that meet at a corner are two rings through a junction."""
    alone, twins = np.ones((4, 4), np.int32), np.ones((4, 4), np.int32)
    alone[1, 1] = twins[1, 1] = twins[2, 2] = 2
    for ids, rings in ((alone, 1), (twins, 2)):
        arcs = arcs_of(ids)
        inner = (arcs.left > 0) & (arcs.right > 0)
        assert arcs.lengths_m((3.0, 4.0))[inner].tolist() == [10.0] * rings


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10_000))
def test_arcs_after_a_merge_are_the_arcs_of_the_merged_raster(height, width, seed):
    rng = np.random.default_rng(seed)
    ids = label_equal(rng.integers(0, 4, (height, width))).astype(np.int32)
    # Merge neighbours at random: the target is then 4-connected again, as merged_ids promises.
    target = np.arange(ids.max() + 1)
    for row, col in rng.integers(0, (height, max(width - 1, 1)), (10, 2)):
        pair = target[ids[row, col : col + 2]]
        if pair.all():
            target[target == pair.max()] = pair.min()
    after, direct = relabelled(arcs_of(ids), target), arcs_of(target[ids].astype(np.int32))
    for name in type(direct).__annotations__:
        assert np.array_equal(getattr(after, name), getattr(direct, name)), name
