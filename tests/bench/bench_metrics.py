"""How fast is it to score a map? Against the packages and ways that give equal values."""

import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import rasterio.features
import shapely
from bench_clock import best, say
from bench_worlds import parcels
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from hedgerow.edges.views import Pair, view_of_labels
from hedgerow.geo.tiling import tile_geobox
from hedgerow.metrics.erqa import erqa
from hedgerow.metrics.objects import objects
from hedgerow.records import Regions
from hedgerow.stages.measure import measure, scorers

Bytes = NDArray[np.uint8]


def bench_erqa(_: Path) -> None:
    """Compare our ERQA with the erqa package at equal value: masks, one channel and three, one thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import erqa as reference

    cv2.setNumThreads(1)
    metric = reference.ERQA(version="1.1")
    for side in (512, 1024):
        for name, aim, test, truth in _edge_worlds(side):
            theirs = (test, truth) if test.ndim == 3 else tuple(np.repeat(p[..., None], 3, -1) for p in (test, truth))
            expected, slow = best(partial(metric, *theirs))
            found, fast = best(partial(_f1, test, truth), times=15)
            assert abs(expected - found) < 1e-9
            say(
                f"ERQA, {name}, {side} x {side}, equal value",
                f"{slow / fast:.0f} times as fast as erqa 1.1.2 ({1000 * fast:.1f} ms, {1000 * slow:.0f} ms)",
                f"{aim} times",
            )


def bench_objects(_: Path) -> None:
    """Compare counts of matched objects from one table with pairs of polygons, at equal counts, 1024 x 1024."""
    reference, test = _fields()
    counts, fast = best(lambda: objects(test, reference))
    expected, slow = best(lambda: _by_polygons(test, reference), times=2)
    assert (counts.tp, counts.fp, counts.fn) == expected
    say(
        f"object counts, {counts.tp + counts.fn} and {counts.tp + counts.fp} fields, equal counts",
        f"{slow / fast:.0f} times as fast as pairs of polygons ({1000 * fast:.0f} ms, {slow:.2f} s)",
        "20 times",
    )


def bench_metrics(_: Path) -> None:
    """Say what the default set of metrics costs for one arm of one tile, 1024 x 1024, with the reference prepared."""
    labels, grid = parcels(1024)
    classes = np.random.default_rng(0).integers(0, 3, 2652).astype(np.uint8)
    valid = np.ones(labels.shape, bool)
    maps = [Regions(np.roll(labels, k, (0, 1)) + 1, classes) for k in range(6)]
    reference = view_of_labels(maps[0], valid, (1.0, 1.0))
    tiles, metrics = tile_geobox(grid, 512, 0), scorers().metrics
    times = []
    for regions in maps:
        pair = Pair(view_of_labels(regions, valid, (1.0, 1.0)), reference)
        started = time.process_time()
        measure(pair, metrics, tiles)
        times.append(time.process_time() - started)
    say(
        f"default metrics ({len(metrics)} kinds), one arm, 1024 x 1024, {len(np.unique(labels))} parcels",
        f"{min(times[1:]):.2f} s CPU (the first arm, which prepares the reference, {times[0]:.2f} s)",
        "1.0 s",
    )


def _f1(test: Bytes, reference: Bytes) -> float:
    return float(erqa(test, reference, profile="reference", version="1.1").f1)


def _edge_worlds(side: int) -> Iterator[tuple[str, int, Bytes, Bytes]]:
    """Yield a name, the aim, a candidate and its reference: smooth probabilities, and the same in steps of the logit.

    The last pair is the hardest: where every pixel is off by up to 20, edge detection has no flat land to skip.
    """
    rng = np.random.default_rng(0)
    logits = [_logit(rng, side) for _ in range(3)]
    truths, tests = [_as_bytes(x) for x in logits], [_as_bytes(np.round(x * 2) / 2) for x in logits]
    test, truth = tests[0], truths[0]
    off = np.clip(truth + rng.integers(-20, 21, truth.shape), 0, 255).astype(np.uint8)
    yield "0/255 masks", 20, *(np.where(p >= 128, 255, 0).astype(np.uint8) for p in (test, truth))
    yield "one channel", 20, test, truth
    yield "three channels", 5, np.dstack(tests), np.dstack(truths)
    yield "one channel, noisy", 20, off, truth


def _logit(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    field: NDArray[np.float64] = gaussian_filter(rng.standard_normal((side, side)), 10)
    return 6 * field / field.std()


def _as_bytes(logit: NDArray[np.float64]) -> Bytes:
    return np.rint(255 / (1 + np.exp(-logit))).astype(np.uint8)


def _fields() -> tuple[Bytes, Bytes]:
    """Return the mask of several hundred fields, and that of a poor model: moved, some lost, holes in the walls."""
    labels = parcels(2048)[0][:1024, :1024]
    rng = np.random.default_rng(2)
    reference = maximum_filter(labels, 3) == minimum_filter(labels, 3)
    lost = rng.random(labels.max() + 1) < 0.1
    holes = (rng.random((64, 64)) < 0.02).repeat(16, 0).repeat(16, 1)
    test = np.roll((reference | holes) & ~lost[labels], (1, 2), (0, 1))
    return reference.astype(np.uint8), test.astype(np.uint8)


def _by_polygons(test: Bytes, reference: Bytes) -> tuple[int, int, int]:
    """Count as Fields of The World does: every polygon of the reference against those of the test, until one fits."""
    found, wanted = (
        [shapely.geometry.shape(outline) for outline, value in rasterio.features.shapes(mask) if value == 1]
        for mask in (test, reference)
    )

    def fits(one: shapely.Geometry, other: shapely.Geometry) -> bool:
        return one.intersects(other) and one.intersection(other).area / one.union(other).area > 0.5

    partners = [next((k for k, other in enumerate(found) if fits(one, other)), None) for one in wanted]
    tp = sum(partner is not None for partner in partners)
    return tp, len(found) - tp, len(wanted) - tp
