"""Scores of pixels, objects and their areas: against sums over all pairs of pixel sets, and the laws they all keep."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from scipy import ndimage

from hedgerow import registry
from hedgerow.edges.views import Pair, View
from hedgerow.geo.tiling import tile_geobox
from hedgerow.metrics._booking import totals
from hedgerow.records import FIELD, FOREST, OTHER, Regions
from hedgerow.stages.measure import measure

SHAPE = (22, 26)
PIXEL_M = (10.0, 20.0)
KINDS = ("pixels", "objects", "panoptic", "segmentation", "areas", "average_precision")
METRICS = [registry.build("metrics", kind) for kind in KINDS]

CLOSE = 1e-9
"""The oracles are exact; shares are booked in steps of 1e-12."""

SEEDS = st.integers(0, 100_000)


def view(labels: np.ndarray, classes: np.ndarray, valid: np.ndarray, seed: int) -> View:
    """A map whose probabilities are so coarse that many objects tie."""
    probabilities = np.random.default_rng(seed).choice([60, 140, 141, 250], (4, 6, 7)).repeat(4, 1).repeat(4, 2)
    p = np.zeros(labels.shape, np.uint8)
    probabilities = probabilities[:, : p.shape[0], : p.shape[1]].astype(np.uint8)
    return View(p, Regions(labels.astype(np.int32), classes), valid, PIXEL_M, probabilities=probabilities)


def world(seed: int) -> Pair:
    """Parcels nearest to random seeds; moved a little, with wrong pixels and some wrong classes, in the candidate."""
    rng = np.random.default_rng(seed)
    places = rng.uniform((0, 0), SHAPE, (10, 2))
    classes = np.array([OTHER, FIELD, FOREST, OTHER, *rng.integers(0, 3, 7)], np.uint8)
    valid = np.ones(SHAPE, bool)
    valid[5:9, 3:8] = rng.random() < 0.5
    wrong = np.where(rng.random(11) < 0.1, rng.integers(0, 3, 11), classes).astype(np.uint8)
    wrong[:4] = classes[:4]
    wanted, found = _nearest(places), _nearest(places + rng.normal(0, 1, places.shape))
    found = np.where(rng.random(SHAPE) < 0.03, rng.integers(1, 11, SHAPE), found)
    return Pair(view(found, wrong, valid, seed), view(wanted, classes, valid, seed + 1))


def _nearest(places: np.ndarray) -> np.ndarray:
    y, x = np.indices(SHAPE)
    return ((y[..., None] - places[:, 0]) ** 2 + (x[..., None] - places[:, 1]) ** 2).argmin(-1) + 1


def scores(pair: Pair) -> dict[str, float | None]:
    return {v.name: v.value for metric in METRICS for v in metric.conclude(totals(metric.book(pair)))}


class Thing(frozenset):  # type: ignore[type-arg]
    """The pixels of an object."""

    kind: int
    sure: Fraction


def things(view: View) -> Iterator[Thing]:
    """Every 4-connected area of one label that is a field or a forest."""
    for label in np.unique(view.regions.labels):
        kind = int(view.regions.class_of[label])
        numbers, count = ndimage.label((view.regions.labels == label) & view.valid)
        for number in range(1, count + 1) if kind != OTHER else ():
            thing = Thing(zip(*np.nonzero(numbers == number), strict=True))
            assert view.probabilities is not None
            mean = Fraction(sum(int(view.probabilities[kind][at]) for at in thing), 255 * len(thing))
            thing.kind, thing.sure = kind, Fraction(round(mean * 256), 256)
            yield thing


def iou(a: Thing, b: Thing) -> Fraction:
    return Fraction(len(a & b), len(a | b))


def mean(values: list[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS)
def test_panoptic_quality_is_that_of_all_pairs_of_pixel_sets(seed: int) -> None:
    pair = world(seed)
    quality, fit, recognition = [], [], []
    for kind in (FIELD, FOREST):
        found, wanted = ([t for t in things(v) if t.kind == kind] for v in (pair.candidate, pair.reference))
        ious = [iou(a, b) for a in found for b in wanted if iou(a, b) > Fraction(1, 2)]
        size = len(ious) + Fraction(len(found) - len(ious) + len(wanted) - len(ious), 2)
        quality.append(sum(ious, Fraction(0)) / size)
        fit.append(mean(ious) if ious else Fraction(0))
        recognition.append(len(ious) / size)
    values = scores(pair)
    assert values["panoptic_quality"] == pytest.approx(float(mean(quality)), abs=CLOSE)
    assert values["segmentation_quality"] == pytest.approx(float(mean(fit)), abs=CLOSE)
    assert values["recognition_quality"] == pytest.approx(float(mean(recognition)), abs=CLOSE)


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS)
def test_segmentation_errors_are_those_of_all_pairs_of_pixel_sets(seed: int) -> None:
    pair = world(seed)
    found, wanted = list(things(pair.candidate)), list(things(pair.reference))
    rows = []
    for b in wanted:
        overlapping = [a for a in found if a & b]
        over = under = pieces = Fraction(0)
        if overlapping:
            partner = max(overlapping, key=lambda a, b=b: (len(a & b), -len(a)))  # type: ignore[misc]
            over, under = 1 - Fraction(len(partner & b), len(b)), 1 - Fraction(len(partner & b), len(partner))
            pieces = Fraction(len(overlapping) - 1, max(len(b) - 1, 1))
        else:
            over = under = Fraction(1)
        rows.append((over, under, pieces, len(b) * sqrt((over**2 + under**2) / 2)))
    values = scores(pair)
    for name, column in zip(("over_segmentation", "under_segmentation", "fragmentation"), range(3), strict=True):
        assert values[name] == pytest.approx(float(mean([row[column] for row in rows])), abs=CLOSE)
    assert values["gtc"] == pytest.approx(sum(row[3] for row in rows) / sum(map(len, wanted)), abs=CLOSE)


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS)
def test_area_differences_are_those_of_all_pairs_of_pixel_sets(seed: int) -> None:
    pair = world(seed)
    found, wanted = list(things(pair.candidate)), list(things(pair.reference))
    areas = [(len(a), len(b)) for a in found for b in wanted if iou(a, b) > Fraction(1, 2)]
    assume(areas)
    total = sum(b for _, b in areas)
    values = scores(pair)
    assert values["area_bias"] == pytest.approx(100 * sum(a - b for a, b in areas) / total, rel=CLOSE)
    assert values["area_error"] == pytest.approx(100 * sum(abs(a - b) for a, b in areas) / total, rel=CLOSE)
    assert values["area_bias_ha"] == pytest.approx(0.02 * sum(a - b for a, b in areas) / len(areas), rel=CLOSE)


def oracle_ap(found: list[Thing], wanted: list[Thing], threshold: Fraction) -> Fraction:
    """Accept from every possible limit on; for each recall the best precision at a limit that reaches it."""
    points = []
    for limit in {a.sure for a in found}:
        accepted = [a for a in found if a.sure >= limit]
        right = sum(any(iou(a, b) > threshold for b in wanted) for a in accepted)
        points.append((Fraction(right, len(wanted)), Fraction(right, len(accepted))))
    recalls = [Fraction(j, 100) for j in range(101)]
    return mean([max((p for r, p in points if r >= recall), default=Fraction(0)) for recall in recalls])


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS)
def test_average_precision_is_that_of_every_limit_of_confidence(seed: int) -> None:
    pair = world(seed)
    thresholds = [Fraction(k, 20) for k in range(10, 20)]
    by_class = []
    for kind in (FIELD, FOREST):
        found, wanted = ([t for t in things(v) if t.kind == kind] for v in (pair.candidate, pair.reference))
        if wanted:
            by_class.append([oracle_ap(found, wanted, t) for t in thresholds])
    values = scores(pair)
    assert values["object_ap"] == pytest.approx(float(mean([mean(aps) for aps in by_class])), abs=CLOSE)
    assert values["object_ap50"] == pytest.approx(float(mean([aps[0] for aps in by_class])), abs=CLOSE)
    assert values["object_ap75"] == pytest.approx(float(mean([aps[5] for aps in by_class])), abs=CLOSE)


TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "upside down": lambda a: np.flip(a, -2),
    "mirrored": lambda a: np.flip(a, -1),
    "a quarter turn": lambda a: np.rot90(a, 1, (-2, -1)),
    "a half turn": lambda a: np.rot90(a, 2, (-2, -1)),
}


def turned(view: View, turn: str) -> View:
    def of(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(TURNS[turn](array))

    assert view.probabilities is not None
    size = view.pixel_size_m[::-1] if turn == "a quarter turn" else view.pixel_size_m
    regions = Regions(of(view.regions.labels), view.regions.class_of)
    return View(of(view.p), regions, of(view.valid), size, probabilities=of(view.probabilities))


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, turn=st.sampled_from(sorted(TURNS)))
def test_turning_and_mirroring_both_maps_changes_nothing(seed: int, turn: str) -> None:
    pair = world(seed)
    before, after = scores(pair), scores(Pair(turned(pair.candidate, turn), turned(pair.reference, turn)))
    # A square root times an area has no exact sum: its order, that of the objects' numbers, is seen in the last digit.
    assert after.pop("gtc") == pytest.approx(before.pop("gtc"), rel=1e-14)
    assert after == before


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, kind=st.sampled_from([FIELD, FOREST]))
def test_a_false_object_never_raises_a_score_that_asks_whether_what_is_shown_is_right(seed: int, kind: int) -> None:
    pair = world(seed)
    free = (pair.candidate.classes == OTHER) & (pair.reference.classes == OTHER) & pair.valid
    corners = np.argwhere(ndimage.minimum_filter(free, (2, 3), origin=(-1, -1), mode="constant"))
    assume(len(corners))
    row, col = corners[seed % len(corners)]
    labels = pair.candidate.regions.labels.copy()
    labels[row : row + 2, col : col + 3] = len(pair.candidate.regions.class_of)
    classes = np.append(pair.candidate.regions.class_of, np.uint8(kind))
    more = View(
        pair.candidate.p, Regions(labels, classes), pair.valid, PIXEL_M, probabilities=pair.candidate.probabilities
    )
    assert len(more.objects) > len(pair.candidate.objects)
    before, after = scores(pair), scores(Pair(more, pair.reference))
    for name in (
        "pixel_precision", "pixel_iou", "pixel_agreement", "object_precision", "object_f1", "panoptic_quality",
        "segmentation_quality", "recognition_quality", "object_ap", "object_ap50", "object_ap75",
    ):  # fmt: skip
        assert after[name] is not None
        assert after[name] <= before[name], name  # type: ignore[operator]
    assert after["object_precision"] < before["object_precision"]  # type: ignore[operator]
    assert after["pixel_agreement"] < before["pixel_agreement"]  # type: ignore[operator]


@pytest.mark.parametrize("size", [16, 32, 50])
@pytest.mark.parametrize("kind", KINDS)
def test_tiles_of_any_size_add_up_to_the_scene(kind: str, size: int, pair_with_nodata: Pair) -> None:
    metric = registry.build("metrics", kind)
    grid = GeoBox.from_bbox((0, 0, 120, 96), "EPSG:32632", shape=(96, 120))
    tiled, whole = (measure(pair_with_nodata, [metric], tile_geobox(grid, s, 0)).tallies() for s in (size, 1024))
    (found,), (expected,) = tiled.values(), whole.values()
    assert found.sums.keys() == expected.sums.keys()
    for name, total in expected.sums.items():
        if name == "gtc_m2":
            assert found.sums[name] == pytest.approx(total, rel=1e-12)
        else:
            assert found.sums[name] == total, name
    assert expected.sums == pytest.approx(totals(metric.book(pair_with_nodata)))


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_match_across_a_seam_is_no_lost_object(kind: str) -> None:
    valid, classes = np.ones((12, 16), bool), np.array([OTHER, OTHER, FIELD], np.uint8)
    views = []
    for left in (4, 3):  # centres in columns 8 and 7: on both sides of the seam
        labels = np.ones((12, 16), np.int32)
        labels[2:10, left : left + 10] = 2
        views.append(view(labels, classes, valid, 0))
    metric = registry.build("metrics", kind)
    tiles = tile_geobox(GeoBox.from_bbox((0, 0, 16, 12), "EPSG:32632", shape=(12, 16)), 8, 0)
    measured = measure(Pair(*views), [metric], tiles)
    whole = metric.conclude(measured.tallies()[metric.name].sums)
    here, beyond = (metric.conclude(measured.tallies(k)[metric.name].sums) for k in (0, 1))
    assert here == whole
    assert all(value.flag is None for value in whole)
    assert all(value.value is None and value.flag == "no objects in either map" for value in beyond)
