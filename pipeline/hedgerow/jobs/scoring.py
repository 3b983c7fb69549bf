"""The whole of `hedgerow score`: two maps in, scores out, whatever network or person they come from."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.geom import BoundingBox
from pyproj import CRS
from rasterio.errors import RasterioError

from hedgerow import registry
from hedgerow.edges.burn import burned_line, burned_regions
from hedgerow.edges.views import Pair, View, view_of_labels, view_of_map, view_of_mask, view_of_truth
from hedgerow.errors import ConfigError, ScoreError, SourceError
from hedgerow.geo.metres import pixel_size_m
from hedgerow.geo.tiling import tile_geobox
from hedgerow.geo.windows import whole
from hedgerow.jobs.inputs import RASTER_SUFFIXES
from hedgerow.jobs.outfolder import SCORES
from hedgerow.jobs.tracing import read_labels
from hedgerow.records import OTHER, Regions, Score
from hedgerow.sources._truth import read_truth
from hedgerow.sources._vectors import polygon_layers, transformed
from hedgerow.stages.label import label_array, label_scene
from hedgerow.stages.measure import Measured, measure, scorers, scores
from hedgerow.writers._probability import ProbabilityFile
from hedgerow.writers._tables import write_scores

log = logging.getLogger(__name__)

AGAINST, ARM = "reference", "candidate"
_VECTOR_SUFFIXES = frozenset([".gpkg", ".shp", ".geojson", ".json", ".fgb", ".parquet", ".geoparquet"])
_TILE_PX = 512
_LARGEST_SIDE_PX = 20_000
_WGS84 = CRS.from_epsg(4326)


@dataclass(frozen=True)
class Loaded:
    """A map on its grid, not yet a view: `view(valid)` makes it one on the common valid area."""

    path: Path
    geobox: GeoBox
    valid: NDArray[np.bool_]
    p: NDArray[np.uint8] | None = None
    probabilities: NDArray[np.uint8] | None = None
    regions: Regions | None = None
    line: NDArray[np.bool_] | None = None

    def view(self, valid: NDArray[np.bool_]) -> View:
        """Return the view of this map where `valid`."""
        size = pixel_size_m(self.geobox)
        if self.probabilities is not None and self.regions is not None:
            return view_of_map(self.probabilities, self.regions, valid, size)
        if self.line is not None and self.regions is not None:
            return view_of_truth(self.regions, self.line, valid, size)
        if self.regions is not None:
            return view_of_labels(self.regions, valid, size)
        assert self.p is not None
        return view_of_mask(self.p, valid, size)


def score(
    candidate: Path | str,
    reference: Path | str,
    *,
    out: Path | str | None = None,
    gsd_m: float | None = None,
    tile_px: int = _TILE_PX,
    overwrite: bool = False,
) -> list[Score]:
    """Return every score of a candidate map against a reference map.

    Args:
        candidate: a raster (probability raster of hedgerow, one-band mask or probability, labels), a vector file, or a
            folder of them.
        reference: likewise; folders are matched by stem.
        out: folder that gets `scores.json`.
        gsd_m: grid for two vector files, metres per pixel.
        tile_px: tiles of the sums; no pooled score depends on it.
        overwrite: whether `scores.json` may be replaced.

    Raises:
        ConfigError: a file that does not exist, one that may not be replaced, or vectors without a grid.
        ScoreError: grids that differ, nothing in common, folders without a common stem.
        SourceError: a file that cannot be read as a map.
    """
    target = None if out is None else Path(out) / SCORES
    if target is not None and target.exists() and not overwrite:
        raise ConfigError(f"{target}: exists already; choose another folder or pass --overwrite")
    pairs = _pairs(Path(candidate), Path(reference))
    chosen = scorers()
    measured: dict[str | None, Measured] = {}
    for name, (one, other) in pairs.items():
        views, geobox = _views(one, other, gsd_m)
        measured[name] = measure(views, chosen.metrics, tile_geobox(geobox, tile_px, 0))
    found = scores(measured, chosen, arm=ARM, against=AGAINST, pooled=None not in measured)
    if target is not None:
        write_scores([one.as_row() for one in found], target)
    return found


def _pairs(candidate: Path, reference: Path) -> Mapping[str | None, tuple[Path, Path]]:
    for path in (candidate, reference):
        if not path.exists():
            raise ConfigError(f"{path}: there is no such file or folder")
    if not candidate.is_dir() and not reference.is_dir():
        return {None: (candidate, reference)}
    if not (candidate.is_dir() and reference.is_dir()):
        raise ConfigError(f"{candidate} and {reference}: give two files or two folders")
    ours, theirs = _maps_in(candidate), _maps_in(reference)
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        raise ScoreError(f"{candidate} and {reference} have no file of one stem in common: name the files alike")
    return {stem: (ours[stem], theirs[stem]) for stem in common}


def _maps_in(folder: Path) -> dict[str, Path]:
    suffixes = RASTER_SUFFIXES | _VECTOR_SUFFIXES
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes}


def _views(candidate: Path, reference: Path, gsd_m: float | None) -> tuple[Pair, GeoBox]:
    grids = [_grid_of(path) for path in (candidate, reference) if not _is_vector(path)]
    geobox = grids[0] if grids else _metric_grid((candidate, reference), gsd_m)
    if len(grids) == 2:
        _refuse_other_grid(candidate, reference, grids[0], grids[1])
    one, other = _load(candidate, geobox), _load(reference, geobox)
    common = one.valid & other.valid
    if not common.any():
        raise ScoreError(f"{candidate} and {reference} have no valid pixel in common")
    return Pair(one.view(common), other.view(common)), geobox


def _metric_grid(paths: Sequence[Path], gsd_m: float | None) -> GeoBox:
    """Return a UTM grid round the polygons of all files."""
    if gsd_m is None:
        raise ConfigError(f"{paths[0].name} and {paths[1].name} are vectors: give their grid with --gsd METRES")
    boxes = np.asarray([layer.degrees for path in paths for layer in polygon_layers(path)[0]])
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    if not len(boxes):
        raise ScoreError(f"{paths[0]} and {paths[1]} hold no polygon: there is nothing to compare")
    (west, south), (east, north) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    plane = _utm((west + east) / 2, (south + north) / 2)
    around = BoundingBox(*transformed((west, south, east, north), _WGS84, plane), plane.to_wkt()).buffered(2 * gsd_m)
    if max(around.span_x, around.span_y) / gsd_m > _LARGEST_SIDE_PX:
        raise ConfigError(f"--gsd {gsd_m:g}: the grid would be wider than {_LARGEST_SIDE_PX} px; give a coarser one")
    return GeoBox.from_bbox(around, resolution=gsd_m)


def _utm(longitude: float, latitude: float) -> CRS:
    """Return the UTM zone of a place."""
    zone = min(60, int((longitude + 180) // 6) + 1)
    return CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)


def _load(path: Path, geobox: GeoBox) -> Loaded:
    if _is_vector(path):
        truth = read_truth(path, geobox)
        everywhere = np.ones((geobox.shape[0], geobox.shape[1]), bool)
        regions = burned_regions(truth.geometries, [int(c) for c in truth.classes], geobox)
        return Loaded(path, geobox, everywhere, regions=regions, line=burned_line(truth.geometries, geobox))
    with _opened(path) as dataset:
        tag, dtype, count = dataset.tags().get("HEDGEROW"), np.dtype(dataset.dtypes[0]), dataset.count
    if tag == "probability":
        return _load_probability(path, geobox)
    if count != 1:
        raise SourceError(f"{path}: has {count} bands; give one band, labels, or a probability raster of hedgerow")
    if dtype.kind in "iu" and dtype.itemsize > 1:
        labels, valid, _ = read_labels(path)
        return Loaded(path, geobox, valid, regions=_regions_of(labels, valid))
    with _opened(path) as dataset:
        return Loaded(path, geobox, dataset.dataset_mask() != 0, p=_as_bytes(path, dataset.read(1)))


def _load_probability(path: Path, geobox: GeoBox) -> Loaded:
    file = ProbabilityFile(path)
    window = whole(file.shape)
    with tempfile.TemporaryDirectory() as folder:
        tracer = registry.build("tracers", "watershed")
        regions = label_scene(file, file.valid, tracer, Path(folder)).regions()
    return Loaded(path, geobox, file.valid.read(window), probabilities=file.read(window), regions=regions)


def _regions_of(labels: NDArray[np.int32], valid: NDArray[np.bool_]) -> Regions:
    """Return labels as regions: 0 is background, every 4-connected area of another value a field."""
    regions = label_array(labels, valid).regions()
    class_of = regions.class_of.copy()
    class_of[np.unique(regions.labels[valid & (labels == 0)])] = OTHER
    return Regions(regions.labels, class_of)


def _as_bytes(path: Path, pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Render a mask or probability as 0..255."""
    if pixels.dtype.kind == "f":
        low, high = float(np.nanmin(pixels)), float(np.nanmax(pixels))
        if low < 0 or high > 1:
            raise ScoreError(f"{path}: values from {low:g} to {high:g}; a probability lies in [0, 1]")
        return np.asarray(np.rint(np.nan_to_num(pixels.astype(np.float64)) * 255), np.uint8)
    values = pixels.astype(np.uint8)
    if values.size and values.max() == 1:
        log.warning("%s: a 0/1 mask is rendered as 0/255", path)
        return values * np.uint8(255)
    return values


def _grid_of(path: Path) -> GeoBox:
    with _opened(path) as dataset:
        if dataset.crs is None:
            raise SourceError(f"{path}: has no CRS: assign one first, for instance `rio edit-info --crs EPSG:XXXX`")
        return GeoBox(dataset.shape, dataset.transform, dataset.crs)


def _opened(path: Path) -> rasterio.DatasetReader:
    try:
        return rasterio.open(path)
    except (RasterioError, OSError) as error:
        raise SourceError(f"{path}: cannot be read as a raster or vector: {error}") from error


def _refuse_other_grid(candidate: Path, reference: Path, one: GeoBox, other: GeoBox) -> None:
    moved = np.asarray((~one.transform @ other.transform)[:6]) - np.asarray(Affine.identity()[:6])
    if one.crs != other.crs or one.shape != other.shape or np.abs(moved).max() > 0.01:
        raise ScoreError(
            f"{candidate} ({tuple(one.shape)} px, {one.crs}) and {reference} ({tuple(other.shape)} px, {other.crs}) "
            f"lie on different grids: bring them to one grid first, for instance `rio warp --like {reference.name}`"
        )


def _is_vector(path: Path) -> bool:
    return path.suffix.lower() in _VECTOR_SUFFIXES
