"""From one label raster the map is the same for every tile size, order and number of workers, and it is GDAL's."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from hedgerow.graph import Graph
from hedgerow.records import FieldMap
from hedgerow.stages.trace import trace_labels

TILES = (1, 3, 7, 64)
TRANSFORM = Affine(1, 0, 0, 0, -1, 0)  # whole numbers, so that areas are exact


@pytest.fixture(scope="module", params=[1, 2], ids=lambda workers: f"{workers} workers")
def graph(request: pytest.FixtureRequest) -> Iterator[Graph]:
    with Graph("processes", request.param) as graph:
        yield graph


@st.composite
def label_rasters(draw: st.DrawFn) -> np.ndarray:
    """Noise (fields of one pixel that touch at corners), blobs, rings, diagonals, slivers, one label, nothing."""
    height, width = draw(st.integers(1, 64)), draw(st.integers(1, 64))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    row, col = np.mgrid[:height, :width]
    step, labels = int(rng.integers(1, 4)), draw(st.integers(2, 5))
    worlds = {
        "noise": rng.integers(0, labels, (height, width)),
        "blobs": np.kron(rng.integers(0, labels, (13, 13)), np.ones((5, 5), int))[:height, :width],
        "rings": np.maximum(abs(row - height // 2), abs(col - width // 2)) // step % labels,
        "diagonals": (row + col) // step % labels,
        "slivers": col % labels,
        "one label": np.full((height, width), 3),
        "empty": np.zeros((height, width), int),
    }
    return np.ascontiguousarray(worlds[draw(st.sampled_from(sorted(worlds)))], np.int32)


def shuffled(graph: Graph, seed: int):
    """Work through the items in a random order, on the workers."""

    def each(function, items):
        items = list(items)
        order = random.Random(seed).sample(range(len(items)), len(items))
        results = dict(zip(order, graph.each(function, [items[i] for i in order]), strict=True))
        return (results[i] for i in range(len(items)))

    return each


def traced(labels: np.ndarray, **options: object) -> FieldMap:
    return trace_labels(labels, GeoBox(labels.shape, TRANSFORM, "EPSG:32632"), **options)


def canonical(shapes: np.ndarray) -> list[bytes]:
    """Normalised, without the points on straight lines: GDAL leaves them out where a third field's border ends."""
    return sorted(shapely.to_wkb(shapely.normalize(shapely.simplify(shapes, 0)))) if len(shapes) else []


@settings(deadline=None, max_examples=15)
@given(label_rasters(), st.integers(0, 99))
def test_tiles_order_and_workers_do_not_show(graph: Graph, labels: np.ndarray, seed: int) -> None:
    whole = traced(labels, tile_px=64)
    for tile_px in TILES[-2:] if labels.size > 900 else TILES:  # thousands of tiles of one pixel are no better test
        tiled = traced(labels, tile_px=tile_px, each=shuffled(graph, seed))
        for ours, theirs in ((tiled.fields, whole.fields), (tiled.borders, whole.borders)):
            assert shapely.to_wkb(shapely.normalize(ours.geometry.values)).tolist() == (
                shapely.to_wkb(shapely.normalize(theirs.geometry.values)).tolist()
            )
            assert ours.drop(columns="geometry").equals(theirs.drop(columns="geometry"))


@settings(deadline=None, max_examples=60)
@given(label_rasters(), st.sampled_from(TILES))
def test_the_map_is_gdals_valid_exact_and_gives_the_raster_back(labels: np.ndarray, tile_px: int) -> None:
    found = traced(labels, tile_px=max(tile_px, 1 if labels.size < 900 else 3))
    shapes = found.fields.geometry.values
    gdal = [
        shapely.geometry.shape(s)
        for s, _ in rasterio.features.shapes(labels, mask=labels > 0, connectivity=4, transform=TRANSFORM)
    ]
    assert canonical(np.asarray(shapes)) == canonical(np.array(gdal, dtype=object))
    assert shapely.area(shapes).sum() == np.count_nonzero(labels)
    assert found.summary["gap_m2"] == found.summary["overlap_m2"] == 0
    if len(shapes):
        assert shapely.coverage_is_valid(np.asarray(shapes))
        inside = shapely.get_coordinates(shapely.point_on_surface(shapes)).astype(int)
        values = labels[-inside[:, 1], inside[:, 0]]
        burnt = rasterio.features.rasterize(
            zip(shapes, values, strict=True), labels.shape, transform=TRANSFORM, dtype="int32"
        )
        assert np.array_equal(burnt, labels)
