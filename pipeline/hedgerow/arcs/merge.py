"""Which regions cannot stand alone? Parts that no real border parts join, holes, specks and slivers go to a neighbour.

Merges are decided on the graph of regions, before any polygon exists: regions are nodes, shared borders are edges
with their length in metres and their border probability. Always the weakest border, then the smallest region first,
ties by id, so the result depends on nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hedgerow.arcs.network import Arcs

OUTSIDE = 0


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What does not stand alone (0: everything does)."""

    min_hole_px: float = 0.0
    min_area_px: float = 0.0
    min_width_m: float = 0.0
    """Of an object's mean width: twice its area by its perimeter, that of holes included. That of a strip is its width.
    What only grows narrow by a sliver that joins it stays."""
    min_border: float = 0.0
    """Of the mean border probability (0..1) along a line that parts two objects of one class."""


def merged_ids(
    arcs: Arcs,
    area_px: NDArray[np.integer],
    kind: NDArray[np.uint8],
    *,
    rules: Rules,
    pixel_m: tuple[float, float],
    objects: Iterable[int],
    void: int,
) -> NDArray[np.int64]:
    """Return for every id the region that it ends up in; 0 = outside.

    Args:
        arcs: the exact arcs of all ids, voids included.
        area_px: (n + 1,) pixels per id.
        kind: (n + 1,) class per id.
        rules: objects of one class whose shared border is weaker than `min_border` join, the weakest border first; a
            region or void within one single object, below `min_hole_px`, joins it; an object below `min_area_px` or
            `min_width_m` joins the neighbour with the most open border (metres x (1 - probability)), the longest of
            equals; without a neighbour it ends up outside.
        pixel_m: (height, width) of a pixel.
        objects: the classes that have instances; adjoining regions of all other classes become one.
        void: the class of invalid areas: a void that is not a filled hole ends up outside.
    """
    is_void, is_object = kind == void, np.isin(kind, list(objects))
    is_void[OUTSIDE] = is_object[OUTSIDE] = False
    target = np.arange(len(kind))
    if rules != Rules():  # the graph of a large raster is large, too
        graph = _Graph(arcs, area_px, pixel_m)
        if rules.min_border > 0:
            graph.join(np.where(is_object, kind, void), rules.min_border, never=void)
        if rules.min_hole_px > 0:
            graph.absorb(range(1, len(kind)), graph.smaller_than(rules.min_hole_px), _only_neighbour(is_object))
        if rules.min_area_px > 0 or rules.min_width_m > 0:
            small = graph.smaller_than(rules.min_area_px, rules.min_width_m)
            graph.absorb(np.flatnonzero(is_object).tolist(), small, _most_open_neighbour(is_void))
        target = graph.targets()
    target[is_void[target]] = OUTSIDE
    return _one_background(arcs, target, ~(is_void | is_object))


class _Border(NamedTuple):
    """What two regions share."""

    length_m: float
    pixels: int
    """On both sides of it; one at a corner counts twice."""
    probability_sum: int
    """Of the border class over these pixels, 0..255 each."""

    def plus(self, other: _Border | None) -> _Border:
        """Return both together."""
        if other is None:
            return self
        length_m, pixels, probability_sum = other
        return _Border(self.length_m + length_m, self.pixels + pixels, self.probability_sum + probability_sum)

    @property
    def strength(self) -> float:
        """Mean border probability, 0..1."""
        return self.probability_sum / (255 * self.pixels)

    @property
    def open_m(self) -> float:
        """Metres of it that are likely to be no border."""
        return self.length_m * (1 - self.strength)


Choice = Callable[[dict[int, _Border]], int | None]
TooSmall = Callable[[int], bool]


