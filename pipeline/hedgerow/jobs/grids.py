"""On which grid are two maps compared? On the raster's, cropped to what both cover; polygons get one of their own."""

import logging
from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox
from odc.geo.geom import BoundingBox
from pyproj import CRS

from hedgerow.errors import ConfigError, ScoreError, SourceError
from hedgerow.geo.metres import pixel_size_m
from hedgerow.geo.windows import Window
from hedgerow.jobs.mapfiles import MapFile, RasterFile
from hedgerow.sources._lattice import between, offset_px, outline
from hedgerow.sources._vectors import Bounds, polygon_layers, transformed

log = logging.getLogger(__name__)

_MARGIN_PX = 8
"""Kept free round polygons, well beyond the rim in which outlines are taken for the frame; and read round a grid."""

_LARGEST_SIDE_PX = 20_000
_WGS84 = CRS.from_epsg(4326)


@dataclass(frozen=True)
class Ground:
    """The grid of a comparison; `pixel_size_m` is (height, width) in metres."""

    geobox: GeoBox
    pixel_size_m: tuple[float, float]


def common_ground(
    candidate: MapFile, reference: MapFile, *, gsd_m: float | None = None, resample: bool = False
) -> Ground:
    """Return the grid on which two maps can be compared.

    Args:
        candidate, reference: what is compared.
        gsd_m: metres per pixel, for polygons against polygons and for two rasters that have no place on earth.
        resample: whether a raster on another grid is welcome; then the grid is that of the reference.

    Raises:
        ConfigError: `gsd_m` is needed, impossible, or makes too large a grid.
        ScoreError: grids that differ or do not overlap.
        SourceError: a raster without a place on earth, beside a map that has one or without `gsd_m`.
    """
    if gsd_m is not None and not 0 < gsd_m < np.inf:
        raise ConfigError(f"--gsd {gsd_m:g}: give metres per pixel, above 0")
    if not isinstance(candidate, RasterFile) and not isinstance(reference, RasterFile):
        return _measured(_round_polygons(candidate, reference, gsd_m))
    if isinstance(candidate, RasterFile) and isinstance(reference, RasterFile):
        if not candidate.placed and not reference.placed:
            return Ground(_unplaced(candidate, reference), _square(gsd_m, candidate))
        _refuse_unplaced(candidate, reference)
        _refuse_unplaced(reference, candidate)
        geobox = _shared(candidate, reference, resample=resample)
    else:
        raster, polygons = (candidate, reference) if isinstance(candidate, RasterFile) else (reference, candidate)
        assert isinstance(raster, RasterFile)
        _refuse_unplaced(raster, polygons)
        geobox = raster.grid
    if gsd_m is not None:
        log.warning("--gsd %g is not used: %s brings its own grid", gsd_m, reference.path)
    return _measured(geobox)


def window_at(at: tuple[int, int], geobox: GeoBox) -> Window:
    """Return the window of the shape of `geobox` that begins at (row, column)."""
    return Window(at[0], at[1], at[0] + int(geobox.shape[0]), at[1] + int(geobox.shape[1]))


def window_near(grid: GeoBox, target: GeoBox) -> Window:
    """Return the pixels of `grid` that lie in `target`, and a few round them; it may be empty."""
    cols, rows = between(target, grid)(*outline(target))
    if not np.isfinite((cols, rows)).all():
        return Window(0, 0, 0, 0)
    low = [int(np.floor(side.min())) for side in (rows, cols)]
    high = [int(np.ceil(side.max())) for side in (rows, cols)]
    return Window(*low, *high).padded(_MARGIN_PX).clipped((int(grid.shape[0]), int(grid.shape[1])))


def _measured(geobox: GeoBox) -> Ground:
    return Ground(geobox, pixel_size_m(geobox))


def _shared(candidate: RasterFile, reference: RasterFile, *, resample: bool) -> GeoBox:
    """Return what both rasters cover, on the reference's grid."""
    at = offset_px(candidate.grid, reference.grid)
    if at is not None:
        return _cropped(candidate, reference, window_at(at, candidate.grid))
    if not resample:
        raise ScoreError(
            f"{_described(candidate)} and {_described(reference)} lie on different grids: pass --resample to bring the "
            f"candidate onto the reference's, or do it yourself, for instance `rio warp --like {reference.path.name}`"
        )
    return _cropped(candidate, reference, window_near(reference.grid, candidate.grid))


