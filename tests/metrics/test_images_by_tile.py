"""SSIM, noise and coarser maps: what tiles of any size add up to."""

import cv2
import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from hedgerow.edges.layers import LAYERS
from hedgerow.edges.views import Pair, View, view_of_map
from hedgerow.geo.tiling import tile_geobox
from hedgerow.records import FIELD, FOREST, OTHER, Regions
from hedgerow.stages.measure import measure, scene_values, scorers

SHAPE = (150, 211)
SCORERS = scorers(["ssim", "output_noise", "scale_consistency"])


def a_map(seed: int, move: int, valid: np.ndarray) -> View:
    """Regions in three classes, moved to the right by so many pixels; their probabilities with some noise."""
    rng = np.random.default_rng(seed)
    field = cv2.GaussianBlur(rng.normal(size=(150, 240)), (0, 0), 6)[:, 20 - move : 20 - move + 211]
    labels = (1 + np.digitize(field, np.quantile(field, [0.4, 0.7]))).astype(np.int32)
    edges = cv2.Laplacian(labels.astype(np.float32), cv2.CV_32F) != 0
    p = cv2.GaussianBlur(edges.astype(np.uint8) * 255, (0, 0), 1)
    noisy = np.clip(p + np.random.default_rng(move).normal(0, 5, SHAPE), 0, 255).astype(np.uint8)
    rest = 255 - noisy
    bands = np.stack([rest // 2, rest - rest // 2, np.zeros_like(rest), noisy])
    return view_of_map(bands, Regions(labels, np.array([OTHER, OTHER, FIELD, FOREST], np.uint8)), valid, (10.0, 10.0))


@pytest.mark.parametrize("size", [32, 100])
def test_tiles_of_any_size_add_up_to_the_scene(size: int) -> None:
    valid = np.ones(SHAPE, bool)
    valid[40:60, 70:130] = False
    pair = Pair(a_map(1, 1, valid), a_map(1, 0, valid))
    box = GeoBox.from_bbox((0, 0, SHAPE[1], SHAPE[0]), "EPSG:32632", shape=SHAPE)
    whole, tiled = (measure(pair, SCORERS.metrics, tile_geobox(box, tile, 0)) for tile in (1024, size))
    assert len(tiled.tiles) > 1
    for layer in LAYERS:
        expected, found = whole.tallies(layer=layer), tiled.tallies(layer=layer)
        for metric, tally in expected.items():
            for name, total in tally.sums.items():
                exact = float(total).is_integer()
                assert found[metric].sums[name] == (total if exact else pytest.approx(total, rel=1e-12)), name
    everything = scene_values([tiled], SCORERS)["all"]
    assert all(value.value is not None for value in everything.values())
