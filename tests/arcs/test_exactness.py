"""Arcs and polygons of random label rasters: the same for every tiling, GDAL's, valid, and exact to the pixel."""

import random
from itertools import pairwise

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.arcs.faces import faces, polygons
from hedgerow.arcs.join import join_tiles
from hedgerow.arcs.tile import tile_pieces
from hedgerow.edges.blocks import ArrayReader, read_padded
from hedgerow.edges.components import label_equal
from hedgerow.geo.windows import grid

TILES = (1, 3, 7, 64)


def noise(shape, rng, labels):
    return rng.integers(0, labels, shape)


def blobs(shape, rng, labels):
    size = int(rng.integers(2, 9))
    coarse = rng.integers(0, labels, (shape[0] // size + 1, shape[1] // size + 1))
    return np.kron(coarse, np.ones((size, size), int))[: shape[0], : shape[1]]


def rings(shape, rng, labels):
    row, col = np.mgrid[: shape[0], : shape[1]]
    return np.maximum(abs(row - shape[0] // 2), abs(col - shape[1] // 2)) // int(rng.integers(1, 4)) % labels


def diagonals(shape, rng, labels):
    row, col = np.mgrid[: shape[0], : shape[1]]
    return (row + col) // int(rng.integers(1, 4)) % labels


def slivers(shape, rng, labels):
    return np.broadcast_to(np.arange(shape[1]) % labels, shape)


def one_label(shape, rng, labels):
    return np.full(shape, labels - 1)


def empty(shape, rng, labels):
    return np.zeros(shape, int)


@st.composite
def label_rasters(draw):
    shape = draw(st.integers(1, 64)), draw(st.integers(1, 64))
    world = draw(st.sampled_from([noise, blobs, rings, diagonals, slivers, one_label, empty]))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return np.ascontiguousarray(world(shape, rng, draw(st.integers(2, 5))), np.int32)


def region_ids(labels):
    return label_equal(labels).astype(np.int32)


def arcs_of(ids, tile_px=64, border=None, order=None):
    tiles = [window for _, window in grid(ids.shape, tile_px)]
    if order is not None:
        order.shuffle(tiles)
    pieces = [
        tile_pieces(
            read_padded(ArrayReader(ids), window, 1),
            window,
            ids.shape,
            None if border is None else read_padded(ArrayReader(border), window, 1),
        )
        for window in tiles
    ]
    return join_tiles(pieces)


def polygons_of(ids):
    arcs = arcs_of(ids)
    found = faces(arcs)
    return found, polygons(found, arcs, arcs.points[:, ::-1].astype(float))


def as_bytes(arcs):
    return tuple(getattr(arcs, name).tobytes() for name in type(arcs).__annotations__)


def canonical(shapes):
    """Without the points on straight lines, which GDAL leaves out where a third region's border ends."""
    return sorted(shapely.to_wkb(shapely.normalize(shapely.simplify(shapes, 0)))) if len(shapes) else []


@settings(deadline=None, max_examples=60)
@given(label_rasters(), st.integers(0, 99))
def test_arcs_do_not_depend_on_the_tiling_or_the_order_of_tiles(labels, seed):
    ids = region_ids(labels)
    border = np.random.default_rng(seed).integers(0, 256, ids.shape).astype(np.uint8)
    whole = as_bytes(arcs_of(ids, 64, border))
    assert all(as_bytes(arcs_of(ids, px, border, random.Random(seed))) == whole for px in TILES)


@settings(deadline=None, max_examples=60)
@given(label_rasters())
def test_polygons_are_gdals_and_a_valid_coverage_and_give_the_raster_back(labels):
    ids = region_ids(labels)
    gdal = np.array(
        [shapely.geometry.shape(s) for s, _ in rasterio.features.shapes(labels, mask=labels > 0)], dtype=object
    )
    found, shapes = polygons_of(ids)
    assert canonical(shapes) == canonical(gdal)
    assert not len(shapes) or shapely.coverage_is_valid(shapes)
    assert shapely.is_valid(shapes).all()
    assert found.ids.tolist() == list(range(1, ids.max() + 1))
    assert shapely.area(shapes).tolist() == np.bincount(ids.ravel())[1:].tolist()
    if len(shapes):
        burnt = rasterio.features.rasterize(zip(shapes, found.ids, strict=True), out_shape=ids.shape, dtype="int32")
        assert (burnt == ids).all()


@settings(deadline=None, max_examples=40)
@given(label_rasters())
def test_every_crack_belongs_to_exactly_one_arc_with_the_ids_of_its_two_sides(labels):
    ids = region_ids(labels)
    arcs = arcs_of(ids, 7)
    framed = np.pad(ids, 1)
    assert arcs.cracks[:, 0].sum() == (framed[1:] != framed[:-1]).sum()
    assert arcs.cracks[:, 1].sum() == (framed[:, 1:] != framed[:, :-1]).sum()
    seen = set()
    for i in range(len(arcs)):
        points = arcs.points[arcs.offsets[i] : arcs.offsets[i + 1]].astype(int)
        for (r0, c0), (r1, c1) in pairwise(points):
            assert (r0 == r1) != (c0 == c1), "every step is straight"
            for step in range(abs(r1 - r0) + abs(c1 - c0)):
                row, col = r0 + step * np.sign(r1 - r0), c0 + step * np.sign(c1 - c0)
                left, right, crack = sides(framed, row, col, np.sign(r1 - r0), np.sign(c1 - c0))
                assert (left, right) == (arcs.left[i], arcs.right[i])
                assert left < right
                assert crack not in seen
                seen.add(crack)


def sides(framed, row, col, down, east):
    """Ids on both sides of the unit step from a corner, and the step's name; `framed` has one more row and column."""
    if east:
        first = col if east > 0 else col - 1
        above, below = framed[row, first + 1], framed[row + 1, first + 1]
        return (above, below, (row, first, "row")) if east > 0 else (below, above, (row, first, "row"))
    first = row if down > 0 else row - 1
    west, east_side = framed[first + 1, col], framed[first + 1, col + 1]
    return (east_side, west, (first, col, "col")) if down > 0 else (west, east_side, (first, col, "col"))


def test_two_fields_that_share_an_edge_have_three_arcs():
    # Each field has its own outer arc; the shared edge of two pixels is one arc, from junction to junction.
    arcs = arcs_of(region_ids(np.array([[1, 2], [1, 2]])))
    pairs = list(zip(arcs.left.tolist(), arcs.right.tolist(), strict=True))
    assert sorted(pairs) == [(0, 1), (0, 2), (1, 2)]
    shared = pairs.index((1, 2))
    assert arcs.points[arcs.offsets[shared] : arcs.offsets[shared + 1]].tolist() == [[2, 1], [0, 1]]


def test_a_ring_starts_at_its_smallest_corner():
    labels = np.ones((5, 5), np.int32)
    labels[2, 1:4] = labels[1, 2] = 2
    ids = region_ids(labels)
    for px in TILES:
        arcs = arcs_of(ids, px)
        ring = int(np.flatnonzero(arcs.left == 1)[0])
        assert arcs.points[arcs.offsets[ring]].tolist() == [1, 2] == arcs.points[arcs.offsets[ring + 1] - 1].tolist()


def test_pixels_that_touch_only_diagonally_are_two_regions_and_four_arcs_meet():
    found, shapes = polygons_of(region_ids(np.array([[1, 0], [0, 1]])))
    assert found.ids.tolist() == [1, 2]
    assert shapely.area(shapes).tolist() == [1, 1]


def test_a_region_that_closes_on_itself_diagonally_has_a_shell_and_a_hole():
    labels = np.ones((4, 4), np.int32)
    labels[1:3, 1:3] = 2
    labels[0, 0] = 3  # touches the inner square's corner: the region of ones pinches there
    labels[0, 1] = labels[1, 0] = 1
    ids = region_ids(labels)
    _, shapes = polygons_of(ids)
    ones = shapes[ids[0, 1] - 1]
    assert ones.is_valid
    assert len(ones.interiors) == 1
    assert ones.area == 11


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_lengths_and_areas_survive_quarter_turns(turns):
    labels = noise((23, 31), np.random.default_rng(3), 4)
    here, there = arcs_of(region_ids(labels)), arcs_of(region_ids(np.rot90(labels, turns)))
    assert here.cracks.sum() == there.cracks.sum()
    assert len(here) == len(there)


def test_border_sums_add_the_pixels_on_both_sides():
    # The shared edge runs between (0, 0)|(0, 1) and (1, 0)|(1, 1): all four pixels count once.
    border = np.array([[1, 10], [100, 50]], np.uint8)
    arcs = arcs_of(region_ids(np.array([[1, 2], [1, 2]])), 1, border)
    assert arcs.border_sum[(arcs.left == 1) & (arcs.right == 2)].tolist() == [161]
