"""Which regions are too small to stand alone? Holes and small fields join a neighbour, so no gap opens.

Merges are decided on the graph of regions, before any polygon exists: regions are nodes, shared borders are edges,
weighted by their length in metres. Always the smallest region first, ties by id, so the result depends on nothing
else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from hedgerow.arcs.network import Arcs

OUTSIDE = 0


@dataclass(frozen=True)
class Rules:
    """What is too small, in pixels (0: nothing is)."""

    min_hole_px: float = 0.0
    min_area_px: float = 0.0


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
        rules: a region or void within one single object, below `min_hole_px`, joins it; an object below
            `min_area_px` joins the neighbour with the longest shared border, or ends up outside where it has none.
        pixel_m: (height, width) of a pixel.
        objects: the classes that have instances; adjoining regions of all other classes become one.
        void: the class of invalid areas: a void that is not a filled hole ends up outside.
    """
    is_void, is_object = kind == void, np.isin(kind, list(objects))
    is_void[OUTSIDE] = is_object[OUTSIDE] = False
    target = np.arange(len(kind))
    if rules != Rules():  # the graph of a large raster is large, too
        graph = _Graph(arcs, area_px, pixel_m)
        if rules.min_hole_px > 0:
            graph.absorb(range(1, len(kind)), rules.min_hole_px, _only_neighbour(is_object))
        if rules.min_area_px > 0:
            graph.absorb(np.flatnonzero(is_object).tolist(), rules.min_area_px, _longest_neighbour(is_void))
        target = graph.targets()
    target[is_void[target]] = OUTSIDE
    return _one_background(arcs, target, ~(is_void | is_object))


Choice = Callable[[dict[int, float]], int | None]


class _Graph:
    """Regions, their areas and the lengths of their shared borders, while they merge."""

    def __init__(self, arcs: Arcs, area_px: NDArray[np.integer], pixel_m: tuple[float, float]) -> None:
        self.area = area_px.tolist()
        self.into = list(range(len(self.area)))
        self.borders: defaultdict[int, dict[int, float]] = defaultdict(dict)
        lengths = arcs.lengths_m(pixel_m).tolist()
        for a, b, length in zip(arcs.left.tolist(), arcs.right.tolist(), lengths, strict=True):
            self._add_border(a, b, length)

    def absorb(self, candidates: Iterable[int], below_px: float, choose: Choice) -> None:
        """Merge every candidate below a size into the neighbour that `choose` names; None leaves it."""
        queue = [(self.area[i], i) for i in candidates if self.into[i] == i and self.area[i] < below_px]
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
            if into in waiting and self.area[into] < below_px:
                heappush(queue, (self.area[into], into))

    def targets(self) -> NDArray[np.int64]:
        """Return for every id what it ended up in."""
        target = np.asarray(self.into, np.int64)
        while (target != target[target]).any():
            target = target[target]
        return target

    def _add_border(self, a: int, b: int, length: float) -> None:
        self.borders[a][b] = self.borders[b][a] = self.borders[a].get(b, 0.0) + length

    def _merge(self, i: int, into: int) -> None:
        self.into[i] = into
        self.area[into] += self.area[i]
        for neighbour, length in self.borders.pop(i).items():
            del self.borders[neighbour][i]
            if neighbour != into:
                self._add_border(into, neighbour, length)


def _only_neighbour(is_object: NDArray[np.bool_]) -> Choice:
    def choose(borders: dict[int, float]) -> int | None:
        only = next(iter(borders))
        return only if len(borders) == 1 and is_object[only] else None

    return choose


def _longest_neighbour(is_void: NDArray[np.bool_]) -> Choice:
    def choose(borders: dict[int, float]) -> int:
        regions = ((length, -i) for i, length in borders.items() if i != OUTSIDE and not is_void[i])
        return -max(regions, default=(0.0, OUTSIDE))[1]

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
