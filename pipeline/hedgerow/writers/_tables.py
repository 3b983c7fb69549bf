"""How are scores kept on disk? `scores.json` for every score, `tiles.parquet` for the map of tile scores."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from shapely.affinity import affine_transform

from hedgerow.errors import GeometryError, ScoreError
from hedgerow.writers._layers import put_style
from hedgerow.writers._staging import staged
from hedgerow.writers._styles import Style, tile_style

SCORE_KEY = ("metric", "arm", "against", "layer", "input")
TILE_COLUMNS: Mapping[str, str] = {"input": "str", "tile": "str", "arm": "str", "status": "str", "support": "int64"}

SHOWN = ("erq_boundary__fp32", "boundary_f1__fp32", "erq_boundary__truth", "boundary_f1__truth")
"""Scores by which tiles are shown at first: the first of these that any tile has."""

_WGS84 = "EPSG:4326"


def write_scores(
    rows: Iterable[Mapping[str, Any]],
    path: Path,
    *,
    differences: Iterable[Mapping[str, Any]] | None = None,
    intervals: Mapping[str, Any] | None = None,
) -> Path:
    """Write `{"scores": [...]}`; rows as the fields of records.Score.

    Args:
        rows: the scores.
        path: the file to write.
        differences: rows as the fields of stages.differences.Difference, written beside the scores if given.
        intervals: how the intervals were made, written beside them if given.

    Raises:
        ScoreError: two rows with the same metric, arm, against, layer and input; or a value that is not finite.
    """
    content: dict[str, Any] = {"scores": _once_each(rows)}
    if differences is not None:
        content["differences"] = _once_each(differences)
    if intervals is not None:
        content["intervals"] = dict(intervals)
    return write_json(content, path)


def write_json(value: Any, path: Path) -> Path:
    """Write JSON atomically; NumPy scalars, arrays and paths are written as what they hold.

    Raises:
        ScoreError: a NaN or an infinity: what does not apply is null with a flag.
    """
    try:
        text = json.dumps(value, indent=1, allow_nan=False, default=_plain)
    except ValueError as error:
        raise ScoreError(f"{path.name}: {error}; a value that does not apply is null with a flag") from error
    with staged(path) as folder:
        (folder / path.name).write_text(f"{text}\n", encoding="utf-8")
    return path


def write_tiles(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Write one row per tile and arm as GeoParquet in EPSG:4326, one CRS for inputs of any; a style for QGIS beside.

    Args:
        rows: `input`, `tile` (id), `arm`, `status`, `support` (valid pixels), `geometry` (see `footprint`) and one
            number or None under `METRIC__AGAINST` for each tile score.
        path: the file to write.
    """
    scores = sorted({str(name) for row in rows for name in row} - {*TILE_COLUMNS, "geometry"})
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in TILE_COLUMNS}
    columns |= {name: np.asarray([row.get(name) for row in rows], dtype=np.float64) for name in scores}
    geometry = geopandas.GeoSeries([row["geometry"] for row in rows], crs=_WGS84)
    frame = GeoDataFrame(columns, geometry=geometry).astype(dict(TILE_COLUMNS))
    with staged(path) as folder:
        frame.to_parquet(folder / path.name, index=False, schema_version="1.1.0", write_covering_bbox=True)
        put_style(_style(frame), folder / path.name)
    return path


def _style(frame: GeoDataFrame) -> Style | None:
    """Return how QGIS is to show the tiles at first: by a score of borders, of the arm that lost most."""
    column = next((name for name in SHOWN if name in frame.columns and frame[name].notna().any()), None)
    return tile_style(column, str(frame.groupby("arm")[column].mean().idxmin())) if column else None


def footprint(geobox: GeoBox) -> shapely.Polygon:
    """Return the outline of a grid in longitude and latitude (EPSG:4326), its four corners first to last.

    Raises:
        GeometryError: the grid has no CRS, or no place on earth.
    """
    if geobox.crs is None:
        raise GeometryError("a grid without a CRS has no place on earth: assign a CRS to the raster first")
    to_degrees = Transformer.from_crs(str(geobox.crs), _WGS84, always_xy=True)
    height, width = geobox.shape
    pixels = shapely.Polygon([(0, 0), (0, height), (width, height), (width, 0)])
    outline = affine_transform(pixels, geobox.transform.to_shapely())
    ring = np.column_stack(to_degrees.transform(*shapely.get_coordinates(outline).T))
    if not np.isfinite(ring).all():
        raise GeometryError(f"the grid {outline.bounds} has no place on earth in {geobox.crs}: check the raster's CRS")
    return shapely.Polygon(ring)


def _once_each(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    listed = [dict(row) for row in rows]
    seen: set[tuple[Any, ...]] = set()
    for row in listed:
        key = tuple(row.get(part) for part in SCORE_KEY)
        if key in seen:
            raise ScoreError(f"two scores for {dict(zip(SCORE_KEY, key, strict=True))}: one row each")
        seen.add(key)
    return listed


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        listed: NDArray[Any] = value
        return listed.tolist()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")
