"""From one probability raster all results are the same, whatever the tiles, the scheduler and the workers."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from geopandas import GeoDataFrame, read_file
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter

from hedgerow.config import RunConfig
from hedgerow.geo.windows import whole
from hedgerow.graph import Graph
from hedgerow.jobs.mapping import MapArm, MapItem, probability_path
from hedgerow.jobs.measuring import MeasureItem, MeasureScene, chosen_scorers, shared_out
from hedgerow.records import Score
from hedgerow.stages.measure import scores, tile_values
from hedgerow.writers._probability import ProbabilityRaster

SHAPE = (150, 1100)  # more than one block of the fixed grid (1024 px), more than four tiles of the smallest tracing
ARMS = ("fp32", "other")
GEOBOX = GeoBox(SHAPE, Affine(2, 0, 500000, 0, -2, 5000000), "EPSG:32633")


@dataclass(frozen=True)
class Results:
    fields: dict[str, GeoDataFrame]
    borders: dict[str, GeoDataFrame]
    scores: list[Score]
    tile_support: int


def probabilities(seed: int) -> np.ndarray:
    """Blobs of fields and forests with soft borders between them: (classes, height, width) uint8."""
    rng = np.random.default_rng(7)
    landscape = np.stack([gaussian_filter(rng.standard_normal(SHAPE), 9) for _ in range(3)])
    noise = np.random.default_rng(seed).standard_normal((3, *SHAPE))
    regions = landscape / landscape.std() + 0.15 * np.stack([gaussian_filter(n, 2) * 6 for n in noise])
    first, second = np.sort(regions, axis=0)[[-1, -2]]
    border = np.exp(-((first - second) ** 2) / 0.05)
    shares = np.exp(4 * (regions - first)) * (1 - border)
    shares *= ((1 - border) / shares.sum(axis=0).clip(1e-9))[None]
    return np.rint(255 * np.concatenate([shares, border[None]])).astype(np.uint8)


@pytest.fixture(scope="module")
def rasters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The probability rasters of two arms, as `compare` writes them; a corner and a hole are nodata."""
    out = tmp_path_factory.mktemp("fixed")
    rows, cols = np.indices(SHAPE)
    valid = (rows + cols > 60) & ((rows - 80) ** 2 + (cols - 700) ** 2 > 300)
    for seed, arm in enumerate(ARMS):
        with ProbabilityRaster(probability_path(out, "scene", arm), GEOBOX) as raster:
            raster.write(whole(SHAPE), probabilities(seed), valid)
    return out


RULES = {"min_area_m2": 200.0, "min_width_m": 9.0, "min_border": 0.75, "simplify_m": 3.0}


def results(out: Path, work: Path, *, tile_px: int, scheduler: str, workers: int) -> Results:
    """Map and measure as `compare` does."""
    config = RunConfig(tile_px=tile_px, scheduler=scheduler, workers=workers, **RULES)
    with Graph(scheduler, workers) as graph:
        task = MapArm(config, out, work)
        mapped = list(graph.each(task, [MapItem("scene", arm, "scene.tif") for arm in ARMS]))
        measure = MeasureScene(config, out, {(m.scene, m.arm): m.regions for m in mapped})
        items = shared_out([MeasureItem("scene", ARMS, "fp32", None)], graph.workers)
        measured = {key: one for part in graph.each(measure, items) for key, one in part.items()}
    chosen = chosen_scorers(config)
    layers = {
        layer: {arm: read_file(out / "scene" / arm / "borders.gpkg", layer=layer) for arm in ARMS}
        for layer in ("fields", "borders")
    }
    rows = [row for arm in ARMS for row in scores({"scene": measured[arm, "fp32"]}, chosen, arm=arm, against="fp32")]
    one = measured["other", "fp32"]
    assert len(tile_values(one, chosen)) == len(one.tiles)
    return Results(layers["fields"], layers["borders"], rows, int(one.valid_px.sum()))


@pytest.fixture(scope="module")
def expected(rasters: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """One tile, one process, a for loop."""
    return results(rasters, tmp_path_factory.mktemp("work"), tile_px=2048, scheduler="sync", workers=1)


@pytest.fixture(
    scope="module",
    params=[(64, "sync", 1), (128, "threads", 2), (64, "processes", 2)],
    ids=lambda p: f"tiles of {p[0]} px, {p[1]}, {p[2]} workers",
)
def found(
    request: pytest.FixtureRequest, rasters: Path, expected: Results, tmp_path_factory: pytest.TempPathFactory
) -> Results:
    tile_px, scheduler, workers = request.param
    work = tmp_path_factory.mktemp("work")
    return results(rasters, work, tile_px=tile_px, scheduler=scheduler, workers=workers)


def test_the_world_is_worth_comparing(expected: Results) -> None:
    for arm in ARMS:
        assert len(expected.fields[arm]) > 40
        assert set(expected.fields[arm]["class"]) == {"field", "forest"}
        assert set(expected.borders[arm].class_pair) >= {"field|forest", "field|other", "forest|other"}
    values = {s.metric: s.value for s in expected.scores if s.layer == "all" and s.arm == "other" and s.input is None}
    for metric in ("erqa", "continuity", "boundary_iou", "boundary_f1", "object_f1"):
        assert 0.05 < values[metric] < 0.99


@pytest.mark.parametrize("rule", ["min_width_m", "min_border"])
def test_every_rule_joins_something_here(rule: str, rasters: Path, expected: Results, tmp_path: Path) -> None:
    arm = ARMS[0]
    shutil.copytree(probability_path(rasters, "scene", arm).parent, probability_path(tmp_path, "scene", arm).parent)
    task = MapArm(RunConfig(tile_px=2048, **(RULES | {rule: 0.0})), tmp_path, tmp_path / "work")
    assert task(MapItem("scene", arm, "scene.tif")).summary["fields"] > len(expected.fields[arm])


@pytest.mark.parametrize("layer", ["fields", "borders"])
@pytest.mark.parametrize("arm", ARMS)
def test_maps_are_the_same_to_the_last_bit(found: Results, expected: Results, layer: str, arm: str) -> None:
    ours, theirs = getattr(found, layer)[arm], getattr(expected, layer)[arm]
    assert ours.geometry.normalize().to_wkb().tolist() == theirs.geometry.normalize().to_wkb().tolist()
    for column in theirs.columns.drop("geometry"):
        assert ours[column].tolist() == theirs[column].tolist()


def test_scores_are_the_same(found: Results, expected: Results) -> None:
    assert len(found.scores) == len(expected.scores)
    for ours, theirs in zip(found.scores, expected.scores, strict=True):
        assert (ours.metric, ours.layer, ours.arm, ours.n, ours.flag) == (
            theirs.metric, theirs.layer, theirs.arm, theirs.n, theirs.flag,
        )  # fmt: skip
        # sums of floats are added up in the order of the tiles: 1e-12 is their rounding, counts are exact
        assert ours.value == (None if theirs.value is None else pytest.approx(theirs.value, rel=1e-12, abs=1e-15))


def test_no_pixel_is_counted_twice_or_left_out(found: Results, expected: Results) -> None:
    assert found.tile_support == expected.tile_support