class _Graph:
    """Regions, their areas and their shared borders, while they merge."""

    def __init__(self, arcs: Arcs, area_px: NDArray[np.integer], pixel_m: tuple[float, float]) -> None:
        self.area: list[int] = area_px.tolist()
        self.pixel_m2 = pixel_m[0] * pixel_m[1]
        self.perimeter_m = [0.0] * len(self.area)
        self.into = list(range(len(self.area)))
        self.borders: defaultdict[int, dict[int, _Border]] = defaultdict(dict)
        pairs = zip(arcs.left.tolist(), arcs.right.tolist(), strict=True)
        pixels = 2 * arcs.cracks.sum(axis=1)
        measures = zip(arcs.lengths_m(pixel_m).tolist(), pixels.tolist(), arcs.border_sum.tolist(), strict=True)
        for (a, b), border in zip(pairs, map(_Border._make, measures), strict=True):
            self._add_border(a, b, border)
            self.perimeter_m[a] += border.length_m
            self.perimeter_m[b] += border.length_m

    def join(self, kind: NDArray[np.uint8], below: float, *, never: int) -> None:
        """Join two regions of one kind, always those that the weakest border parts, while it is weaker than `below`."""
        queue = [
            (border.strength, a, b)
            for a, borders in self.borders.items()
            for b, border in borders.items()
            if a < b and kind[a] == kind[b] != never and border.strength < below
        ]
        heapify(queue)
        while queue:
            strength, a, b = heappop(queue)
            if self.into[a] != a or b not in self.borders[a] or self.borders[a][b].strength != strength:
                continue  # one of them has joined another, or their border has grown since
            into, gone = sorted((a, b), key=lambda i: (-len(self.borders[i]), i))  # the one of many neighbours stays
            touched = [i for i in self.borders[gone] if i != into and kind[i] == kind[into]]
            self._merge(gone, into)
            for i in touched:
                if (strength := self.borders[into][i].strength) < below:
                    heappush(queue, (strength, min(into, i), max(into, i)))

    def smaller_than(self, area_px: float, width_m: float = 0.0) -> TooSmall:
        """Return a test of a region's area and mean width."""

        def test(i: int) -> bool:
            return self.area[i] < area_px or 2 * self.area[i] * self.pixel_m2 < width_m * self.perimeter_m[i]

        return test

    def absorb(self, candidates: Iterable[int], too_small: TooSmall, choose: Choice) -> None:
        """Merge every candidate that is too small into the neighbour that `choose` names; None leaves it."""
        queue = [(self.area[i], i) for i in candidates if self.into[i] == i and too_small(i)]
        waiting = {i for _, i in queue}
        heapify(queue)
        while queue:
            area, i = heappop(queue)
            if self.into[i] != i or area != self.area[i]:
                continue  # it has merged or grown since
            into = choose(self.borders[i])
            if into is None:
                continue
            self._merge(i, into)
            if into in waiting and too_small(into):
                heappush(queue, (self.area[into], into))

    def targets(self) -> NDArray[np.int64]:
        """Return for every id what it ended up in."""
        target = np.asarray(self.into, np.int64)
        while (target != target[target]).any():
            target = target[target]
        return target

    def _add_border(self, a: int, b: int, border: _Border) -> None:
        self.borders[a][b] = self.borders[b][a] = border.plus(self.borders[a].get(b))

    def _merge(self, i: int, into: int) -> None:
        self.into[i] = into
        self.area[into] += self.area[i]
        shared = self.borders[i].get(into)  # none where an island in nodata ends up outside
        self.perimeter_m[into] += self.perimeter_m[i] - (2 * shared.length_m if shared else 0)
        for neighbour, border in self.borders.pop(i).items():
            del self.borders[neighbour][i]
            if neighbour != into:
                self._add_border(into, neighbour, border)


def _only_neighbour(is_object: NDArray[np.bool_]) -> Choice:
    def choose(borders: dict[int, _Border]) -> int | None:
        only = next(iter(borders))
        return only if len(borders) == 1 and is_object[only] else None

    return choose


def _most_open_neighbour(is_void: NDArray[np.bool_]) -> Choice:
    def choose(borders: dict[int, _Border]) -> int:
        regions = ((b.open_m, b.length_m, -i) for i, b in borders.items() if i != OUTSIDE and not is_void[i])
        return -max(regions, default=(0.0, 0.0, OUTSIDE))[2]

    return choose


def _one_background(arcs: Arcs, target: NDArray[np.int64], background: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Make one region of adjoining background regions: it has no instances, so lines inside mean nothing."""
    left, right = target[arcs.left], target[arcs.right]
    background[OUTSIDE] = False
    inner = background[left] & background[right] & (left != right)
    joined = np.arange(len(target))
    for a, b in zip(left[inner].tolist(), right[inner].tolist(), strict=True):
        joined[_root(joined, max(a, b))] = _root(joined, min(a, b))
    while (joined != joined[joined]).any():
        joined = joined[joined]
    return np.asarray(joined[target])


def _root(joined: NDArray[np.int64], i: int) -> int:
    while joined[i] != i:
        joined[i] = joined[joined[i]]
        i = int(joined[i])
    return i
