"""How good is a map of a test scene? One scorer for every method: a map comes as regions, whoever made it.

What counts as a line is the boundary between two regions; classes that the truth does not tell of count as `other`.
These are the scores of `hedgerow compare` and `hedgerow score` against truth.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.geo.metres import pixel_size_m
from hedgerow.geo.tiling import tile_geobox
from hedgerow.jobs.measuring import truth_view
from hedgerow.jobs.told import as_told
from hedgerow.records import FIELD, OTHER, Regions, Tally
from hedgerow.sources._truth import Truth, read_truth
from hedgerow.stages.measure import conclude, measure, scorers

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
METRICS = ({"kind": "boundary_f1", "tolerance_m": 5}, {"kind": "boundary_f1"}, {"kind": "objects"})
BOUNDARY_5M, OBJECT_F1 = "boundary_f1@5m", "object_f1"
COLUMNS = (BOUNDARY_5M, "boundary_f1", "object_precision", "object_recall", OBJECT_F1)
CHOSEN = scorers(METRICS)

Values = dict[str, float | None]
Sums = dict[str, dict[str, float]]
"""Of one scene: by metric, what it has counted. Scores of many scenes are concluded from added counts."""


@dataclass(frozen=True)
class Case:
    """A raster and the vector file of its fields."""

    image: Path
    truth: Path
    bands: tuple[int, int, int] = (1, 2, 3)
    """Stored bands of red, green and blue."""

    @property
    def name(self) -> str:
        return self.image.stem

    @cached_property
    def geobox(self) -> GeoBox:
        with rasterio.open(self.image) as dataset:
            return GeoBox((dataset.height, dataset.width), dataset.transform, dataset.crs)

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """(height, width), True = valid."""
        with rasterio.open(self.image) as dataset:
            return np.asarray(dataset.dataset_mask() != 0)

    @property
    def pixel_m(self) -> tuple[float, float]:
        """(height, width) of a pixel."""
        return pixel_size_m(self.geobox)

    @cached_property
    def _truth(self) -> Truth:
        return read_truth(self.truth, self.geobox)

    @cached_property
    def _reference(self) -> View:
        return truth_view(self._truth, self.geobox, self.valid)

    def rgb(self) -> NDArray[np.float32]:
        """Return red, green and blue (3, height, width), each stretched from its 2nd to its 98th percentile."""
        with rasterio.open(self.image) as dataset:
            stored = dataset.read(list(self.bands)).astype(np.float32)
        low, high = np.percentile(stored[:, self.valid], (2, 98), axis=1).astype(np.float32)[:, :, None, None]
        return np.asarray(np.clip((stored - low) / np.maximum(high - low, 1e-6), 0, 1), np.float32)

    def truth_labels(self) -> NDArray[np.int32]:
        """Return the truth as regions (height, width)."""
        return self._reference.regions.labels

    def sums(self, regions: Regions) -> Sums:
        """Return what every metric counts in a map of this scene."""
        view = as_told(view_of_labels(regions, self.valid, self.pixel_m), self._truth.known)
        whole = tile_geobox(self.geobox, max(self.geobox.shape), 0)
        tallies = measure(Pair(view, self._reference), CHOSEN.metrics, whole).tallies()
        return {name: dict(tally.sums) for name, tally in tallies.items()}

    def sums_of_fields(self, fields: NDArray[np.int32]) -> Sums:
        """Return the same for fields (height, width) numbered from 1; 0 is `other`."""
        class_of = np.full(int(fields.max()) + 2, FIELD, np.uint8)
        class_of[:2] = OTHER
        return self.sums(Regions(np.where(self.valid, fields + 1, 0).astype(np.int32), class_of))


def aerial() -> tuple[Case, ...]:
    """Return the aerial tiles, by name."""
    folder = DATA / "naip_us_fields"
    return tuple(Case(path, path.with_name(f"{path.stem}_fields.gpkg")) for path in sorted(folder.glob("*.tif")))


def denmark() -> Case:
    """Return the Danish scene."""
    folder = DATA / "s2_dk_lpis"
    return Case(folder / "s2_l1c_20160508_bgr.tif", folder / "lpis_parcels_2016.gpkg", (3, 2, 1))


def pooled(scenes: Iterable[Sums]) -> Values:
    """Return the scores of all scenes together, from the sum of their counts."""
    total: dict[str, Counter[str]] = {metric.name: Counter() for metric in CHOSEN.metrics}
    for sums in scenes:
        for name, counts in sums.items():
            total[name].update(counts)
    tallies = {m.name: Tally(m.name, tuple(m.parameters), total[m.name]) for m in CHOSEN.metrics}
    found = conclude(tallies, CHOSEN)
    return {name: found[name].value for name in COLUMNS}


def worth(values: Values) -> float:
    """Return what settings are chosen by: boundary F1 at 5 m plus object F1."""
    return (values[BOUNDARY_5M] or 0.0) + (values[OBJECT_F1] or 0.0)
