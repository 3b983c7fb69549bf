"""From regions to a field map: arcs tile by tile, one join, merges, simplification, polygons and border lines.

No polygon is ever cut by a tile. Everything stays on the integer corner grid until the last step, when points get
the CRS.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from hedgerow.arcs.faces import Faces, doubled_areas, faces, polygons
from hedgerow.arcs.join import join_tiles, relabelled
from hedgerow.arcs.merge import Rules, merged_ids
from hedgerow.arcs.network import Arcs, corner_keys
from hedgerow.arcs.simplify import simplified
from hedgerow.arcs.tile import Pieces, tile_pieces
from hedgerow.contracts import Each, WindowReader, one_by_one
from hedgerow.edges.blocks import read_padded
from hedgerow.edges.regions import VOID, RegionStore
from hedgerow.errors import GeometryError
from hedgerow.geo.metres import pixel_size_m
from hedgerow.geo.windows import Window, grid
from hedgerow.records import BORDER, FIELD, FOREST, REGION_CLASSES, FieldMap
from hedgerow.stages.label import label_array
from hedgerow.tracers._layers import borders_layer, fields_layer, lines_of

TILE_PX = 1024
_ROUNDING = 1e-9
"""Relative difference of two sums of areas that is rounding, not a gap."""


@dataclass(frozen=True)
class Measured:
    """Sums over the pixels of each region (n + 1 entries), after merging; `probability_sum` is (n + 1, 3)."""

    area_px: NDArray[np.int64]
    probability_sum: NDArray[np.int64]


@dataclass(frozen=True)
class TracedScene:
    """A finished map, and the regions that its unsimplified polygons outline (after min-hole and min-area)."""

    field_map: FieldMap
    regions: RegionStore


def trace_scene(
    regions: RegionStore,
    pixels: WindowReader | None,
    geobox: GeoBox,
    *,
    tile_px: int = TILE_PX,
    simplify_m: float = 0.0,
    min_area_m2: float = 0.0,
    min_hole_m2: float = 0.0,
    source: str = "",
    arm: str = "fp32",
    each: Each = one_by_one,
) -> TracedScene:
    """Return the field map of labelled regions, the same for every tile size, order and worker count.

    Every border between two regions of which at least one is field or forest is one line. Its `left_id` and
    `right_id` are field ids, 0 where that side is `other`; left is seen along the line in the CRS. `open` marks
    borders of which an end touches nodata or the scene edge; the edge itself is no border.

    Args:
        regions: what `label_scene` or `label_array` returned.
        pixels: probabilities (classes, height, width) uint8, for the confidences; None: every confidence is 1.
        geobox: CRS and transform of the raster.
        tile_px: side of the tiles that are traced at a time.
        simplify_m: see `arcs.simplify`: square root of a triangle's area in m2, no distance. 0 keeps every corner.
        min_area_m2: a smaller field or forest goes to the neighbour with the longest shared border, `other` included.
        min_hole_m2: a smaller region or nodata area enclosed by one single field is filled.
        source: path of the input, as written into the fields.
        arm: name of the arm.
        each: how the tiles are worked through.

    Raises:
        GeometryError: the grid has no CRS or another shape, or the result is no valid coverage.
    """
    _check_shape(regions, geobox)
    pixel_m = pixel_size_m(geobox)
    tiles = list(each(_TraceTile(regions.ids, pixels), (window for _, window in grid(regions.shape, tile_px))))
    arcs = join_tiles(tile.pieces for tile in tiles)
    pixel_m2 = pixel_m[0] * pixel_m[1]
    rules = Rules(min_hole_px=min_hole_m2 / pixel_m2, min_area_px=min_area_m2 / pixel_m2)
    target = merged_ids(
        arcs, regions.area_px, regions.class_of, rules=rules, pixel_m=pixel_m, objects=(FIELD, FOREST), void=VOID
    )
    exact = relabelled(arcs, target)
    found = faces(exact)
    simple = simplified(exact, found, tolerance_m=simplify_m, pixel_m=pixel_m)
    measured = None if pixels is None else _measured(tiles, regions, target)
    field_map = _field_map(simple, found, regions.class_of, measured, geobox, source=source, arm=arm)
    return TracedScene(field_map, regions.merged(target))


def trace_labels(
    labels: NDArray[Any],
    geobox: GeoBox,
    *,
    valid: NDArray[np.bool_] | None = None,
    tile_px: int = TILE_PX,
    simplify_m: float = 0.0,
    min_area_m2: float = 0.0,
    min_hole_m2: float = 0.0,
    source: str = "",
    arm: str = "labels",
    each: Each = one_by_one,
) -> FieldMap:
    """Return the field map of a label raster: every 4-connected area of one value is a field.

    Args:
        labels: (height, width) integers.
        geobox: CRS and transform of the raster.
        valid: (height, width), True = valid; None: valid where the label is not 0.
        tile_px: side of the tiles that are traced at a time.
        simplify_m: square root of a triangle's area in m2; 0 keeps every corner.
        min_area_m2: a smaller field goes to the neighbour with the longest shared border.
        min_hole_m2: a smaller hole in one field is filled.
        source: path of the input, as written into the fields.
        arm: name of the arm.
        each: how the tiles are worked through.

    Raises:
        GeometryError: the labels are no integers, shapes differ, or the grid has no CRS.
    """
    return trace_scene(
        label_array(labels, valid), None, geobox, tile_px=tile_px, simplify_m=simplify_m, min_area_m2=min_area_m2,
        min_hole_m2=min_hole_m2, source=source, arm=arm, each=each,
    ).field_map  # fmt: skip


@dataclass(frozen=True)
class _Traced:
    """What one tile found: pieces of arcs, and per region in it the sum of each class probability (n, 3)."""

    pieces: Pieces
    region: NDArray[np.int64]
    probability_sum: NDArray[np.int64]


@dataclass(frozen=True)
class _TraceTile:
    """Trace one tile; a value that pickles into any process."""

    ids: WindowReader
    pixels: WindowReader | None

    def __call__(self, window: Window) -> _Traced:
        ids = read_padded(self.ids, window, 1)
        none = np.zeros(0, np.int64)
        if self.pixels is None:
            return _Traced(tile_pieces(ids, window, self.ids.shape), none, none.reshape(0, len(REGION_CLASSES)))
        pixels = read_padded(self.pixels, window, 1)
        pieces = tile_pieces(ids, window, self.ids.shape, pixels[BORDER])
        core = (slice(1, -1), slice(1, -1))
        return _Traced(pieces, *_sums_by_region(ids[core], pixels[(slice(len(REGION_CLASSES)), *core)]))


def _sums_by_region(
    ids: NDArray[np.int32], probabilities: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first = int(ids.min())
    place = (ids - first).ravel()
    # Sums of bytes over one tile stay far below 2^53: float64 adds them exactly.
    sums = [np.bincount(place, weights=band.ravel()) for band in probabilities]
    present = np.flatnonzero(np.bincount(place))
    return present + first, np.stack(sums, axis=1)[present].astype(np.int64)


def _measured(tiles: Iterable[_Traced], regions: RegionStore, target: NDArray[np.int64]) -> Measured:
    total = np.zeros((len(target), len(REGION_CLASSES)), np.int64)
    for tile in tiles:
        total[tile.region] += tile.probability_sum
    area = np.where(regions.class_of == VOID, 0, regions.area_px)
    merged_total, merged_area = np.zeros_like(total), np.zeros_like(area)
    np.add.at(merged_total, target, total)
    np.add.at(merged_area, target, area)
    return Measured(merged_area, merged_total)


def _field_map(
    arcs: Arcs,
    found: Faces,
    class_of: NDArray[np.uint8],
    measured: Measured | None,
    geobox: GeoBox,
    *,
    source: str,
    arm: str,
) -> FieldMap:
    points = _in_crs(arcs.points, geobox)
    coverage = polygons(found, arcs, points)
    _assert_coverage(coverage)
    ids = found.ids[np.isin(class_of[found.ids], (FIELD, FOREST))]
    number = np.zeros(len(class_of), np.int64)
    number[ids] = np.arange(1, len(ids) + 1)
    crs = str(geobox.crs)
    fields = fields_layer(
        coverage[np.isin(found.ids, ids)],
        class_of[ids],
        _field_confidence(ids, class_of, measured),
        source=source,
        crs=crs,
    )
    shown = np.flatnonzero((arcs.left > 0) & (number[arcs.left] + number[arcs.right] > 0))
    sides = np.stack([arcs.left[shown], arcs.right[shown]], axis=1)
    borders = borders_layer(
        lines_of(points, arcs.offsets, shown),
        sides=number[sides] if _keeps_left(geobox) else number[sides][:, ::-1],
        kinds=class_of[sides],
        confidence=_border_confidence(arcs, measured)[shown],
        is_open=_touches_outside(arcs)[shown],
        crs=crs,
    )
    return FieldMap(fields, borders, arm, _summary(coverage, arcs, len(fields), len(borders), geobox))


def _in_crs(corners: NDArray[np.int32], geobox: GeoBox) -> NDArray[np.float64]:
    """Return x and y (n, 2) of corners (row, col): one formula for all, so equal corners stay equal to the last bit."""
    a = geobox.transform
    row, col = corners.astype(np.float64).T
    return np.stack([a.a * col + a.b * row + a.c, a.d * col + a.e * row + a.f], axis=1)


def _keeps_left(geobox: GeoBox) -> bool:
    """Whether left on the raster, row 0 on top, is left in the CRS: north-up grids do, south-up grids mirror."""
    a = geobox.transform
    return bool(a.a * a.e - a.b * a.d < 0)


def _field_confidence(
    ids: NDArray[np.int64], class_of: NDArray[np.uint8], measured: Measured | None
) -> NDArray[np.float64]:
    if measured is None:
        return np.ones(len(ids))
    return np.asarray(measured.probability_sum[ids, class_of[ids]] / (255.0 * measured.area_px[ids]))


def _border_confidence(arcs: Arcs, measured: Measured | None) -> NDArray[np.float64]:
    if measured is None:
        return np.ones(len(arcs))
    return np.asarray(arcs.border_sum / (2 * 255.0 * arcs.cracks.sum(axis=1)))


def _touches_outside(arcs: Arcs) -> NDArray[np.bool_]:
    """Arcs of which an end lies on nodata or the scene edge: an arc beside the outside ends there too."""
    starts, ends = corner_keys(arcs.starts), corner_keys(arcs.ends)
    beside = arcs.left == 0
    outside = np.r_[starts[beside], ends[beside]]
    return np.asarray(np.isin(starts, outside) | np.isin(ends, outside))


def _assert_coverage(coverage: NDArray[Any]) -> None:
    if len(coverage) and not shapely.coverage_is_valid(coverage):
        bad = shapely.get_parts(shapely.coverage_invalid_edges(coverage))
        where = shapely.get_coordinates(bad[~shapely.is_empty(bad)])[0]
        raise GeometryError(
            f"the polygons are no valid coverage, first near x {where[0]:.6f}, y {where[1]:.6f}: "
            f"trace again with a smaller simplify tolerance, and report the raster"
        )


def _summary(coverage: NDArray[Any], arcs: Arcs, fields: int, borders: int, geobox: GeoBox) -> dict[str, float]:
    """Count, and give the areas by which the polygons miss or exceed what the outer lines enclose."""
    height, width = pixel_size_m(geobox)
    a = geobox.transform
    enclosed_px = -doubled_areas(arcs)[arcs.left == 0].sum() / 2
    covered_px = float(shapely.area(coverage).sum()) / abs(a.a * a.e - a.b * a.d)
    excess_px = covered_px - enclosed_px
    excess_m2 = 0.0 if abs(excess_px) <= _ROUNDING * enclosed_px else excess_px * height * width
    return {
        "fields": fields,
        "borders": borders,
        "gap_m2": max(0.0, -excess_m2),
        "overlap_m2": max(0.0, excess_m2),
    }


def _check_shape(regions: RegionStore, geobox: GeoBox) -> None:
    if tuple(geobox.shape) != tuple(regions.shape):
        raise GeometryError(
            f"regions of shape {regions.shape} do not lie on a grid of shape {tuple(geobox.shape)}: "
            f"give the raster's own GeoBox"
        )


__all__ = ["TILE_PX", "TracedScene", "trace_labels", "trace_scene"]
