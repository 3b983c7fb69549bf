"""From regions to a field map: arcs tile by tile, one join, merges, shape, outlines.

No polygon is ever cut by a tile. Everything stays on the integer corner grid until borders get their shape, and points
get the CRS in the last step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from hedgerow.arcs.faces import faces
from hedgerow.arcs.join import join_tiles, relabelled
from hedgerow.arcs.merge import Rules, merged_ids
from hedgerow.arcs.network import Arcs, corner_keys
from hedgerow.arcs.tile import Pieces, tile_pieces
from hedgerow.contracts import Each, WindowReader, one_by_one
from hedgerow.edges.blocks import read_padded
from hedgerow.edges.regions import VOID, RegionStore
from hedgerow.errors import ConfigError, GeometryError
from hedgerow.geo.metres import pixel_size_m
from hedgerow.geo.windows import Window, grid
from hedgerow.records import BORDER, FIELD, FOREST, REGION_CLASSES, FieldMap
from hedgerow.stages.label import label_array
from hedgerow.stages.outlines import Outlines, outlines
from hedgerow.stages.shape import Shape, refuse_wrong_sizes, shaped

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

TILE_PX = 1024


@dataclass(frozen=True)
class Measured:
    """Sums over the pixels of each region (n + 1 entries), after merging; `probability_sum` is (n + 1, 3)."""

    area_px: NDArray[np.int64]
    probability_sum: NDArray[np.int64]


@dataclass(frozen=True)
class TracedScene:
    """The outlines of a map, and the regions that they are unsimplified (after all that joins)."""

    outlines: Outlines
    regions: RegionStore
    each: Each = one_by_one

    @property
    def summary(self) -> Mapping[str, float]:
        """Counts of both layers, and the areas of gaps and overlaps (m2)."""
        return self.outlines.summary

    @cached_property
    def field_map(self) -> FieldMap:
        """The whole map in memory."""
        return self.outlines.field_map(self.each)

    def layers(self) -> dict[str, Iterator[GeoDataFrame]]:
        """Return both layers part by part, for a map that need not fit in memory."""
        return self.outlines.layers(self.each)


def refuse_wrong_border(min_border: float, *, known: bool = True, what: str = "this raster") -> None:
    """Take the smallest border probability (0..1) that parts two fields; 0 where none is known of `what`.

    Raises:
        ConfigError: it is no probability, or there is nothing to compare it with.
    """
    if not 0 <= min_border <= 1:
        raise ConfigError(f"min_border = {min_border}: must be a probability from 0 to 1; 0 changes nothing")
    if min_border and not known:
        raise ConfigError(
            f"min_border = {min_border}: {what} tells no border probability, which takes the four bands other, field, "
            f"forest and border: leave it out"
        )


def trace_scene(
    regions: RegionStore,
    pixels: WindowReader | None,
    geobox: GeoBox,
    *,
    tile_px: int = TILE_PX,
    simplify_m: float = 0.0,
    regularize_m: float = 0.0,
    smooth: int = 0,
    smooth_reach_m: float | None = None,
    min_area_m2: float = 0.0,
    min_hole_m2: float = 0.0,
    min_width_m: float = 0.0,
    min_border: float = 0.0,
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
        pixels: probabilities (classes, height, width) uint8, for the confidences and for what joins; None: every
            confidence is 1.
        geobox: CRS and transform of the raster.
        tile_px: side of the tiles that are traced at a time.
        simplify_m: see `arcs.simplify`: square root of a triangle's area in m2, no distance. 0 keeps every corner.
        regularize_m: see `arcs.regularize`: how far a border may stray from a straight line to become it, and a corner
            move to make right angles. 0 does nothing.
        smooth: see `arcs.smooth`: rounds of corner cutting. 0 does nothing.
        smooth_reach_m: how far before a corner its curve may begin; None: 4 pixels.
        min_area_m2: a smaller field or forest goes to the neighbour with the longest shared border, `other` included;
            with `pixels` every metre of it counts as far as it is likely to be no border. Without a neighbour it goes.
        min_hole_m2: a smaller region or nodata area enclosed by one single field is filled.
        min_width_m: a field or forest of which twice the area by the perimeter (of holes, too) is less goes the same
            way: a sliver.
        min_border: two fields (or two forests) join if the mean border probability (0..1) between them is less, the
            weakest first. Only with `pixels`.
        source: path of the input, as written into the fields.
        arm: name of the arm.
        each: how the tiles are worked through.

    Raises:
        GeometryError: the grid has no CRS or another shape, or the result is no valid coverage.
        ConfigError: a length, an area or a probability that is none, or `min_border` without `pixels`.
    """
    _check_shape(regions, geobox)
    refuse_wrong_sizes(min_area_m2=min_area_m2, min_hole_m2=min_hole_m2, min_width_m=min_width_m)
    refuse_wrong_border(min_border, known=pixels is not None)
    shape = Shape(simplify_m, regularize_m, smooth, smooth_reach_m)
    pixel_m = pixel_size_m(geobox)
    arcs, sums = _traced(regions, pixels, tile_px, each)
    pixel_m2 = pixel_m[0] * pixel_m[1]
    rules = Rules(
        min_hole_px=min_hole_m2 / pixel_m2,
        min_area_px=min_area_m2 / pixel_m2,
        min_width_m=min_width_m,
        min_border=min_border,
    )
    target = merged_ids(
        arcs, regions.area_px, regions.class_of, rules=rules, pixel_m=pixel_m, objects=(FIELD, FOREST), void=VOID
    )
    exact = relabelled(arcs, target)
    rings = faces(exact)
    drawn = shaped(exact, rings, geobox, shape)
    measured = None if pixels is None else _measured(sums, regions, target)
    found = outlines(
        drawn.arcs, rings, regions.class_of, geobox, is_open=_touches_outside(exact),
        field_confidence=None if measured is None else _field_confidence(regions.class_of, measured),
        arc_confidence=None if measured is None else _arc_confidence(exact),
        source=source, arm=arm, each=each,
    )  # fmt: skip
    return TracedScene(replace(found, summary={**found.summary, **drawn.summary}), regions.merged(target), each)


