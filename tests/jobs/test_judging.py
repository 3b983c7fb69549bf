"""Scores with intervals, and differences to FP32: the same on every scheduler, and nothing where nothing differs."""

from dataclasses import replace

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from hedgerow.config import RunConfig
from hedgerow.contracts import silent
from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.geo.tiling import tile_geobox
from hedgerow.graph import Graph
from hedgerow.jobs.judging import Judged, interval_settings, judged
from hedgerow.jobs.measuring import Key, chosen_scorers
from hedgerow.records import Regions
from hedgerow.stages.measure import Measured, measure

SHAPE = (96, 128)
CONFIG = RunConfig(metrics=({"kind": "boundary_f1"}, {"kind": "objects"}), tile_px=32)
ARMS = ("fp32", "twin", "worse")


def fields(period: int, shift: int = 0) -> View:
    """Fields and woods in strips of `period` px, all moved by `shift` px."""
    rows, cols = np.indices(SHAPE) + shift
    labels = ((rows // period) * 100 + cols // period + 1).astype(np.int32)
    classes = np.where(np.arange(labels.max() + 1) % 3, 1, 2).astype(np.uint8)
    return view_of_labels(Regions(labels, classes), np.ones(SHAPE, bool), (1.0, 1.0))


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[Key, Measured]]:
    """Two scenes of twelve tiles: the twin's maps are FP32's, the other arm's lie 4 px off."""
    metrics = chosen_scorers(CONFIG).metrics
    tiles = tile_geobox(GeoBox.from_bbox((0, 0, 128, 96), "EPSG:32632", shape=SHAPE), 32, 0)
    scenes: dict[str, dict[Key, Measured]] = {}
    for scene, period in (("near", 16), ("far", 24)):
        truth, fp32, moved = fields(period, 40), fields(period, 41), fields(period, 45)
        for arm, view in zip(ARMS, (fp32, fp32, moved), strict=True):
            scenes.setdefault(scene, {})[arm, "fp32"] = measure(Pair(view, fp32), metrics, tiles)
            scenes[scene][arm, "truth"] = measure(Pair(view, truth), metrics, tiles)
    return scenes


def judge(measured: dict[str, dict[Key, Measured]], scheduler: str = "sync", workers: int = 1) -> Judged:
    with Graph(scheduler, workers) as graph:
        return judged(CONFIG, ARMS, measured, graph, silent)


@pytest.fixture(scope="module")
def expected(measured: dict[str, dict[Key, Measured]]) -> Judged:
    return judge(measured)


def test_a_twin_of_fp32_differs_by_exactly_nothing_and_a_moved_map_is_worse(expected: Judged) -> None:
    found = {(d.arm, d.metric): d for d in expected.differences if d.layer == "all"}
    for metric in ("boundary_f1", "object_f1"):
        twin, worse = found["twin", metric], found["worse", metric]
        assert (twin.value, twin.low, twin.high, twin.verdict) == (0, 0, 0, "no difference shown")
        assert worse.verdict == "worse"
        assert worse.low <= worse.high < 0
        assert worse.n == 24
    assert {d.arm for d in expected.differences} == {"twin", "worse"}
    assert {(d.minus, d.against, d.input) for d in expected.differences} == {("fp32", "truth", None)}


def test_a_difference_is_that_of_the_pooled_scores(expected: Judged) -> None:
    pooled = {(s.arm, s.layer, s.metric): s for s in expected.scores if s.input is None and s.against == "truth"}
    assert len(expected.differences) == 2 * len([key for key in pooled if key[0] == "fp32"])
    for d in expected.differences:
        ours, theirs = pooled[d.arm, d.layer, d.metric].value, pooled["fp32", d.layer, d.metric].value
        assert d.value == (None if ours is None or theirs is None else ours - theirs)
    assert any(d.layer == "field|forest" and d.verdict == "worse" for d in expected.differences)


def test_pooled_scores_lie_in_their_intervals_and_single_scenes_have_none(expected: Judged) -> None:
    rows = [s for s in expected.scores if s.arm == "worse" and s.value is not None]
    assert all(s.low is None for s in rows if s.input is not None)
    pooled = [s for s in rows if s.input is None and s.layer == "all"]
    assert {s.metric for s in pooled} == {"boundary_f1", "object_precision", "object_recall", "object_f1"}
    assert all(s.low <= s.value <= s.high for s in pooled)


@pytest.mark.parametrize(("scheduler", "workers"), [("threads", 3), ("processes", 2)])
def test_schedulers_and_workers_change_nothing(
    scheduler: str, workers: int, measured: dict[str, dict[Key, Measured]], expected: Judged
) -> None:
    assert judge(measured, scheduler, workers) == expected


def test_scores_stand_in_the_order_of_the_arms_however_they_were_measured(
    measured: dict[str, dict[Key, Measured]], expected: Judged
) -> None:
    shuffled = {name: dict(reversed(scene.items())) for name, scene in measured.items()}
    assert judge(shuffled) == expected


def test_without_truth_there_is_no_difference(measured: dict[str, dict[Key, Measured]]) -> None:
    blind = {name: {key: m for key, m in scene.items() if key[1] == "fp32"} for name, scene in measured.items()}
    found = judge(blind)
    assert found.differences == ()
    assert {s.against for s in found.scores} == {"fp32"}


def test_truth_for_some_scenes_pools_those_only(measured: dict[str, dict[Key, Measured]]) -> None:
    some = {"near": measured["near"], "far": {key: m for key, m in measured["far"].items() if key[1] == "fp32"}}
    found = judge(some)
    assert {d.n for d in found.differences if d.layer == "all"} == {12}
    assert {s.input for s in found.scores if s.against == "truth"} == {"near", None}


def test_the_seed_of_the_run_decides_the_draws(measured: dict[str, dict[Key, Measured]], expected: Judged) -> None:
    with Graph("sync") as graph:
        other = judged(CONFIG.model_copy(update={"seed": 1}), ARMS, measured, graph, silent)
    assert [replace(s, low=None, high=None) for s in other.scores] == [
        replace(s, low=None, high=None) for s in expected.scores
    ]
    assert other != expected


def test_how_the_intervals_were_made_can_be_read() -> None:
    said = interval_settings(CONFIG)
    assert (said["level"], said["tile_px"], said["seed"]) == (0.95, 32, 0)
    assert said["resamples"] >= 100
