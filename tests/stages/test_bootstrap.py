"""Intervals by resampling: exact worlds, an oracle that draws with the same weights, and the theory of means."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from hedgerow.edges.layers import LAYERS
from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.errors import ScoreError
from hedgerow.geo.tiling import tile_geobox
from hedgerow.metrics._levels import histogram
from hedgerow.records import Regions, Tally, Value, level_name
from hedgerow.stages.bootstrap import LEVEL, MIN_TILES, Resampled, Samples, draws, resample, with_intervals
from hedgerow.stages.measure import Levels, Measured, Scorers, Sums, conclude, measure, scene_wide, scorers, scores

KINDS = len(LAYERS)


@dataclass(frozen=True)
class Share:
    """Books parts and wholes and how wide they are; concludes a ratio and a median that are not linear in the sums."""

    by_layer: bool = True
    name: str = "share"
    parameters: tuple[tuple[str, int], ...] = ()

    def conclude(self, sums: Mapping[str, float]) -> list[Value]:
        part, whole = sums.get("part", 0), sums.get("whole", 0)
        width = histogram(sums, "width").median()
        return [
            Value("ratio", part / whole if whole else None, "1", round(whole), None if whole else "nothing"),
            Value("median_width", width, "px", round(whole), None if width is not None else "nothing"),
        ]


@dataclass(frozen=True)
class Root:
    """A composite that is bent: the square root of the ratio."""

    def compose(self, values: Mapping[str, Value]) -> list[Value]:
        ratio = values.get("ratio")
        if ratio is None or ratio.value is None:
            return [Value("root", None, "1", 0, "no ratio")]
        return [Value("root", ratio.value**0.5, "1", ratio.n, None, ("ratio",))]


SCORERS = Scorers((Share(),), (Root(),))  # type: ignore[arg-type]


def an_input(seed: int, tiles: int, *, valid: bool = True) -> Measured:
    """Sums and levels drawn at random; the last kind of border is in the first two tiles only."""
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 50, (tiles, KINDS, 2)).astype(float)
    values[..., 1] += values[..., 0]  # names are sorted: part, whole
    values[2:, -1] = 0
    cells = np.repeat(np.arange(tiles * KINDS), 3)
    cells = cells[(cells % KINDS != KINDS - 1) | (cells // KINDS < 2)]
    names = tuple(level_name("width", level) for level in (0.5, 2, 3, 10))
    code = np.unique(cells * 4 + rng.integers(0, 4, len(cells)))
    levels = Levels(names, code // 4, code % 4, rng.integers(1, 9, len(code)).astype(float))
    pixels = np.full(tiles, 100 if valid else 0)
    sums = Sums("share", (), ("part", "whole"), values, levels)
    return Measured(tuple(f"t{k}" for k in range(tiles)), np.full(tiles, 100), pixels, (sums,))


def by_hand(inputs: list[Measured], layer: str, resamples: int, seed: int) -> dict[str, list[float]]:
    """Add up tallies tile by tile, as often as each tile was drawn, and conclude: no table, no product."""
    valid_px = np.concatenate([one.valid_px for one in inputs])
    weights = np.concatenate(list(draws(valid_px, seed=seed, resamples=resamples)))
    tallies = [one.tallies(k, layer)["share"] for one in inputs for k in range(len(one.tiles))]
    found: dict[str, list[float]] = {}
    for row in weights:
        sums: dict[str, float] = {}
        for tally, times in zip(tallies, row, strict=True):
            for name, amount in tally.sums.items():
                sums[name] = sums.get(name, 0.0) + times * amount
        for name, value in conclude({"share": Tally("share", (), sums)}, SCORERS, layer=layer).items():
            found.setdefault(name, []).append(np.nan if value.value is None else value.value)
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_every_resample_is_what_adding_up_the_drawn_tiles_by_hand_gives(layer: str) -> None:
    inputs = [an_input(1, 9), an_input(2, 4), an_input(3, 1)]
    found = resample(inputs, SCORERS, seed=7, resamples=60)
    for name, values in by_hand(inputs, layer, 60, 7).items():
        assert found.samples[layer, name].values == pytest.approx(np.array(values), rel=1e-12, nan_ok=True), name


def test_each_resample_draws_as_many_tiles_as_there_are_and_never_one_without_a_valid_pixel() -> None:
    valid_px = np.array([5, 0, 7, 9, 0, 1])
    weights = np.concatenate(list(draws(valid_px, seed=0, resamples=300)))
    assert weights.shape == (300, 6)
    assert (weights[:, valid_px > 0].sum(axis=1) == 4).all()
    assert (weights[:, valid_px == 0] == 1).all()  # what may be booked there counts once
    assert weights[:, 0].mean() == pytest.approx(1, abs=4 * np.sqrt(0.75 / 300))  # binomial(4, 1/4)


def test_the_interval_is_the_middle_95_percent() -> None:
    values = np.random.default_rng(0).permutation(np.arange(401.0))
    assert Samples(values, MIN_TILES).interval() == pytest.approx((10, 390))  # 2.5 % and 97.5 % of 0..400
    assert LEVEL == 0.95


def test_tiles_that_are_all_alike_leave_no_doubt() -> None:
    one = an_input(4, 1)
    sums = one.sums[0]
    assert sums.levels is not None
    cells = np.concatenate([sums.levels.cell + k * KINDS for k in range(8)])
    levels = replace(sums.levels, cell=cells, name=np.tile(sums.levels.name, 8), count=np.tile(sums.levels.count, 8))
    alike = Measured(
        tuple("abcdefgh"), np.full(8, 100), np.full(8, 100),
        (replace(sums, values=np.repeat(sums.values, 8, axis=0), levels=levels),),
    )  # fmt: skip
    rows = with_intervals(scores({"farm": alike}, SCORERS, arm="a", against="b"), resample([alike], SCORERS, seed=0))
    pooled = [row for row in rows if row.input is None]
    assert all(row.low == row.value == row.high is not None for row in pooled)


def test_the_same_seed_gives_the_same_and_another_seed_another() -> None:
    inputs = [an_input(1, 12)]
    first, again, other = (resample(inputs, SCORERS, seed=seed, resamples=50) for seed in (3, 3, 4))
    key = ("all", "ratio")
    assert np.array_equal(first.samples[key].values, again.samples[key].values)
    assert not np.array_equal(first.samples[key].values, other.samples[key].values)


def test_how_the_resamples_are_put_into_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [an_input(1, 12)]
    whole = resample(inputs, SCORERS, seed=3, resamples=50)
    monkeypatch.setattr("hedgerow.stages.bootstrap._BLOCK_CELLS", 12 * 7)
    blocks = resample(inputs, SCORERS, seed=3, resamples=50)
    for key, samples in whole.samples.items():
        assert np.array_equal(samples.values, blocks.samples[key].values, equal_nan=True)


def test_only_pooled_rows_have_an_interval_and_it_holds_the_value_of_a_ratio() -> None:
    inputs = {"a": an_input(1, 9), "b": an_input(2, 4)}
    rows = with_intervals(
        scores(inputs, SCORERS, arm="int8", against="fp32"), resample(inputs.values(), SCORERS, seed=0)
    )
    assert all(row.low is None and row.high is None for row in rows if row.input is not None)
    pooled = {(row.layer, row.metric): row for row in rows if row.input is None}
    for layer in LAYERS[:-1]:
        row = pooled[layer, "ratio"]
        assert row.low is not None
        assert row.low < row.value < row.high
    root = pooled["all", "root"]
    assert root.low == pytest.approx(pooled["all", "ratio"].low ** 0.5, rel=1e-3)  # between two resamples it is bent


def test_a_score_that_too_few_tiles_know_of_has_no_interval() -> None:
    found = resample([an_input(1, 9)], SCORERS, seed=0)
    last = LAYERS[-1]  # in two tiles only
    assert {name: found.samples[last, name].tiles for name in ("ratio", "root")} == {"ratio": 2, "root": 2}
    assert found.samples[last, "ratio"].interval() is None
    assert found.samples["all", "root"].tiles == 9
    assert found.samples["all", "root"].interval() is not None
    assert resample([an_input(1, MIN_TILES - 1)], SCORERS, seed=0).samples["all", "ratio"].interval() is None
    assert resample([an_input(1, MIN_TILES)], SCORERS, seed=0).samples["all", "ratio"].interval() is not None


def test_a_score_that_often_does_not_apply_has_no_interval() -> None:
    values = np.linspace(0, 1, 100)
    seldom, often = values.copy(), values.copy()
    seldom[:5], often[:6] = np.nan, np.nan
    assert Samples(seldom, 50).interval() is not None
    assert Samples(often, 50).interval() is None


def test_nothing_measured_gives_no_interval_and_no_error() -> None:
    assert resample([an_input(1, 8, valid=False)], SCORERS, seed=0).drawn == ()
    assert resample([], SCORERS, seed=0).samples["all", "ratio"].interval() is None


def test_the_width_for_a_mean_of_many_tiles_is_that_of_the_normal_law() -> None:
    tiles, rng = 400, np.random.default_rng(5)
    parts = rng.poisson(20, tiles).astype(float)
    values = np.zeros((tiles, KINDS, 2))
    values[:, 1, 0], values[:, 1, 1] = parts, 100.0  # one whole for all: the ratio is a mean
    sums = Sums("share", (), ("part", "whole"), values)
    measured = Measured(tuple(map(str, range(tiles))), np.full(tiles, 9), np.full(tiles, 9), (sums,))
    low, high = resample([measured], SCORERS, seed=1, resamples=2000, layers=["all"]).samples["all", "ratio"].interval()
    deviation = parts.std() / 100 / np.sqrt(tiles)
    # 2,000 resamples know an end of the interval to about 0.06 deviations; 4 of those.
    assert low == pytest.approx(parts.mean() / 100 - 1.96 * deviation, abs=0.24 * deviation)
    assert high == pytest.approx(parts.mean() / 100 + 1.96 * deviation, abs=0.24 * deviation)


def test_inputs_with_other_parameters_are_not_pooled() -> None:
    one, other = an_input(1, 3), an_input(2, 3)
    other = replace(other, sums=(replace(other.sums[0], parameters=(("at", 7),)),))
    with pytest.raises(ScoreError, match="must agree"):
        resample([one, other], SCORERS, seed=0)


def parcels(seed: int, shape: tuple[int, int] = (90, 120)) -> View:
    """Parcels nearest to seeds that are the same in every map, each moved a little in its own way."""
    seeds = np.random.default_rng(0).uniform((0, 0), shape, (25, 2))
    seeds += np.random.default_rng(seed).normal(0, 1, seeds.shape)
    y, x = np.indices(shape)
    labels = ((y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2).argmin(-1).astype(np.int32) + 1
    classes = np.r_[0, np.arange(25) % 3].astype(np.uint8)
    return view_of_labels(Regions(labels, classes), np.ones(shape, bool), (2.0, 2.0))


def test_every_default_score_is_that_of_the_tallies_of_the_drawn_tiles() -> None:
    chosen, grid = scorers(), GeoBox.from_bbox((0, 0, 240, 180), "EPSG:32632", shape=(90, 120))
    measured = measure(Pair(parcels(1), parcels(2)), chosen.metrics, tile_geobox(grid, 32, 0))
    found = resample([measured], chosen, seed=0, resamples=2)
    (weights,) = draws(measured.valid_px, seed=0, resamples=2)
    for layer in LAYERS:
        expected = [conclude(tallies_of(measured, row, layer), chosen, layer=layer) for row in weights]
        assert {name for where, name in found.samples if where == layer} == expected[0].keys()
        for name in (name for name in expected[0] if not scene_wide(name)):
            values = np.array([np.nan if one[name].value is None else one[name].value for one in expected])
            assert found.samples[layer, name].values == pytest.approx(values, rel=1e-9, abs=1e-12, nan_ok=True), name


@pytest.mark.parametrize("count", [1, MIN_TILES])
def test_what_one_gap_changes_all_over_a_scene_is_drawn_by_whole_inputs(count: int) -> None:
    chosen, grid = scorers(), GeoBox.from_bbox((0, 0, 240, 180), "EPSG:32632", shape=(90, 120))
    tiles = tile_geobox(grid, 32, 0)
    inputs = [measure(Pair(parcels(k), parcels(0)), chosen.metrics, tiles) for k in range(1, count + 1)]
    found = resample(inputs, chosen, seed=0, resamples=40)
    (weights,) = draws(np.array([one.valid_px.sum() for one in inputs]), seed=0, resamples=40)
    for name in ("continuity", "spatial_quality", "erq_boundary"):
        samples = found.samples["all", name]
        assert (samples.tiles, samples.unit) == (count, "inputs")
        assert (samples.interval() is None) == (count < MIN_TILES)
    of_inputs = np.array([one.tallies()["continuity"].sums["linked"] for one in inputs])
    lengths = np.array([one.tallies()["continuity"].sums["n_ref"] for one in inputs])
    assert found.samples["all", "continuity"].values == pytest.approx((weights @ of_inputs) / (weights @ lengths))
    assert found.samples["all", "completeness"].unit == "tiles"


def tallies_of(measured: Measured, weights: np.ndarray, layer: str) -> dict[str, Tally]:
    """Add up whole tallies, a tile drawn three times is added three times."""
    total: dict[str, Tally] = {}
    for tile, times in enumerate(weights.astype(int)):
        for _ in range(times):
            for name, tally in measured.tallies(tile, layer).items():
                total[name] = total[name] + tally if name in total else tally
    return total


def test_resamples_travel_between_processes() -> None:
    found = resample([an_input(1, 7)], SCORERS, seed=0, resamples=20)
    again: Resampled = pickle.loads(pickle.dumps(found))
    assert again.drawn == found.drawn == tuple(range(7))
    assert np.array_equal(again.samples["all", "ratio"].values, found.samples["all", "ratio"].values)
