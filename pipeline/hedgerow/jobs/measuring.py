"""How good is every arm's map of a scene? Against FP32 and against truth, in one task that shares the references."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from hedgerow.config import RunConfig
from hedgerow.edges.burn import burned_line, burned_regions
from hedgerow.edges.regions import RegionStore
from hedgerow.edges.views import Pair, View, view_of_map, view_of_truth
from hedgerow.geo.metres import pixel_size_m
from hedgerow.geo.tiling import tile_geobox
from hedgerow.geo.windows import whole
from hedgerow.jobs.mapping import probability_path
from hedgerow.jobs.told import as_told
from hedgerow.sources._truth import Truth, read_truth
from hedgerow.stages.measure import DEFAULT_METRICS, Measured, Scorers, measure, scorers
from hedgerow.writers._probability import ProbabilityFile

FP32, TRUTH = "fp32", "truth"

Key = tuple[str, str]
"""(arm, against)."""


@dataclass(frozen=True)
class MeasureItem:
    """Which maps are to be measured: some arms of one scene."""

    scene: str
    arms: tuple[str, ...]
    baseline: str
    """The arm that stands for FP32."""
    truth: Path | None


@dataclass(frozen=True)
class MeasureScene:
    """A task: the sums of every metric for some arms of one scene."""

    config: RunConfig
    out: Path
    regions: Mapping[tuple[str, str], RegionStore]

    def __call__(self, item: MeasureItem) -> dict[Key, Measured]:
        """Return what was measured, by arm and reference."""
        chosen = chosen_scorers(self.config)
        baseline = self._view(item.scene, item.baseline)
        geobox = ProbabilityFile(probability_path(self.out, item.scene, item.baseline)).geobox
        truth = None if item.truth is None else read_truth(item.truth, geobox, truth_rule=self.config.truth_rule)
        truth_map = None if truth is None else truth_view(truth, geobox, baseline.valid)
        tiles = tile_geobox(geobox, self.config.tile_px, 0)
        found: dict[Key, Measured] = {}
        for arm in item.arms:
            candidate = baseline if arm == item.baseline else self._view(item.scene, arm)
            found[arm, FP32] = measure(Pair(candidate, baseline), chosen.metrics, tiles)
            if truth is not None and truth_map is not None:
                told = as_told(candidate, truth.known)
                found[arm, TRUTH] = measure(Pair(told, truth_map), chosen.metrics, tiles)
        return found

    def _view(self, scene: str, arm: str) -> View:
        file = ProbabilityFile(probability_path(self.out, scene, arm))
        window = whole(file.shape)
        valid = file.valid.read(window)
        return view_of_map(file.read(window), self.regions[scene, arm].regions(), valid, pixel_size_m(file.geobox))


def truth_view(truth: Truth, geobox: GeoBox, valid: NDArray[np.bool_]) -> View:
    """Return truth polygons as a map on a raster's grid."""
    regions = burned_regions(truth.geometries, [int(c) for c in truth.classes], geobox)
    return view_of_truth(regions, burned_line(truth.geometries, geobox), valid, pixel_size_m(geobox))


def chosen_scorers(config: RunConfig) -> Scorers:
    """Build the metrics of a run."""
    settings: Sequence[Any] = DEFAULT_METRICS if config.metrics is None else config.metrics
    return scorers(settings)


def shared_out(items: Sequence[MeasureItem], workers: int) -> list[MeasureItem]:
    """Split scenes by arms when there are fewer scenes than workers; each part prepares its references again."""
    parts = max(1, -(-workers // max(1, len(items))))
    return [
        MeasureItem(item.scene, item.arms[k::parts], item.baseline, item.truth)
        for item in items
        for k in range(min(parts, len(item.arms)))
    ]
