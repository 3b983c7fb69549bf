"""Distances, lines and topology are found over the whole scene: tiles and kinds of border only add up."""

from collections.abc import Callable

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from hedgerow import registry
from hedgerow.edges.layers import LAYERS
from hedgerow.edges.views import Pair, View
from hedgerow.geo.tiling import tile_geobox
from hedgerow.records import Tile
from hedgerow.stages.measure import Measured, measure, scene_values, scorers

SHAPE = (150, 210)
KINDS = ("displacement", "cldice", "betti_error", "continuity")
SCORERS = scorers(KINDS)


def plan(size: int) -> tuple[Tile, ...]:
    return tile_geobox(GeoBox.from_bbox((0, 0, SHAPE[1], SHAPE[0]), "EPSG:32632", shape=SHAPE), size, 0)


@pytest.fixture(scope="module")
def scene(map_of: Callable[..., View]) -> Pair:
    valid = np.ones(SHAPE, bool)
    valid[50:85, 45:115] = False
    return Pair(*(map_of(8, shape=SHAPE, move=move, valid=valid) for move in (1.5, 0.0)))


@pytest.fixture(scope="module")
def whole(scene: Pair) -> Measured:
    return measure(scene, SCORERS.metrics, plan(1024))


@pytest.mark.parametrize("size", [32, 100])
def test_tiles_of_any_size_add_up_to_the_scene(size: int, scene: Pair, whole: Measured) -> None:
    tiled = measure(scene, SCORERS.metrics, plan(size))
    for layer in LAYERS:
        for metric, tally in whole.tallies(layer=layer).items():
            assert tiled.tallies(layer=layer)[metric].sums == pytest.approx(tally.sums, rel=1e-12), (metric, layer)
    assert scene_values([tiled], SCORERS).keys() == scene_values([whole], SCORERS).keys()


def test_all_borders_are_the_sum_of_their_kinds(scene: Pair, whole: Measured) -> None:
    by_kind = [whole.tallies(layer=layer)["displacement"].sums for layer in LAYERS[1:]]
    everything = whole.tallies()["displacement"].sums
    without = np.isin(scene.layers, 0) & scene.reference.boundary
    assert everything["n_ref"] == sum(sums["n_ref"] for sums in by_kind) + without.sum()
    assert all(sums["n_ref"] > 0 for sums in by_kind)


def test_fields_among_themselves_have_no_inside(whole: Measured) -> None:
    values = scene_values([whole], SCORERS)
    assert values["field|field"]["border_shift"].value is None
    assert values["field|field"]["border_shift"].flag
    assert values["field|other"]["border_shift"].value is not None


@pytest.mark.parametrize("kind", KINDS)
def test_scores_have_a_kind_of_border_where_one_pixel_tells_it(kind: str, whole: Measured) -> None:
    by_layer = registry.build("metrics", kind).by_layer
    name = registry.build("metrics", kind).conclude({})[0].name
    assert (name in scene_values([whole], SCORERS)["field|other"]) == by_layer == (kind != "betti_error")
