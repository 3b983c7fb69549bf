"""How far does a stretch of border stray from its chord, and could it become it? Only if its hull is clear.

A stretch whose convex hull holds no part of any other border can become its chord: nothing crosses it, and nothing is
jumped over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from hedgerow.arcs.clearance import MARGIN, Borders
from hedgerow.arcs.network import Ids, offsets_of, ranges

_ASIDE = 0.1
"""Share of a segment beside a shared end that may be as near as it likes: the rest must be clear."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Pieces:
    """Pieces of arcs, from point `first` to point `last`, places among all points."""

    first: Ids
    last: Ids

    def __len__(self) -> int:
        return len(self.first)

    def where(self, wanted: Mask) -> Pieces:
        """Return some pieces."""
        return self.taking(np.flatnonzero(wanted))

    def taking(self, order: Ids) -> Pieces:
        """Return the pieces at `order`, in that order."""
        return Pieces(self.first[order], self.last[order])

    @property
    def have_inner_points(self) -> Mask:
        """Which pieces are more than one step."""
        return np.asarray(self.last - self.first > 1)

    def with_inner_points(self) -> Pieces:
        """Return the pieces that are more than one step."""
        return self.where(self.have_inner_points)

    def and_also(self, other: Pieces) -> Pieces:
        """Return these pieces, then the others."""
        return Pieces(np.r_[self.first, other.first], np.r_[self.last, other.last])

    def halves(self, at: Ids) -> Pieces:
        """Return the first halves of all pieces, cut at these points, then the second ones."""
        return Pieces(np.r_[self.first, at], np.r_[at, self.last])


def farthest(xy: Floats, pieces: Pieces) -> tuple[Ids, Floats]:
    """Place and distance of the point of each piece that lies farthest from its chord, the first of equals."""
    if not len(pieces):
        return np.zeros(0, np.int64), np.zeros(0)
    lengths = pieces.last - pieces.first + 1
    place, start = ranges(pieces.first, pieces.last + 1), offsets_of(lengths)[:-1]
    distance = _from_chord(xy[place], *(np.repeat(xy[end], lengths, axis=0) for end in (pieces.first, pieces.last)))
    distance[start] = distance[start + lengths - 1] = -1  # the ends themselves are no candidates
    most = np.maximum.reduceat(distance, start)
    hits = np.flatnonzero(distance == np.repeat(most, lengths))
    return place[hits[np.searchsorted(hits, start)]], np.maximum(most, 0.0)


def _from_chord(point: Floats, a: Floats, b: Floats) -> Floats:
    """Distances of points from segments, all (n, 2)."""
    chord, leg = b - a, point - a
    squared = (chord**2).sum(axis=1)
    share = np.divide((leg * chord).sum(axis=1), squared, out=np.zeros(len(a)), where=squared > 0)
    return np.asarray(np.hypot(*(leg - np.clip(share, 0, 1)[:, None] * chord).T))


def clear(borders: Borders, pieces: Pieces) -> Mask:
    """Pieces whose convex hull holds no part of any other border, beside what meets them at their ends."""
    lengths = pieces.last - pieces.first + 1
    line = np.repeat(np.arange(len(pieces)), lengths)
    lines: Any = shapely.linestrings(borders.points[ranges(pieces.first, pieces.last + 1)], indices=line)
    hulls: NDArray[Any] = np.asarray(shapely.convex_hull(lines))
    piece, segment = borders.meeting(hulls)
    foreign = (segment < pieces.first[piece]) | (segment >= pieces.last[piece])
    piece, segment = piece[foreign], segment[foreign]
    found = np.ones(len(pieces), bool)
    found[piece[_in_the_way(borders.points, hulls[piece], pieces.taking(piece), segment)]] = False
    return found


def _in_the_way(xy: Floats, hulls: NDArray[Any], pieces: Pieces, segment: Ids) -> Mask:
    """Which segments come near their hull not only because they share one end of the piece."""
    a, b = xy[segment], xy[segment + 1]
    ends = xy[pieces.first], xy[pieces.last]
    at_a, at_b = (np.any([(end == one).all(axis=1) for end in ends], axis=0) for one in (a, b))
    aside = (b - a) * _ASIDE
    rest = np.stack([a + aside * at_a[:, None], b - aside * at_b[:, None]], axis=1)
    near = shapely.dwithin(hulls, shapely.linestrings(rest), MARGIN) if len(segment) else np.zeros(0, bool)
    return np.asarray((at_a & at_b) | near)
