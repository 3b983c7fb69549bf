"""What does one tile know of the borders? The arcs inside it, chained; what goes on beyond its lines has loose ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedgerow.arcs.chains import Chains, walked
from hedgerow.arcs.cracks import Mask, Segments, corners, segments
from hedgerow.arcs.network import Arcs, Ids, rings_from_smallest_corner, run_sums
from hedgerow.geo.windows import Window


@dataclass(frozen=True)
class Pieces:
    """Arcs and pieces of arcs; `loose_start` and `loose_end` (m,) mark ends where the arc goes on."""

    arcs: Arcs
    loose_start: Mask
    loose_end: Mask


def tile_pieces(
    ids: NDArray[np.integer], window: Window, shape: tuple[int, int], border: NDArray[np.uint8] | None = None
) -> Pieces:
    """Extract and chain the cracks that a tile owns.

    Args:
        ids: region ids (height + 2, width + 2) of the tile with a one-pixel apron; 0 beyond the raster.
        window: where the tile lies in the raster.
        shape: (height, width) of the raster.
        border: border probability (height + 2, width + 2), 0..255.
    """
    at = corners(ids)
    found = segments(ids, at, border, last_row=window.y1 == shape[0], last_col=window.x1 == shape[1])
    junction = at.junction.ravel()
    chains = walked(_following(found, junction))
    first, last = chains.order[chains.offsets[:-1]], chains.order[chains.offsets[1:] - 1]
    return Pieces(
        arcs=rings_from_smallest_corner(_as_arcs(found, chains, first, last, window), chains.first_ring),
        loose_start=~junction[found.start[first]],
        loose_end=~junction[found.end[last]],
    )


def _following(found: Segments, junction: Mask) -> Ids:
    """Find the segment that starts where each one ends, -1 at junctions and where another tile goes on.

    At a corner with two cracks exactly one segment ends and one starts, because both keep the smaller id on their left.
    """
    starting = np.full(len(junction), -1, np.int64)
    starting[found.start] = np.arange(len(found.start))
    starting[junction] = -1
    return starting[found.end]


def _as_arcs(found: Segments, chains: Chains, first: Ids, last: Ids, window: Window) -> Arcs:
    order, count = chains.order, len(first)
    width = window.x1 - window.x0 + 1
    # Every segment gives its start, the last of a chain also its end.
    flat = np.insert(found.start[order], chains.offsets[1:], found.end[last])
    row, col = np.divmod(flat, width)
    cracks = np.stack([np.where(found.along_row, found.cracks, 0), np.where(found.along_row, 0, found.cracks)], axis=1)
    return Arcs(
        points=np.stack([row + window.y0, col + window.x0], axis=1).astype(np.int32),
        offsets=chains.offsets + np.arange(count + 1),
        left=found.left[first],
        right=found.right[first],
        cracks=run_sums(cracks[order], chains.offsets),
        border_sum=run_sums(found.border_sum[order], chains.offsets),
    )
