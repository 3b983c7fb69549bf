"""The shape of borders, over whole maps: no tile shows, one coverage, every border once, whatever is asked for."""

from itertools import pairwise

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from hedgerow.errors import ConfigError
from hedgerow.stages.label import label_array
from hedgerow.stages.shape import Shape
from hedgerow.stages.trace import trace_labels, trace_scene


def utm(shape, size_m=10.0):
    return GeoBox(shape, Affine(size_m, 0, 500_000, 0, -size_m, 5_400_000), "EPSG:32632")


def degrees(shape):
    """Pixels of about 8 m x 5 m at 60 north."""
    return GeoBox(shape, Affine(9e-5, 0, 9, 0, -7.2e-5, 60), "EPSG:4326")


def edges(line):
    return [tuple(sorted(pair)) for pair in pairwise(line.coords)]


@st.composite
def worlds(draw):
    """Noise of 1-px fields, rings, diagonals and blobs; label 0 is nodata."""
    shape = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    row, col = np.mgrid[: shape[0], : shape[1]]
    world = draw(st.sampled_from(["noise", "blobs", "rings", "diagonals"]))
    size = int(rng.integers(2, 7))
    return {
        "noise": rng.integers(0, 4, shape),
        "blobs": np.kron(rng.integers(0, 4, (13, 13)), np.ones((size, size), int))[: shape[0], : shape[1]],
        "rings": np.maximum(abs(row - shape[0] // 2), abs(col - shape[1] // 2)) // int(rng.integers(1, 4)) % 3,
        "diagonals": (row + col) // int(rng.integers(1, 4)) % 3,
    }[world]


SHAPES = st.fixed_dictionaries(
    {
        "simplify_m": st.sampled_from([0, 12]),
        "regularize_m": st.sampled_from([0, 8, 25]),
        "smooth": st.sampled_from([0, 1, 3]),
        "smooth_reach_m": st.sampled_from([None, 500.0]),
    }
)


@settings(deadline=None, max_examples=20)
@given(worlds(), SHAPES, st.sampled_from([utm, degrees]), st.integers(0, 9))
def test_the_shape_does_not_depend_on_tiles_order_or_pickling(all_of, shuffled_and_pickled, labels, shape, grid, seed):
    whole = all_of(trace_labels(labels, grid(labels.shape), tile_px=24, **shape))
    for tile_px in (1, 3, 7):
        tiled = trace_labels(labels, grid(labels.shape), tile_px=tile_px, each=shuffled_and_pickled(seed), **shape)
        assert all_of(tiled) == whole


@settings(deadline=None, max_examples=40)
@given(worlds(), SHAPES, st.sampled_from([utm, degrees]))
def test_shaped_maps_are_one_coverage_with_every_border_once(labels, shape, grid):
    found = trace_labels(labels, grid(labels.shape), **shape)
    assert found.summary["gap_m2"] == found.summary["overlap_m2"] == 0
    assert len(found.fields) == len(trace_labels(labels, grid(labels.shape)).fields)
    shapes = found.fields.geometry.values
    if not len(shapes):
        return
    assert shapely.coverage_is_valid(shapes)
    assert shapely.is_valid(shapes).all()
    assert shapely.area(shapes).sum() == pytest.approx(shapely.union_all(shapes).area, rel=1e-9)
    rings = [edge for s in shapes for ring in (s.exterior, *s.interiors) for edge in edges(ring)]
    shared = sorted(edge for edge in set(rings) if rings.count(edge) == 2)
    assert sorted(edge for line in found.borders.geometry for edge in edges(line)) == shared


def test_only_what_was_asked_for_is_counted():
    labels = np.kron(np.random.default_rng(0).integers(1, 4, (5, 5)), np.ones((4, 4), int))
    assert trace_labels(labels, utm(labels.shape)).summary.keys() == {"fields", "borders", "gap_m2", "overlap_m2"}
    found = trace_labels(labels, utm(labels.shape), regularize_m=15, smooth=2).summary
    assert found.keys() - {"fields", "borders", "gap_m2", "overlap_m2"} == {"not_regularized", "not_smoothed"}


def test_corners_that_stay_are_told():
    # As in tests/arcs: a reach beyond all bounds would sweep the corner (10, 10) over the island at (8, 8).
    labels = np.ones((20, 20), int)
    labels[10:] = labels[:, 10:] = 2
    labels[8, 8] = 3
    assert trace_labels(labels, utm(labels.shape), smooth=1, smooth_reach_m=1e6).summary["not_smoothed"] == 1
    assert trace_labels(labels, utm(labels.shape), smooth=1, smooth_reach_m=15).summary["not_smoothed"] == 0


def test_the_regions_of_a_shaped_map_are_still_those_of_the_raster():
    labels = np.kron(np.random.default_rng(2).integers(1, 5, (6, 6)), np.ones((4, 4), int))
    regions = label_array(labels)
    traced = trace_scene(regions, None, utm(labels.shape), smooth=3, regularize_m=20)
    assert np.array_equal(traced.regions.regions().labels, regions.regions().labels)


def test_metres_mean_metres_in_degrees():
    # The same curve begins 12 m before the corner on both grids: in pixels, 1.2 of 10 m, and 1.5 and 2.4 in degrees.
    labels = np.ones((20, 20), int)
    labels[10:] = labels[:, 10:] = 2
    for grid, metres in ((utm, 1e-3), (degrees, 0.05)):
        geobox = grid(labels.shape)
        (line,) = trace_labels(labels, geobox, smooth=1, smooth_reach_m=12).borders.geometry
        corner = shapely.Point(geobox.transform * (10, 10))
        ends = [shapely.Point(p) for p in line.coords[1:3]]
        scale = (111_412 * np.cos(np.radians(60)), 111_412) if grid is degrees else (1, 1)
        reach = [np.hypot((p.x - corner.x) * scale[0], (p.y - corner.y) * scale[1]) for p in ends]
        assert reach == pytest.approx([6, 6], rel=metres + 4e-3), "one round puts its points half way"


@pytest.mark.parametrize(
    "wrong",
    [
        {"smooth": 7}, {"smooth": -1}, {"regularize_m": -1.0}, {"simplify_m": -1.0}, {"smooth_reach_m": 0.0},
        {"regularize_m": float("nan")}, {"simplify_m": float("inf")}, {"smooth_reach_m": float("nan")},
    ],
)  # fmt: skip
def test_a_shape_that_means_nothing_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"^{name} = "):
        Shape(**wrong)
