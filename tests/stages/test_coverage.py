"""The check of a coverage cell by cell: it says what GEOS says of all polygons at once, and every field counts once."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from hedgerow.arcs.faces import faces, polygons
from hedgerow.arcs.join import join_tiles
from hedgerow.arcs.network import Arcs
from hedgerow.arcs.tile import tile_pieces
from hedgerow.contracts import one_by_one
from hedgerow.edges.components import label_equal
from hedgerow.errors import GeometryError
from hedgerow.geo.windows import whole
from hedgerow.stages import coverage
from hedgerow.stages.coverage import cells, covered_area, in_crs

TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_400_000)


@pytest.fixture(scope="module", autouse=True, params=[4, 16], ids=lambda px: f"cells of {px} px")
def small_cells(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coverage, "_CELL_PX", request.param)
        patch.setattr(coverage, "_CELL_SIDES", 0)
        yield


def arcs_of(labels):
    ids = label_equal(labels).astype(np.int32)
    return join_tiles([tile_pieces(np.pad(ids, 1), whole(ids.shape), ids.shape)])


def bent(arcs, rng):
    """Move one corner by up to three pixels, everywhere it occurs or in one arc alone."""
    points = arcs.points.astype(float)
    k = int(rng.integers(len(points)))
    same = (arcs.points == arcs.points[k]).all(axis=1) if rng.random() < 0.7 else np.arange(len(points)) == k
    points[same] += rng.uniform(-3, 3, 2)
    return Arcs(points, arcs.offsets, arcs.left, arcs.right, arcs.cracks, arcs.border_sum)


@st.composite
def worlds(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    smooth = gaussian_filter(rng.standard_normal(shape), draw(st.sampled_from([0.1, 1.0, 2.0])))
    return np.digitize(smooth, np.quantile(smooth, [0.2, 0.5, 0.8])), rng


fast = settings(deadline=None, max_examples=60)


@fast
@given(worlds())
def test_a_valid_coverage_passes_with_the_area_of_its_polygons(world):
    arcs = arcs_of(world[0])
    pixels = np.count_nonzero(world[0])
    assert covered_area(faces(arcs), arcs, TRANSFORM, each=one_by_one) == pytest.approx(100 * pixels, rel=1e-12)


@fast
@given(worlds())
def test_a_broken_coverage_is_found_exactly_when_it_is_found_in_one_piece(world):
    labels, rng = world
    arcs = arcs_of(labels)
    if not len(arcs):
        return
    found = faces(arcs)
    moved = bent(arcs, rng)
    shapes = polygons(found, moved, in_crs(moved.points, TRANSFORM))
    if not shapely.is_valid(shapes).all():
        return  # GEOS promises nothing of coverages with invalid polygons
    if shapely.coverage_is_valid(shapes):
        assert covered_area(found, moved, TRANSFORM, each=one_by_one) == pytest.approx(shapely.area(shapes).sum())
    else:
        with pytest.raises(GeometryError, match="no valid coverage, first near x"):
            covered_area(found, moved, TRANSFORM, each=one_by_one)


@fast
@given(worlds())
def test_every_field_is_in_one_cell_and_every_pair_of_neighbours_meets_in_one(world):
    arcs = arcs_of(world[0])
    found = faces(arcs)
    made = list(cells(found, arcs))
    members = np.concatenate([np.zeros(0, int), *(cell.members for cell in made)])
    assert sorted(members.tolist()) == found.ids.tolist()
    together = {(a, b) for cell in made for a in cell.found.ids.tolist() for b in cell.found.ids.tolist()}
    pairs = {(a, b) for a, b in zip(arcs.left.tolist(), arcs.right.tolist(), strict=True) if a}
    assert pairs <= together


def test_a_neighbour_brings_only_the_holes_that_lie_near():
    # One field with 25 holes, each filled by a field of one pixel: no cell holds the rings of all.
    labels = np.ones((40, 40), int)
    labels[4::8, 4::8] = 2
    arcs = arcs_of(labels)
    found = faces(arcs)
    small = [cell for cell in cells(found, arcs) if 1 not in cell.members]
    assert len(found.region) == 1 + 2 * 25
    assert max(len(cell.found.region) for cell in small) < 20
