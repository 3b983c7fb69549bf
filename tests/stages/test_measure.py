import pickle
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from hedgerow.edges.layers import LAYERS
from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.errors import ConfigError, ScoreError
from hedgerow.geo.tiling import tile_geobox
from hedgerow.metrics._booking import Booking
from hedgerow.records import FIELD, FOREST, OTHER, Regions, Tally, Tile, Value
from hedgerow.stages.measure import Measured, better, conclude, measure, scene_values, scorers, scores, tile_values

SHAPE = (300, 420)
SCORERS = scorers()


def plan(size: int, shape: tuple[int, int] = SHAPE) -> tuple[Tile, ...]:
    return tile_geobox(GeoBox.from_bbox((0, 0, shape[1], shape[0]), "EPSG:32632", shape=shape), size, 0)


def a_map(valid: np.ndarray, *, seed: int, move: float, shape: tuple[int, int] = SHAPE) -> View:
    """Parcels nearest to random seeds; `move` px of disturbance makes another map of the same parcels."""
    rng = np.random.default_rng(seed)
    seeds = rng.uniform((0, 0), shape, (60, 2))
    classes = rng.integers(0, 3, 61).astype(np.uint8)
    seeds += np.random.default_rng(seed + 1).normal(0, 1, seeds.shape) * move
    y, x = np.indices(shape)
    labels = ((y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2).argmin(-1).astype(np.int32) + 1
    drawn = view_of_labels(Regions(labels, classes), valid, (10.0, 10.0))
    soft = np.minimum(drawn.p, np.random.default_rng(seed + 2).integers(60, 256, shape)).astype(np.uint8)
    return View(soft if move else drawn.p, drawn.regions, valid, drawn.pixel_size_m)


@pytest.fixture(scope="module")
def pair() -> Pair:
    valid = np.ones(SHAPE, bool)
    valid[100:170, 90:230] = False
    return Pair(a_map(valid, seed=1, move=1.5), a_map(valid, seed=1, move=0))


@pytest.fixture(scope="module")
def whole(pair: Pair) -> Measured:
    return measure(pair, SCORERS.metrics, plan(1024))


@pytest.mark.parametrize("size", [32, 100, 256])
def test_tiles_of_any_size_add_up_to_the_scene(size: int, pair: Pair, whole: Measured) -> None:
    tiled = measure(pair, SCORERS.metrics, plan(size))
    for layer in LAYERS:
        expected, found = whole.tallies(layer=layer), tiled.tallies(layer=layer)
        assert found.keys() == expected.keys()
        for metric, tally in expected.items():
            for name, total in tally.sums.items():
                if float(total).is_integer():
                    assert found[metric].sums[name] == total, (metric, name)
                else:
                    assert found[metric].sums[name] == pytest.approx(total, rel=1e-12), (metric, name)


def test_the_order_of_tiles_changes_nothing(pair: Pair) -> None:
    tiles = plan(100)
    straight, reverse = (measure(pair, SCORERS.metrics, order) for order in (tiles, tiles[::-1]))
    assert straight.tiles == reverse.tiles[::-1]
    for one, other in zip(straight.sums, reverse.sums, strict=True):
        assert np.array_equal(one.values, other.values[::-1])


def test_each_tile_has_what_was_booked_in_its_core(pair: Pair) -> None:
    tiles = plan(128)
    measured = measure(pair, SCORERS.metrics[:1], tiles)
    for number in (0, 4, len(tiles) - 1):
        core = tiles[number].core
        expected = 0
        for booking in SCORERS.metrics[0].book(pair):
            if "tp" in booking.values:
                inside = (booking.rows >= core.y0) & (booking.rows < core.y1)
                inside &= (booking.cols >= core.x0) & (booking.cols < core.x1)
                expected += int(inside.sum())
        assert measured.tallies(number)["erqa"].sums["tp"] == expected


@dataclass(frozen=True)
class Pixel:
    """Books two amounts on one pixel, under one name."""

    by_layer: bool = True
    name: str = "pixel"
    parameters: tuple[tuple[str, int], ...] = (("at", 7),)

    def book(self, pair: Pair) -> list[Booking]:
        place = np.array([150]), np.array([33])
        return [Booking(*place, {"amount": np.array([amount])}) for amount in (2.0, 3.0)]

    def conclude(self, sums: Mapping[str, float]) -> list[Value]:
        return [Value("pixel", sums.get("amount", 0.0), "px", 1)]


def test_what_is_booked_on_a_pixel_is_found_in_its_tile_and_layer_only(pair: Pair) -> None:
    measured = measure(pair, [Pixel()], plan(100))
    (sums,) = measured.sums
    tile, kind = measured.tiles.index("r0001c0000"), pair.layers[150, 33]
    expected = np.zeros((len(measured.tiles), len(LAYERS), 1))
    expected[tile, kind] = 5.0
    assert np.array_equal(sums.values, expected)
    assert sums.tally(tile, "all") == Tally("pixel", (("at", 7),), {"amount": 5.0})


def test_all_borders_are_the_sum_of_their_kinds(whole: Measured) -> None:
    (sums,) = (s for s in whole.sums if s.metric == "boundary_f1")
    kinds = [sums.tally(None, layer).sums["n_ref"] for layer in LAYERS]
    without_layer = sums.values[:, 0, sums.names.index("n_ref")].sum()  # forest|forest, other|other
    assert min(kinds) > 0
    assert kinds[0] == sum(kinds[1:]) + without_layer


def test_identity_scores_exactly_one(pair: Pair) -> None:
    same = Pair(pair.reference, View(pair.reference.p, pair.reference.regions, pair.valid, pair.pixel_size_m))
    for layer, values in scene_values([measure(same, SCORERS.metrics, plan(100))], SCORERS).items():
        for name, value in values.items():
            if value.value is None:  # no noise to measure; no side of a field that is outside
                assert (name, value.flag) == ("sqnr", "no difference") or (layer, name) == (
                    "field|field",
                    "border_shift",
                )
            elif better(name) != "neither":
                assert value.value == (1.0 if better(name) in ("higher", "one") else 0.0), (layer, name)


def test_every_name_of_the_default_set_is_there(whole: Measured) -> None:
    names = scene_values([whole], SCORERS)["all"].keys()
    assert names >= {
        "erqa", "erqa_reference", "erqa_jaccard", "corner_retention", "corner_retention_raw", "corner_precision",
        "corner_repeatability", "continuity", "longest_fraction", "gaps_per_km", "completeness", "correctness",
        "quality", "sharpness", "sharpness_raw", "erq_boundary", "spatial_quality", "spatial_quality_sharp",
        "spatial_quality_raw", "boundary_iou", "boundary_f1", "object_precision", "object_recall", "object_f1",
    }  # fmt: skip


def test_objects_have_no_kind_of_border(whole: Measured) -> None:
    values = scene_values([whole], SCORERS)
    assert "object_f1" in values["all"]
    assert "object_f1" not in values["field|field"]
    assert "boundary_f1" in values["field|field"]


def test_a_wall_between_two_fields_is_scored_in_its_layer_only() -> None:
    labels = np.ones((60, 60), np.int32)
    labels[10:50, 10:30], labels[10:50, 30:50] = 2, 3
    valid = np.ones((60, 60), bool)
    kept = view_of_labels(Regions(labels, np.array([OTHER, OTHER, FIELD, FIELD], np.uint8)), valid, (1, 1))
    merged = np.where(labels == 3, np.int32(2), labels)
    lost = view_of_labels(Regions(merged, np.array([OTHER, OTHER, FIELD], np.uint8)), valid, (1, 1))
    chosen = scorers(["boundary_f1", "objects"])
    values = scene_values([measure(Pair(lost, kept), chosen.metrics, plan(16, (60, 60)))], chosen)
    wall, outside = values["field|field"]["boundary_f1"], values["field|other"]["boundary_f1"]
    assert wall.value is not None
    assert wall.value < 0.3  # only the ends of the wall lie near the outline that was kept
    assert wall.n == 40
    assert outside.value == 1.0
    assert values["field|forest"]["boundary_f1"].flag == "no boundaries in either map"
    assert values["all"]["object_f1"].value == 0.0


def test_many_inputs_are_pooled_by_their_sums_and_not_by_their_scores(pair: Pair, whole: Measured) -> None:
    valid = np.ones((80, 90), bool)
    small = Pair(a_map(valid, seed=9, move=4.0, shape=(80, 90)), a_map(valid, seed=9, move=0, shape=(80, 90)))
    other = measure(small, SCORERS.metrics, plan(64, (80, 90)))
    pooled = scene_values([whole, other], SCORERS)["all"]["erqa"]
    parts = [m.tallies()["erqa"].sums for m in (whole, other)]
    tp, fp, fn = (sum(sums[name] for sums in parts) for name in ("tp", "fp", "fn"))
    assert pooled.value == 2 * tp / (2 * tp + fp + fn)
    assert pooled.n == tp + fn


def test_score_records_carry_their_address_and_parameters(whole: Measured) -> None:
    found = scores({"farm": whole}, SCORERS, arm="int8", against="fp32")
    keys = {(s.metric, s.layer, s.input) for s in found}
    assert len(keys) == len(found)
    assert {s.input for s in found} == {"farm", None}
    assert {s.layer for s in found} == set(LAYERS)
    assert {(s.arm, s.against) for s in found} == {("int8", "fp32")}
    by_name = {s.metric: s for s in found if s.layer == "all" and s.input is None}
    assert by_name["boundary_f1"].parameters == {"tolerance_px": 2.0}
    assert by_name["erqa_jaccard"].parameters["profile"] == "geo"
    assert by_name["spatial_quality"].terms_used == ("erqa", "corner_retention", "continuity")


def test_a_tile_with_hardly_a_valid_pixel_has_no_statistics_but_is_in_the_sum(pair: Pair) -> None:
    valid = np.ones((64, 64), bool)
    valid[:, 32:] = False
    valid[:3, 32:35] = True  # 9 of 1024 px
    small = Pair(*(a_map(valid, seed=3, move=m, shape=(64, 64)) for m in (1.0, 0)))
    measured = measure(small, SCORERS.metrics, plan(32, (64, 64)))
    per_tile = tile_values(measured, SCORERS)
    assert measured.valid_px.tolist() == [1024, 9, 1024, 0]
    assert [t["boundary_f1"].value is None for t in per_tile] == [False, True, False, True]
    assert per_tile[1]["boundary_f1"].flag == "less than 1% of the tile is valid"
    total = sum(s.tally(k, "all").sums["n_ref"] for s in measured.sums if s.metric == "boundary_f1" for k in range(4))
    assert total == measured.tallies()["boundary_f1"].sums["n_ref"]


def test_what_was_measured_is_small_and_picklable(whole: Measured) -> None:
    again = pickle.loads(pickle.dumps(whole))
    assert again.tallies() == whole.tallies()
    assert len(pickle.dumps(whole)) < 100_000


def test_all_nodata_gives_no_value_anywhere() -> None:
    valid = np.zeros((40, 40), bool)
    nothing = view_of_labels(Regions(np.zeros((40, 40), np.int32), np.array([OTHER], np.uint8)), valid, (1, 1))
    measured = measure(Pair(nothing, nothing), SCORERS.metrics, plan(16, (40, 40)))
    values = scene_values([measured], SCORERS)["all"]
    assert all(v.value is None and v.flag for v in values.values())


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), size=st.integers(7, 60))
def test_random_worlds_add_up(seed: int, size: int) -> None:
    shape = (50, 70)
    valid = np.random.default_rng(seed).random(shape) > 0.002
    small = Pair(*(a_map(valid, seed=seed, move=m, shape=shape) for m in (2.0, 0)))
    one, many = (scene_values([measure(small, SCORERS.metrics, plan(s, shape))], SCORERS) for s in (512, size))
    for layer in LAYERS:
        for name, value in one[layer].items():
            expected = None if value.value is None else pytest.approx(value.value, rel=1e-12, abs=1e-12)
            assert many[layer][name].value == expected, (layer, name)
            assert (many[layer][name].n, many[layer][name].flag) == (value.n, value.flag)