def trace_labels(
    labels: NDArray[Any],
    geobox: GeoBox,
    *,
    valid: NDArray[np.bool_] | None = None,
    tile_px: int = TILE_PX,
    simplify_m: float = 0.0,
    regularize_m: float = 0.0,
    smooth: int = 0,
    smooth_reach_m: float | None = None,
    min_area_m2: float = 0.0,
    min_hole_m2: float = 0.0,
    min_width_m: float = 0.0,
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
        simplify_m, regularize_m, smooth, smooth_reach_m: the shape of the borders, as in `trace_scene`.
        min_area_m2: a smaller field goes to the neighbour with the longest shared border.
        min_hole_m2: a smaller hole in one field is filled.
        min_width_m: a field of which twice the area by the perimeter is less goes the same way: a sliver.
        source: path of the input, as written into the fields.
        arm: name of the arm.
        each: how the tiles are worked through.

    Raises:
        GeometryError: the labels are no integers, shapes differ, or the grid has no CRS.
    """
    return trace_scene(
        label_array(labels, valid), None, geobox, tile_px=tile_px, simplify_m=simplify_m, regularize_m=regularize_m,
        smooth=smooth, smooth_reach_m=smooth_reach_m, min_area_m2=min_area_m2, min_hole_m2=min_hole_m2,
        min_width_m=min_width_m, source=source, arm=arm, each=each,
    ).field_map  # fmt: skip


@dataclass(frozen=True)
class _Sums:
    """The regions (n,) in one tile, and the sum of each class probability over their pixels (n, 3)."""

    region: NDArray[np.int64]
    probability_sum: NDArray[np.int64]


def _traced(
    regions: RegionStore, pixels: WindowReader | None, tile_px: int, each: Each
) -> tuple[Arcs, Sequence[_Sums]]:
    sums: list[_Sums] = []

    def pieces() -> Iterator[Pieces]:
        windows = (window for _, window in grid(regions.shape, tile_px))
        for one, probabilities in each(_TraceTile(regions.ids, pixels), windows):
            sums.append(probabilities)
            yield one

    return join_tiles(pieces()), sums


@dataclass(frozen=True)
class _TraceTile:
    """Trace one tile; a value that pickles into any process."""

    ids: WindowReader
    pixels: WindowReader | None

    def __call__(self, window: Window) -> tuple[Pieces, _Sums]:
        ids = read_padded(self.ids, window, 1)
        none = np.zeros(0, np.int64)
        if self.pixels is None:
            return tile_pieces(ids, window, self.ids.shape), _Sums(none, none.reshape(0, len(REGION_CLASSES)))
        pixels = read_padded(self.pixels, window, 1)
        pieces = tile_pieces(ids, window, self.ids.shape, pixels[BORDER])
        core = (slice(1, -1), slice(1, -1))
        return pieces, _Sums(*_sums_by_region(ids[core], pixels[(slice(len(REGION_CLASSES)), *core)]))


def _sums_by_region(
    ids: NDArray[np.int32], probabilities: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first = int(ids.min())
    place = (ids - first).ravel()
    # Sums of bytes over one tile stay far below 2^53: float64 adds them exactly.
    sums = [np.bincount(place, weights=band.ravel()) for band in probabilities]
    present = np.flatnonzero(np.bincount(place))
    return present + first, np.stack(sums, axis=1)[present].astype(np.int64)


def _measured(sums: Iterable[_Sums], regions: RegionStore, target: NDArray[np.int64]) -> Measured:
    total = np.zeros((len(target), len(REGION_CLASSES)), np.int64)
    for one in sums:
        total[one.region] += one.probability_sum
    area = np.where(regions.class_of == VOID, 0, regions.area_px)
    merged_total, merged_area = np.zeros_like(total), np.zeros_like(area)
    np.add.at(merged_total, target, total)
    np.add.at(merged_area, target, area)
    return Measured(merged_area, merged_total)


def _field_confidence(class_of: NDArray[np.uint8], measured: Measured) -> NDArray[np.float64]:
    """Mean probability of each region's own class (ids + 1,); 0 where it has no pixel left or is no region."""
    kind = np.minimum(class_of, len(REGION_CLASSES) - 1)
    own = measured.probability_sum[np.arange(len(class_of)), kind]
    return np.asarray(own / np.maximum(255.0 * measured.area_px, 1.0), np.float64)


def _arc_confidence(arcs: Arcs) -> NDArray[np.float64]:
    return np.asarray(arcs.border_sum / (2 * 255.0 * arcs.cracks.sum(axis=1)), np.float64)


def _touches_outside(exact: Arcs) -> NDArray[np.bool_]:
    """Arcs of which an end lies on nodata or the scene edge: an arc beside the outside ends there too."""
    starts, ends = corner_keys(exact.starts), corner_keys(exact.ends)
    beside = exact.left == 0
    outside = np.r_[starts[beside], ends[beside]]
    return np.asarray(np.isin(starts, outside) | np.isin(ends, outside))


def _check_shape(regions: RegionStore, geobox: GeoBox) -> None:
    if tuple(geobox.shape) != tuple(regions.shape):
        raise GeometryError(
            f"regions of shape {regions.shape} do not lie on a grid of shape {tuple(geobox.shape)}: "
            f"give the raster's own GeoBox"
        )


__all__ = ["TILE_PX", "TracedScene", "trace_labels", "trace_scene"]
