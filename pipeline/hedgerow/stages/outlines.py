"""What is a traced scene before it has polygons? Arcs and rings; fields and borders are made of them part by part.

So a map of any size can be written while it is made: no more than a few parts are in memory at a time. Numbers,
measures and confidences belong to regions and arcs, not to parts: they are the same however the map is parted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from hedgerow.arcs.faces import Faces, doubled_areas, picked, polygons
from hedgerow.arcs.network import Arcs, Ids
from hedgerow.contracts import Each, one_by_one
from hedgerow.geo.metres import LineMeasures, line_measures, pixel_size_m
from hedgerow.records import FIELD, FOREST, FieldMap
from hedgerow.stages.coverage import covered_area, in_crs
from hedgerow.tracers._layers import borders_layer, fields_layer, joined, lines_of

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_PART_POINTS = 1 << 17
"""Points of a part: a polygon of it is never cut, so a part may have more."""
_ROUNDING = 1e-9
"""Relative difference of two sums of areas that is rounding, not a gap."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outlines:
    """The arcs and rings of a map that is one valid coverage, and what the layers say of them.

    `number` (ids + 1,) is the field number of each region, 0 where it is no field; `class_of` its class. `confidence`
    is that of each field, `arc_confidence` that of each arc; `is_open` arcs touch nodata or the scene edge.
    `measures` are those of the arcs.
    """

    arcs: Arcs
    found: Faces
    class_of: NDArray[np.uint8]
    number: Ids
    confidence: Floats
    arc_confidence: Floats
    is_open: NDArray[np.bool_]
    measures: LineMeasures
    summary: Mapping[str, float]
    transform: Affine
    crs: str
    source: str
    arm: str

    def layers(self, each: Each = one_by_one) -> dict[str, Iterator[GeoDataFrame]]:
        """Return both layers as parts, in order; each layer has one part at least."""
        return {
            "fields": each(_FieldsOf(self.transform, self.crs, self.source), self._field_parts()),
            "borders": each(_BordersOf(self.transform, self.crs), self._border_parts()),
        }

    def field_map(self, each: Each = one_by_one) -> FieldMap:
        """Return the whole map in memory."""
        layers = {name: joined(list(parts)) for name, parts in self.layers(each).items()}
        return FieldMap(layers["fields"], layers["borders"], self.arm, dict(self.summary))

    def _field_parts(self) -> Iterator[_FieldPart]:
        rings = np.flatnonzero(self.number[self.found.region] > 0)
        region = self.found.region[rings]
        area, perimeter = self._measured(rings)
        sizes = np.add.reduceat(np.diff(self.arcs.offsets)[self.found.sides // 2], self.found.offsets[:-1])[rings]
        shell = np.flatnonzero(np.diff(region, prepend=-1))
        fields = region[shell]
        for first, stop in _parts(np.add.reduceat(sizes, shell) if len(shell) else shell):
            last = shell[stop] if stop < len(shell) else len(rings)
            inside = rings[shell[first] : last] if stop > first else rings
            yield _FieldPart(
                *picked(self.found, self.arcs, inside),
                first_number=first + 1,
                kind=self.class_of[fields[first:stop]],
                area_m2=area[first:stop],
                perimeter_m=perimeter[first:stop],
                confidence=self.confidence[first:stop],
            )

    def _measured(self, rings: Ids) -> tuple[Floats, Floats]:
        """Areas (m2) and perimeters (m) of the fields that these rings bound."""
        if not len(rings):
            return np.zeros(0), np.zeros(0)
        arc, way = self.found.sides // 2, np.where(self.found.sides % 2 == 0, 1.0, -1.0)
        around = [
            np.add.reduceat(values, self.found.offsets[:-1])[rings]
            for values in (way * self.measures.swept_m2[arc], way * self.measures.turn_rad[arc],
                           self.measures.length_m[arc])
        ]  # fmt: skip
        area = self.measures.ring_areas_m2(around[0], around[1])
        field = self.number[self.found.region[rings]] - 1
        signed = np.where(self.found.area_px[rings] < 0, -area, area)
        return np.asarray(np.bincount(field, signed)), np.asarray(np.bincount(field, around[2]))

    def _border_parts(self) -> Iterator[_BorderPart]:
        left, right = self.arcs.left, self.arcs.right
        shown = np.flatnonzero((left > 0) & (self.number[left] + self.number[right] > 0))
        sides = np.stack([left[shown], right[shown]], axis=1)
        numbers = self.number[sides] if _keeps_left(self.transform) else self.number[sides][:, ::-1]
        for first, stop in _parts(np.diff(self.arcs.offsets)[shown]):
            these = shown[first:stop]
            yield _BorderPart(
                self.arcs.taking(these),
                first_number=first + 1,
                sides=numbers[first:stop],
                kinds=self.class_of[sides[first:stop]],
                length_m=self.measures.length_m[these],
                confidence=self.arc_confidence[these],
                is_open=self.is_open[these],
            )


def outlines(
    arcs: Arcs,
    found: Faces,
    class_of: NDArray[np.uint8],
    geobox: GeoBox,
    *,
    is_open: NDArray[np.bool_],
    field_confidence: Floats | None,
    arc_confidence: Floats | None,
    source: str,
    arm: str,
    each: Each,
) -> Outlines:
    """Assert that arcs make one valid coverage, measure them, and number the fields.

    Args:
        arcs: exact or simplified; corners may lie off the grid.
        found: their rings.
        class_of: (ids + 1,) class of each region.
        geobox: CRS and transform.
        is_open: (m,) arcs of which an end touches nodata or the scene edge.
        field_confidence: (ids + 1,) of each region; None: 1.
        arc_confidence: (m,) of each arc; None: 1.
        source: path of the input.
        arm: name of the arm.
        each: how the parts are worked through.

    Raises:
        GeometryError: the polygons are no valid coverage.
    """
    transform, crs = geobox.transform, str(geobox.crs)
    covered = covered_area(found, arcs, transform, each=each)
    ids = found.ids[np.isin(class_of[found.ids], (FIELD, FOREST))]
    number = np.zeros(len(class_of), np.int64)
    number[ids] = np.arange(1, len(ids) + 1)
    borders = np.count_nonzero((arcs.left > 0) & (number[arcs.left] + number[arcs.right] > 0))
    return Outlines(
        arcs, found, class_of, number,
        confidence=np.ones(len(ids)) if field_confidence is None else field_confidence[ids],
        arc_confidence=np.ones(len(arcs)) if arc_confidence is None else arc_confidence,
        is_open=is_open,
        measures=measured_arcs(arcs, transform, crs, each),
        summary={"fields": len(ids), "borders": int(borders)} | _misfit(covered, arcs, geobox),
        transform=transform, crs=crs, source=source, arm=arm,
    )  # fmt: skip


@dataclass(frozen=True)
class _FieldPart:
    found: Faces
    arcs: Arcs
    first_number: int
    kind: NDArray[np.uint8]
    area_m2: Floats
    perimeter_m: Floats
    confidence: Floats


@dataclass(frozen=True)
class _FieldsOf:
    """A task: build the polygons and the rows of some fields."""

    transform: Affine
    crs: str
    source: str

    def __call__(self, part: _FieldPart) -> GeoDataFrame:
        return fields_layer(
            polygons(part.found, part.arcs, in_crs(part.arcs.points, self.transform)), part.kind, part.confidence,
            area_m2=part.area_m2, perimeter_m=part.perimeter_m, first_number=part.first_number, source=self.source,
            crs=self.crs,
        )  # fmt: skip


@dataclass(frozen=True)
class _BorderPart:
    arcs: Arcs
    first_number: int
    sides: Ids
    kinds: NDArray[np.uint8]
    length_m: Floats
    confidence: Floats
    is_open: NDArray[np.bool_]


@dataclass(frozen=True)
class _BordersOf:
    """A task: build the lines and the rows of some borders."""

    transform: Affine
    crs: str

    def __call__(self, part: _BorderPart) -> GeoDataFrame:
        return borders_layer(
            lines_of(in_crs(part.arcs.points, self.transform), part.arcs.offsets), sides=part.sides,
            kinds=part.kinds, length_m=part.length_m, confidence=part.confidence, is_open=part.is_open,
            first_number=part.first_number, crs=self.crs,
        )  # fmt: skip


@dataclass(frozen=True)
class _MeasureArcs:
    """A task: measure some arcs on the ellipsoid."""

    transform: Affine
    crs: str

    def __call__(self, arcs: Arcs) -> LineMeasures:
        return line_measures(in_crs(arcs.points, self.transform), arcs.offsets, self.crs)


def measured_arcs(arcs: Arcs, transform: Affine, crs: str, each: Each) -> LineMeasures:
    slices = (np.arange(first, stop) for first, stop in _parts(np.diff(arcs.offsets)))
    parts = list(each(_MeasureArcs(transform, crs), (arcs.taking(these) for these in slices)))
    length, swept, turn = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("length_m", "swept_m2", "turn_rad")
    )
    return LineMeasures(length, swept, turn, parts[0].earth_m2)


def _parts(sizes: NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """Cut items of these sizes into parts (first, stop) of at most `_PART_POINTS`, or of one item; one at least."""
    ends = np.cumsum(sizes)
    first, before = 0, 0
    while True:
        stop = max(first + 1, int(np.searchsorted(ends, before + _PART_POINTS, side="right")))
        stop = min(stop, len(sizes))
        yield first, stop
        if stop == len(sizes):
            return
        first, before = stop, int(ends[stop - 1])


def _keeps_left(a: Affine) -> bool:
    """Whether left on the raster, row 0 on top, is left in the CRS: north-up grids do, south-up grids mirror."""
    return bool(a.a * a.e - a.b * a.d < 0)


def _misfit(covered: float, arcs: Arcs, geobox: GeoBox) -> dict[str, Any]:
    """Areas by which the polygons miss or exceed what the outer lines enclose."""
    height, width = pixel_size_m(geobox)
    a = geobox.transform
    enclosed_px = -float(doubled_areas(arcs)[arcs.left == 0].sum()) / 2
    excess_px = covered / abs(a.a * a.e - a.b * a.d) - enclosed_px
    excess_m2 = 0.0 if abs(excess_px) <= _ROUNDING * enclosed_px else excess_px * height * width
    return {"gap_m2": max(0.0, -excess_m2), "overlap_m2": max(0.0, excess_m2)}
