"""What does one map show? A `View` computes edges, lines, boundaries, corners and objects once, for all metrics.

Everything that is not local (hysteresis, components, nearest boundaries, tables of objects) is computed over the whole
scene, and thinning on a fixed block grid: tiles only decide where a contribution is counted. A view holds whole arrays
in memory, about 30 bytes per pixel once all of it has been asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hedgerow.edges.canny import canny, gradient_magnitude
from hedgerow.edges.contingency import Objects, Overlaps, matches, objects_of, overlaps
from hedgerow.edges.distance import Radius, band, eroded, within
from hedgerow.edges.harris import harris_response
from hedgerow.edges.layers import boundary_of, layers_of
from hedgerow.edges.thinning import thinned
from hedgerow.errors import ScoreError
from hedgerow.records import BORDER, CLASSES, FIELD, FOREST, OTHER, Regions

LINE_THRESHOLD = 128
"""Border probability from which a pixel belongs to a line (of 255)."""

MATCH_IOU = 0.5
"""Two objects are one when their IoU exceeds this."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class View:
    """One map, ready to be compared.

    Attributes:
        p: line view, border probability (height, width) uint8; 0 where invalid.
        regions: region view, labels (height, width); 0 where invalid.
        valid: (height, width), True = valid.
        pixel_size_m: (height, width) of a pixel in metres.
        burned_line: 1-px lines of a truth (height, width); None = thin p instead.
        probabilities: of all classes (classes, height, width) uint8 as written; None = there is only p.
    """

    p: NDArray[np.uint8]
    regions: Regions
    valid: NDArray[np.bool_]
    pixel_size_m: tuple[float, float] = (1.0, 1.0)
    burned_line: NDArray[np.bool_] | None = None
    probabilities: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        _check(self)
        labels = np.where(self.valid, self.regions.labels, np.int32(0))
        object.__setattr__(self, "p", np.where(self.valid, self.p, np.uint8(0)))
        object.__setattr__(self, "regions", Regions(labels, self.regions.class_of))

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what can be computed again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.p.shape[0], self.p.shape[1]

    @cached_property
    def all_valid(self) -> bool:
        """Whether no pixel is invalid."""
        return bool(self.valid.all())

    def valid_within(self, px: float) -> NDArray[np.bool_]:
        """Return the pixels with no invalid pixel within `px` (chessboard): where an operator of that reach counts."""
        return eroded(self.valid, px)

    @cached_property
    def edges(self) -> NDArray[np.bool_]:
        """Canny edges of p after scene-wide hysteresis (height, width)."""
        return canny(self.p, self.valid)

    @cached_property
    def gradient(self) -> NDArray[np.float32]:
        """Sobel magnitude of p (height, width), 0 beside nodata."""
        return gradient_magnitude(self.p, self.valid)

    @cached_property
    def harris(self) -> NDArray[np.float64]:
        """Harris response of p (height, width)."""
        return harris_response(self.p)

    @cached_property
    def line(self) -> NDArray[np.bool_]:
        """The line set: p >= 128 thinned to 1 px, or the burned lines of a truth."""
        if self.burned_line is not None:
            return self.burned_line & self.valid
        return thinned(self.p >= LINE_THRESHOLD)

    @cached_property
    def boundary(self) -> NDArray[np.bool_]:
        """B(L): pixels whose right or lower neighbour is valid and has another label."""
        return boundary_of(self.regions.labels)

    @cached_property
    def classes(self) -> NDArray[np.uint8]:
        """Region class per pixel (height, width)."""
        return np.asarray(self.regions.class_of[self.regions.labels])

    @cached_property
    def layers(self) -> NDArray[np.uint8]:
        """Layer code per pixel (see edges.layers): the class pair of the nearest boundary pixel."""
        return layers_of(self.regions, self.boundary)

    @cached_property
    def objects(self) -> Objects:
        """Fields and forests as numbered 4-connected areas."""
        wanted = np.isin(self.regions.class_of, (FIELD, FOREST))
        numbers = np.where(wanted, np.arange(len(wanted), dtype=np.int32), np.int32(0))
        return objects_of(numbers[self.regions.labels])

    @cached_property
    def object_classes(self) -> NDArray[np.uint8]:
        """Region class of each object: that of object k at k - 1."""
        class_of = np.zeros(len(self.objects) + 1, dtype=np.uint8)
        class_of[self.objects.labels.ravel()] = self.classes.ravel()
        return class_of[1:]

    @cached_property
    def _kept(self) -> dict[Callable[..., Any], Any]:
        return {}

    def once(self, make: Callable[[View], T]) -> T:
        """Return `make(self)`, computed at the first call: what several arms or metrics read of one view."""
        if make not in self._kept:
            self._kept[make] = make(self)
        found: T = self._kept[make]
        return found

    @cached_property
    def _near(self) -> dict[tuple[str, Radius], NDArray[np.bool_]]:
        return {}

    def near(self, what: str, radius: Radius) -> NDArray[np.bool_]:
        """Return the pixels within `radius` of 'edges', 'line' or 'boundary'; computed once per radius."""
        key = (what, radius)
        if key not in self._near:
            self._near[key] = within(getattr(self, what), radius)
        return self._near[key]