def test_tiles_that_do_not_cover_the_maps_are_refused(pair: Pair) -> None:
    with pytest.raises(ScoreError, match="partition"):
        measure(pair, SCORERS.metrics, plan(100)[:-1])
    with pytest.raises(ScoreError, match="partition"):
        measure(pair, SCORERS.metrics, plan(100, (80, 90)))


def test_an_unknown_metric_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'continuity'"):
        scorers(["continuty"])


def test_composites_are_concluded_from_the_values_of_their_layer(whole: Measured) -> None:
    values = conclude(whole.tallies(layer="field|other"), SCORERS, layer="field|other")
    erqa, corner, continuity = (values[n].value for n in ("erqa", "corner_retention", "continuity"))
    assert erqa is not None
    assert corner is not None
    assert continuity is not None
    assert values["spatial_quality"].value == pytest.approx(0.4 * erqa + 0.3 * corner + 0.3 * continuity)


def test_forest_borders_have_a_layer_of_their_own() -> None:
    labels = np.ones((40, 40), np.int32)
    labels[10:30, 10:30] = 2
    view = view_of_labels(Regions(labels, np.array([OTHER, OTHER, FOREST], np.uint8)), np.ones((40, 40), bool), (1, 1))
    values = scene_values([measure(Pair(view, view), SCORERS.metrics, plan(40, (40, 40)))], SCORERS)
    assert values["forest|other"]["boundary_f1"].n == values["all"]["boundary_f1"].n > 0
    assert values["field|field"]["boundary_f1"].value is None
