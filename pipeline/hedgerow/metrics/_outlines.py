"""What is the outline of each object? Polygons in metres, traced over the whole scene and freed of their stairs.

An exact outline runs along pixel edges: its vertices count stairs, not corners. The stairs of a straight border lie in
a band that is nowhere wider than a pixel's diagonal, so simplification with that tolerance (Douglas-Peucker) makes one
edge of them. An object narrower than two diagonals may be left with three vertices.

Each ring is simplified from its vertex farthest from its middle, which is a corner of the object, and not from wherever
a neighbour happens to touch it: outlines do not depend on neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from hedgerow.arcs.faces import faces, polygons
from hedgerow.arcs.join import join_tiles
from hedgerow.arcs.network import ranges
from hedgerow.arcs.tile import tile_pieces
from hedgerow.edges.contingency import Objects
from hedgerow.edges.views import View
from hedgerow.errors import ScoreError
from hedgerow.geo.windows import Window, grid

Polygons = NDArray[Any]
"""An array (n,) of shapely polygons."""

_TILE_PX = 1024
_FEWEST_RING_POINTS = 4
_FRAME = Window(-1, -1, -1, -1)
"""Where an array with a frame of one pixel begins."""


def outlines(view: View) -> Polygons:
    """Return the outline of each object of a view, see `outlines_of`; ask for it by `view.once(outlines)`."""
    return outlines_of(view.objects, view.pixel_size_m)


def outlines_of(objects: Objects, pixel_size_m: tuple[float, float]) -> Polygons:
    """Return one valid polygon per object, that of object k at k - 1.

    Args:
        objects: numbered 4-connected areas.
        pixel_size_m: (height, width) of a pixel; x = column * width and y = row * height, y downwards.
    """
    return _simplified(_traced(objects.labels, pixel_size_m), float(np.hypot(*pixel_size_m)))


def one_polygon(shape: Polygon) -> Polygons:
    """Return an array (1,) of a polygon.

    Raises:
        ScoreError: it is no polygon, or empty.
    """
    if not isinstance(shape, Polygon) or shape.is_empty:
        kind = "an empty polygon" if isinstance(shape, Polygon) else type(shape).__name__
        raise ScoreError(f"outlines are compared polygon by polygon, got {kind}: match the parts first")
    return np.array([shape], dtype=object)


def _traced(labels: NDArray[np.int32], pixel_size_m: tuple[float, float]) -> Polygons:
    shape = (labels.shape[0], labels.shape[1])
    framed = np.pad(labels, 1)
    # Tile by tile only to hold less in memory at a time: the arcs are the same for every tiling.
    tiles = (tile_pieces(framed[w.padded(1).inside(_FRAME).slices], w, shape) for _, w in grid(shape, _TILE_PX))
    arcs = join_tiles(tiles)
    return polygons(faces(arcs), arcs, arcs.points[:, ::-1] * np.array(pixel_size_m[::-1]))


@dataclass(frozen=True, eq=False)
class Vertices:
    """The vertices of polygons, ring by ring, closing vertices left out.

    `xy` (m, 2); `polygon` (m,) says whose they are; ring r is `xy[offsets[r]:offsets[r + 1]]`; `ring` (m,).
    """

    xy: NDArray[np.float64]
    polygon: NDArray[np.int64]
    ring: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @property
    def following(self) -> NDArray[np.int64]:
        """(m,) position of the next vertex along the ring."""
        after = np.arange(1, len(self.xy) + 1)
        after[self.offsets[1:] - 1] = self.offsets[:-1]
        return after

    def per_polygon(self, count: int) -> NDArray[np.int64]:
        """Return how many vertices each of `count` polygons has."""
        return np.bincount(self.polygon, minlength=count)


def vertices(of: Polygons) -> Vertices:
    """Return the vertices of polygons, shells and holes."""
    rings, polygon_of_ring = shapely.get_rings(of, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    ends = np.cumsum(shapely.get_num_coordinates(rings)) - 1
    kept = np.ones(len(xy), np.bool_)
    kept[ends] = False
    # Each of the rings before has lost its closing vertex.
    offsets = np.concatenate([[0], ends - np.arange(len(ends))]).astype(np.int64)
    return Vertices(xy[kept], polygon_of_ring[ring[kept]], ring[kept], offsets)


def _simplified(exact: Polygons, tolerance: float) -> Polygons:
    """Simplify polygons, keeping them valid.

    Ring by ring takes 2 ms for 500 objects of 1024 x 1024 px, with regard to the other rings 45 ms: that is done only
    where a ring would vanish, or cross itself or another one.
    """
    if not len(exact):
        return exact
    rings, owner = _rings_from_far_corners(exact)
    simple = shapely.simplify(rings, tolerance, preserve_topology=False)
    torn = np.isin(np.arange(len(exact)), owner[shapely.get_num_coordinates(simple) < _FEWEST_RING_POINTS])
    found = np.empty(len(exact), object)
    found[~torn] = _of_rings(simple, owner, ~torn)
    torn |= ~shapely.is_valid(found)
    found[torn] = shapely.simplify(_of_rings(rings, owner, torn), tolerance, preserve_topology=True)
    return found


def _of_rings(lines: Polygons, owner: NDArray[np.int64], chosen: NDArray[np.bool_]) -> Polygons:
    """Build the chosen polygons of their closed lines, each shell first."""
    mine = chosen[owner]
    xy, index = shapely.get_coordinates(lines[mine], return_index=True)
    _, polygon = np.unique(owner[mine], return_inverse=True)
    rings = np.asarray(shapely.linearrings(xy, indices=index), object)
    return np.asarray(shapely.polygons(rings, indices=polygon), object)


def _rings_from_far_corners(of: Polygons) -> tuple[Polygons, NDArray[np.int64]]:
    """Return every ring as a closed line that begins at its vertex farthest from its middle, and whose ring it is."""
    rings, owner = shapely.get_rings(of, return_index=True)
    found = vertices(of)
    starts, sizes = found.offsets[:-1], np.diff(found.offsets)
    far = _farthest(found, shapely.get_coordinates(shapely.centroid(rings))) - starts
    step = ranges(np.zeros(len(sizes), np.int64), sizes + 1)
    place = np.repeat(starts, sizes + 1) + (step + np.repeat(far, sizes + 1)) % np.repeat(sizes, sizes + 1)
    lines = shapely.linestrings(found.xy[place], indices=np.repeat(np.arange(len(sizes)), sizes + 1))
    return np.asarray(lines, object), owner


def _farthest(of: Vertices, middle: NDArray[np.float64]) -> NDArray[np.int64]:
    """Position of the vertex of each ring that is farthest from the ring's middle (x, y), the first of equals."""
    away = ((of.xy - middle[of.ring]) ** 2).sum(axis=1)
    found = np.flatnonzero(away == np.maximum.reduceat(away, of.offsets[:-1])[of.ring])
    return found[np.searchsorted(of.ring[found], np.arange(len(middle)))]