@dataclass(frozen=True, eq=False)
class Pair:
    """A candidate map against its reference, on one grid and one valid area."""

    candidate: View
    reference: View

    def __post_init__(self) -> None:
        one, other = self.candidate, self.reference
        if one.shape != other.shape:
            raise ScoreError(
                f"maps of {one.shape} and {other.shape} px cannot be compared: bring them to one grid first"
            )
        if not np.array_equal(one.valid, other.valid):
            differ = int(np.count_nonzero(one.valid != other.valid))
            raise ScoreError(f"{differ} pixels are valid in one map only: build both views with the common valid area")
        if not np.allclose(one.pixel_size_m, other.pixel_size_m, rtol=1e-6):
            raise ScoreError(
                f"pixels of {one.pixel_size_m} m and {other.pixel_size_m} m: bring both maps to one grid first"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.reference.shape

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(height, width), True = valid in both."""
        return self.reference.valid

    @property
    def pixel_size_m(self) -> tuple[float, float]:
        """(height, width) of a pixel in metres."""
        return self.reference.pixel_size_m

    @property
    def layers(self) -> NDArray[np.uint8]:
        """Layer code per pixel, from the reference."""
        return self.reference.layers

    @cached_property
    def overlaps(self) -> Overlaps:
        """Contingency table of the objects of both maps (a = candidate, b = reference)."""
        return overlaps(self.candidate.objects.labels, self.reference.objects.labels)

    @cached_property
    def matches(self) -> Overlaps:
        """The pairs of objects with IoU above one half, strictly."""
        return matches(self.candidate.objects, self.reference.objects, self.overlaps, MATCH_IOU)

    @cached_property
    def _kept(self) -> dict[Callable[..., Any], Any]:
        return {}

    def once(self, make: Callable[[Pair], T]) -> T:
        """Return `make(self)`, computed at the first call: what several metrics read of one pair."""
        if make not in self._kept:
            self._kept[make] = make(self)
        found: T = self._kept[make]
        return found


def view_of_map(
    probabilities: NDArray[np.uint8], regions: Regions, valid: NDArray[np.bool_], pixel_size_m: tuple[float, float]
) -> View:
    """Return the view of an arm's map: probabilities (classes, height, width) uint8 as written, and its regions."""
    if probabilities.ndim != 3 or probabilities.shape[0] != len(CLASSES):
        raise ScoreError(f"probabilities of shape {probabilities.shape}: expected ({len(CLASSES)}, height, width)")
    return View(probabilities[BORDER], regions, valid, pixel_size_m, probabilities=probabilities)


def view_of_truth(
    regions: Regions, line: NDArray[np.bool_], valid: NDArray[np.bool_], pixel_size_m: tuple[float, float]
) -> View:
    """Return the view of a truth from what `edges.burn` made of it: p is the 1-px line, 3 px wide, at 255."""
    return View(_painted(line), regions, valid, pixel_size_m, burned_line=line)


def view_of_labels(regions: Regions, valid: NDArray[np.bool_], pixel_size_m: tuple[float, float]) -> View:
    """Return the view of a label or class raster: p is the region boundary, 3 px wide, at 255."""
    labels = np.where(valid, regions.labels, np.int32(0))
    return View(_painted(boundary_of(labels)), regions, valid, pixel_size_m)


def view_of_mask(p: NDArray[np.uint8], valid: NDArray[np.bool_], pixel_size_m: tuple[float, float]) -> View:
    """Return the view of one single-band raster, a mask or a probability 0..255: L is p >= 128, in two classes."""
    labels = np.where(p >= LINE_THRESHOLD, np.int32(2), np.int32(1))
    return View(p, Regions(labels, np.array([OTHER, OTHER, FIELD], dtype=np.uint8)), valid, pixel_size_m)


def _painted(line: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(band(line, 1), np.uint8(255), np.uint8(0))


def _check(view: View) -> None:
    if view.p.ndim != 2 or view.p.dtype != np.uint8:
        raise ScoreError(f"a line view is (height, width) uint8, got {view.p.shape} {view.p.dtype}: give round(255 p)")
    optional = (view.burned_line, view.probabilities)
    shapes = {view.p.shape, view.regions.labels.shape, view.valid.shape}
    shapes |= {part.shape[-2:] for part in optional if part is not None}
    if len(shapes) > 1:
        raise ScoreError(f"the parts of one view have different shapes {sorted(shapes)}: bring them to one grid first")
    if not view.valid.dtype == np.bool_:
        raise ScoreError(f"the valid mask is {view.valid.dtype}, not bool: give True where a pixel is valid")
    if min(view.pixel_size_m) <= 0:
        raise ScoreError(f"a pixel of {view.pixel_size_m} m: give (height, width) in metres, both above 0")


__all__ = ["Pair", "View", "view_of_labels", "view_of_map", "view_of_mask", "view_of_truth"]
