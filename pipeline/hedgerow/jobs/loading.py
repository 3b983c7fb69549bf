"""How does a file become a map on a given grid? Read, checked, brought onto the grid if need be, made into regions."""

import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from hedgerow import registry
from hedgerow.edges.blocks import ArrayReader
from hedgerow.edges.burn import burned_line, burned_regions
from hedgerow.edges.views import View, view_of_labels, view_of_map, view_of_mask, view_of_truth
from hedgerow.jobs import mapfiles
from hedgerow.jobs.checking import checked
from hedgerow.jobs.grids import Ground, window_at, window_near
from hedgerow.jobs.mapfiles import MapFile, RasterFile, opened
from hedgerow.jobs.resampling import resampled
from hedgerow.records import CLASSES, OTHER, Regions
from hedgerow.sources._lattice import offset_px
from hedgerow.sources._truth import read_truth
from hedgerow.stages.label import label_array, label_scene

log = logging.getLogger(__name__)

Pixels = NDArray[Any]
Mask = NDArray[np.bool_]
Size = tuple[float, float]
ViewWhere = Callable[[Mask, Size], View]


@dataclass(frozen=True)
class Loaded:
    """A map on its grid, not yet a view: `view(valid, pixel_size_m)` makes it one on the common valid area."""

    valid: Mask
    view: ViewWhere
    known: frozenset[int] | None = None
    """Classes that it tells of; None: all."""


def load(file: MapFile, ground: Ground) -> Loaded:
    """Return a file as a map on the ground.

    Raises:
        ScoreError: values that its kind does not have.
        SourceError: a file that cannot be read.
    """
    if not isinstance(file, RasterFile):
        return _polygons(file.path, ground)
    bands, valid = _read(file, ground)
    return Loaded(valid, _VIEWS[file.kind](bands, valid))


def _polygons(path: Path, ground: Ground) -> Loaded:
    truth = read_truth(path, ground.geobox)
    _tell(path, truth.report)
    regions = burned_regions(truth.geometries, [int(c) for c in truth.classes], ground.geobox)
    line = burned_line(truth.geometries, ground.geobox)
    return Loaded(np.ones(line.shape, np.bool_), partial(view_of_truth, regions, line), truth.known)


def _tell(path: Path, report: Mapping[str, Any]) -> None:
    if not report["polygons"]:
        log.warning("%s: holds no polygon of a field or forest here: a map of `other` only", path)
    if report["made_valid"]:
        log.warning("%s: %d polygons cross or touch themselves: made valid", path, report["made_valid"])
    if report["without_class"]:
        words = ", ".join(f"{word} ({count})" for word, count in sorted(report["without_class"].items()))
        log.warning("%s: class values that mean nothing here, taken as the class of their layer: %s", path, words)


def _read(file: RasterFile, ground: Ground) -> tuple[Pixels, Mask]:
    """Return checked pixels (bands, height, width) and the valid mask on the ground."""
    at = offset_px(ground.geobox, file.grid)
    window = window_near(file.grid, ground.geobox) if at is None else window_at(at, ground.geobox)
    with opened(file.path) as dataset:
        part = RasterWindow(window.x0, window.y0, window.shape[1], window.shape[0])
        stored, valid = dataset.read(list(file.bands), window=part), dataset.dataset_mask(window=part) != 0
    bands, valid = checked(file, stored, valid)
    if at is not None:
        return bands, valid
    smooth = file.kind in (mapfiles.PROBABILITY, mapfiles.PROBABILITIES)
    return resampled(bands, valid, file.grid[window.slices], ground.geobox, smooth=smooth)


def _of_probabilities(bands: Pixels, valid: Mask) -> ViewWhere:
    return partial(view_of_map, bands, _flooded(bands, valid, {"kind": "watershed"}))


def _of_classes(bands: Pixels, valid: Mask) -> ViewWhere:
    """Border pixels go to the regions beside them; what a code says is sure, however small."""
    sure = np.stack([np.where(bands[0] == code, np.uint8(255), np.uint8(0)) for code in range(len(CLASSES))])
    return partial(view_of_labels, _flooded(sure, valid, {"kind": "watershed", "min_seed_px": 1}))


def _flooded(bands: Pixels, valid: Mask, tracer: Mapping[str, Any]) -> Regions:
    with tempfile.TemporaryDirectory() as folder:
        made = registry.build("tracers", tracer)
        return label_scene(ArrayReader(bands), ArrayReader(valid), made, Path(folder)).regions()


def _of_labels(bands: Pixels, valid: Mask) -> ViewWhere:
    """0 is background, every 4-connected area of another value a field."""
    regions = label_array(bands[0], valid).regions()
    class_of = regions.class_of.copy()
    class_of[np.unique(regions.labels[valid & (bands[0] == 0)])] = OTHER
    return partial(view_of_labels, Regions(regions.labels, class_of))


def _of_image(bands: Pixels, _: Mask) -> ViewWhere:
    return partial(view_of_mask, bands[0])


_VIEWS: Mapping[str, Callable[[Pixels, Mask], ViewWhere]] = {
    mapfiles.PROBABILITIES: _of_probabilities,
    mapfiles.PROBABILITY: _of_image,
    mapfiles.MASK: _of_image,
    mapfiles.CLASS_CODES: _of_classes,
    mapfiles.LABELS: _of_labels,
}