def _cropped(candidate: RasterFile, reference: RasterFile, window: Window) -> GeoBox:
    shared = window.clipped(reference.shape)
    if 0 in shared.shape:
        raise ScoreError(f"{_described(candidate)} and {_described(reference)} do not overlap: give maps of one place")
    return reference.grid[shared.slices]


def _unplaced(candidate: RasterFile, reference: RasterFile) -> GeoBox:
    """Return the grid of two rasters that have no place on earth: pixel by pixel the same, or in one plane."""
    ours, theirs = candidate.grid, reference.grid
    unknown = ours.transform.is_identity and theirs.transform.is_identity
    if unknown and ours.shape == theirs.shape:
        return theirs
    at = None if unknown else offset_px(ours, theirs)
    if at is None:
        raise ScoreError(
            f"{_described(candidate)} and {_described(reference)} have no CRS and lie on different grids: crop them "
            "alike, or assign a CRS and a transform to both"
        )
    return _cropped(candidate, reference, window_at(at, ours))


def _square(gsd_m: float | None, file: RasterFile) -> tuple[float, float]:
    if gsd_m is None:
        raise SourceError(
            f"{file.path}: has no CRS, or no transform, so nothing can be measured in metres: say how large a pixel is "
            f"with --gsd METRES, or assign them (`rio edit-info --crs EPSG:XXXX --transform '[...]' {file.path.name}`)"
        )
    return gsd_m, gsd_m


def _refuse_unplaced(file: RasterFile, other: MapFile) -> None:
    if file.placed:
        return
    how = "--crs EPSG:XXXX --transform '[...]'"
    if isinstance(other, RasterFile) and file.shape == other.shape:
        how = f"--like {other.path.name} --crs like --transform like"
    raise SourceError(
        f"{file.path}: has no CRS, or no transform, and {other.path} has one: assign them if both show one place, for "
        f"instance `rio edit-info {how} {file.path.name}`"
    )


def _round_polygons(candidate: MapFile, reference: MapFile, gsd_m: float | None) -> GeoBox:
    """Return a UTM grid round the polygons of both files."""
    one, other = candidate.path, reference.path
    if gsd_m is None:
        raise ConfigError(f"{one.name} and {other.name} are vectors: give their grid with --gsd METRES")
    extents = [extent for extent in (_extent(candidate), _extent(reference)) if extent is not None]
    if not extents:
        raise ScoreError(f"{one} and {other} hold no polygon: there is nothing to compare")
    boxes = np.asarray(extents)
    if (boxes[:, :2].max(axis=0) > boxes[:, 2:].min(axis=0)).any():
        raise ScoreError(f"{one} and {other} do not overlap: give maps of one place")
    (west, south), (east, north) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    plane = _utm((west + east) / 2, (south + north) / 2)
    around = BoundingBox(*transformed((west, south, east, north), _WGS84, plane), plane.to_wkt())
    around = around.buffered(_MARGIN_PX * gsd_m)
    if max(around.span_x, around.span_y) / gsd_m > _LARGEST_SIDE_PX:
        raise ConfigError(f"--gsd {gsd_m:g}: the grid would be wider than {_LARGEST_SIDE_PX} px; give a coarser one")
    return GeoBox.from_bbox(around, resolution=gsd_m)


def _extent(file: MapFile) -> Bounds | None:
    """Return where the polygons of a file lie, in degrees; None where it has none."""
    found = [layer.degrees for layer in polygon_layers(file.path)[0]]
    boxes = np.asarray([box for box in found if np.isfinite(box).all()])
    if not len(boxes):
        return None
    (west, south), (east, north) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return float(west), float(south), float(east), float(north)


def _utm(longitude: float, latitude: float) -> CRS:
    """Return the UTM zone of a place."""
    zone = min(60, int((longitude + 180) // 6) + 1)
    return CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)


def _described(file: RasterFile) -> str:
    a = file.grid.transform
    size = f"{np.hypot(a.a, a.d):.6g} x {np.hypot(a.b, a.e):.6g}"
    return f"{file.path} ({file.shape[0]} x {file.shape[1]} px of {size}, {file.grid.crs})"
