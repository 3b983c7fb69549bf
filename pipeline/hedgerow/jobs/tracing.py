"""The whole of `hedgerow trace`, and `hedgerow.trace` for arrays: labels, classes or probabilities to fields."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from hedgerow import registry
from hedgerow.errors import ConfigError, GeometryError, SourceError
from hedgerow.jobs.exporting import refuse_existing
from hedgerow.records import CLASSES, FieldMap
from hedgerow.stages.label import label_scene
from hedgerow.stages.trace import TILE_PX, trace_labels, trace_scene
from hedgerow.writers._layers import COLUMNS, layers_of
from hedgerow.writers._probability import ProbabilityFile

KINDS = ("labels", "classes", "probability")
_LARGEST_LABEL = 2**31 - 2


def trace(labels: NDArray[Any], geobox: GeoBox, **options: Any) -> FieldMap:
    """Return the field map of a (height, width) integer array: every 4-connected area of one value is a field.

    Args:
        labels: integers; 0 is nodata unless `valid` is given.
        geobox: CRS and transform.
        options: valid, tile_px, simplify_m, min_area_m2, min_hole_m2, source: as in `stages.trace.trace_labels`.

    Raises:
        GeometryError: the labels are no integers, shapes differ, or the grid has no CRS.
    """
    return trace_labels(labels, geobox, **options)


def trace_file(
    raster: Path,
    out: Path,
    *,
    kind: str | None = None,
    tile_px: int = TILE_PX,
    simplify_m: float = 0.0,
    min_area_m2: float = 0.0,
    min_hole_m2: float = 0.0,
    tracer: str = "arcs",
    layer: str | None = None,
    overwrite: bool = False,
) -> Sequence[Path]:
    """Trace a raster file and write the map in the format of `out`'s extension.

    Args:
        raster: labels, classes or probabilities.
        out: vector file.
        kind: labels, classes or probability; None: from the HEDGEROW tag, else labels.
        tile_px, simplify_m, min_area_m2, min_hole_m2: as in `trace`.
        tracer: how pixels of a probability raster become regions ('arcs', the default, takes watershed for them).
        layer: only this layer, `fields` or `borders`; a format of one layer otherwise gets `OUT_fields.EXT` and
            `OUT_borders.EXT`.
        overwrite: whether files that are there may be replaced.

    Raises:
        ConfigError: an unknown kind or format, or a file that exists.
        SourceError: the raster cannot be read as what it is said to be.
    """
    writer = _writer_for(out)
    wanted = _layers(layer)
    if not overwrite:
        refuse_existing(out, wanted)
    options: dict[str, Any] = {
        "tile_px": tile_px, "simplify_m": simplify_m, "min_area_m2": min_area_m2, "min_hole_m2": min_hole_m2,
        "source": str(raster),
    }  # fmt: skip
    kind = kind or _kind_of(raster)
    if kind not in KINDS:
        raise ConfigError(registry.unknown("kind of raster", kind, KINDS))
    if kind == "probability":
        field_map = _trace_probability(raster, "watershed" if tracer == "arcs" else tracer, options)
    else:
        labels, valid, geobox = read_labels(raster)
        field_map = trace_labels(labels, geobox, valid=valid, **options)
    layers = layers_of(field_map)
    files: Sequence[Path] = writer.write_layers({name: layers[name] for name in wanted}, out)
    return files


def _layers(layer: str | None) -> tuple[str, ...]:
    if layer is not None and layer not in COLUMNS:
        raise ConfigError(registry.unknown("layer", layer, tuple(COLUMNS)))
    return tuple(COLUMNS) if layer is None else (layer,)


def read_labels(path: Path) -> tuple[NDArray[np.int32], NDArray[np.bool_], GeoBox]:
    """Return labels (height, width), the valid mask and the grid of a one-band integer raster.

    Raises:
        SourceError: no integers, more than one band, no CRS, or labels beyond 31 bits.
    """
    try:
        with rasterio.open(path) as dataset:
            if dataset.count != 1 or np.dtype(dataset.dtypes[0]).kind not in "iub":
                raise SourceError(
                    f"{path}: {dataset.count} band(s) of {dataset.dtypes[0]}; labels are one band of integers. "
                    f"For probabilities written by hedgerow pass --as probability"
                )
            if dataset.crs is None:
                raise SourceError(f"{path}: has no CRS: assign one first, for instance `rio edit-info --crs EPSG:XXXX`")
            pixels, valid = dataset.read(1), dataset.dataset_mask() != 0
            geobox = GeoBox(dataset.shape, dataset.transform, dataset.crs)
    except (RasterioError, OSError) as error:
        raise SourceError(f"{path}: cannot be read as a raster: {error}") from error
    values = pixels[valid]
    if values.size and (int(values.max()) > _LARGEST_LABEL or int(values.min()) < -_LARGEST_LABEL):
        raise SourceError(f"{path}: labels up to {values.max()} do not fit 31 bits: number them anew from 1")
    return np.where(valid, pixels, 0).astype(np.int32), valid, geobox


def _trace_probability(raster: Path, tracer: str, options: dict[str, Any]) -> FieldMap:
    file = ProbabilityFile(raster)
    if tuple(file.classes) != CLASSES:
        raise GeometryError(f"{raster}: bands {file.classes} are not {CLASSES}")
    with tempfile.TemporaryDirectory() as folder:
        regions = label_scene(file, file.valid, registry.build("tracers", tracer), Path(folder))
        return trace_scene(regions, file, file.geobox, arm=raster.parent.name, **options).field_map


def _kind_of(raster: Path) -> str:
    try:
        with rasterio.open(raster) as dataset:
            return str(dataset.tags().get("HEDGEROW", "labels"))
    except (RasterioError, OSError) as error:
        raise SourceError(f"{raster}: cannot be read as a raster: {error}") from error


def _writer_for(out: Path) -> Any:
    kinds = {registry.build("writers", kind).extension: kind for kind in registry.available("writers")}
    if out.suffix.lower() not in kinds:
        raise ConfigError(f"{out}: no writer for {out.suffix or 'a file without extension'}; known: {', '.join(kinds)}")
    return registry.build("writers", kinds[out.suffix.lower()])
