"""How do pieces become whole arcs? Loose ends are tied where they meet, and every arc gets its one canonical form.

Used twice: for the pieces of all tiles, which meet at tile lines, and after regions were merged, when junctions vanish.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from hedgerow.arcs.chains import Chains, walked
from hedgerow.arcs.network import (
    Arcs,
    Ids,
    concatenated,
    corner_keys,
    offsets_of,
    ranges,
    rings_from_smallest_corner,
    run_sums,
)
from hedgerow.arcs.tile import Pieces


def join_tiles(tiles: Iterable[Pieces]) -> Arcs:
    """Join the pieces of all tiles of a raster into its arcs, the same for every tiling and order."""
    whole: list[Arcs] = []
    pieces: list[Pieces] = []
    for tile in tiles:  # most arcs lie inside one tile, and are finished
        loose = tile.loose_start | tile.loose_end
        whole.append(tile.arcs.taking(np.flatnonzero(~loose)))
        pieces.append(Pieces(tile.arcs.taking(np.flatnonzero(loose)), tile.loose_start[loose], tile.loose_end[loose]))
    loose_start, loose_end = (
        np.concatenate([np.zeros(0, bool), *(getattr(one, name) for one in pieces)])
        for name in ("loose_start", "loose_end")
    )
    tied = _tied(concatenated([one.arcs for one in pieces]), loose_start, loose_end)
    return _in_order(concatenated([*whole, tied]))


def relabelled(arcs: Arcs, new_id: NDArray[np.integer]) -> Arcs:
    """Give regions new ids (`new_id[old]`), drop the arcs inside a region, and join what met at junctions now gone."""
    left, right = new_id[arcs.left].astype(np.int64), new_id[arcs.right].astype(np.int64)
    if np.array_equal(left, arcs.left) and np.array_equal(right, arcs.right):
        return arcs
    kept = np.flatnonzero(left != right)
    found = _turned(arcs if len(kept) == len(arcs) else arcs.taking(kept), left[kept], right[kept])
    starts, ends = corner_keys(found.starts), corner_keys(found.ends)
    corner, degree = np.unique(np.r_[starts, ends], return_counts=True)
    passed = corner[degree == 2]
    loose_start, loose_end = np.isin(starts, passed), np.isin(ends, passed)
    loose = loose_start | loose_end
    tied = _tied(found.taking(np.flatnonzero(loose)), loose_start[loose], loose_end[loose])
    return _in_order(concatenated([found.taking(np.flatnonzero(~loose)), tied]))


def _turned(arcs: Arcs, left: Ids, right: Ids) -> Arcs:
    """Reverse the arcs whose left id is now the larger one."""
    points, back = arcs.points, np.flatnonzero(left > right)
    if len(back):
        first, stop = arcs.offsets[back], arcs.offsets[back + 1]
        place = ranges(first, stop)
        points = points.copy()
        points[place] = arcs.points[np.repeat(first + stop - 1, stop - first) - place]
    low, high = np.minimum(left, right), np.maximum(left, right)
    return Arcs(points, arcs.offsets, low, high, arcs.cracks, arcs.border_sum)


def _tied(pieces: Arcs, loose_start: NDArray[np.bool_], loose_end: NDArray[np.bool_]) -> Arcs:
    """Tie pieces, of which each has a loose end, into whole arcs."""
    chains = walked(_following(pieces, loose_start, loose_end))
    return _without_straight_points(rings_from_smallest_corner(_chained(pieces, chains), chains.first_ring))


def _following(pieces: Arcs, loose_start: NDArray[np.bool_], loose_end: NDArray[np.bool_]) -> Ids:
    """Find the piece that goes on at each loose end.

    Both pieces keep the smaller id on their left, so exactly one of them ends there and one starts.
    """
    starting, ending = np.flatnonzero(loose_start), np.flatnonzero(loose_end)
    start_keys, end_keys = corner_keys(pieces.starts)[starting], corner_keys(pieces.ends)[ending]
    order = np.argsort(start_keys)
    following = np.full(len(pieces), -1, np.int64)
    following[ending] = starting[order[np.searchsorted(start_keys, end_keys, sorter=order)]]
    return following


def _chained(pieces: Arcs, chains: Chains) -> Arcs:
    """Concatenate the pieces of each chain; the corner where two meet is kept once."""
    taken = pieces.taking(chains.order)
    chain_heads = np.zeros(len(chains.order), bool)
    chain_heads[chains.offsets[:-1]] = True
    keep = np.ones(len(taken.points), bool)
    keep[taken.offsets[:-1][~chain_heads]] = False
    kept_before = offsets_of(keep)
    heads = chains.order[chains.offsets[:-1]]
    return Arcs(
        points=taken.points[keep],
        offsets=kept_before[taken.offsets[chains.offsets]],
        left=pieces.left[heads],
        right=pieces.right[heads],
        cracks=run_sums(taken.cracks, chains.offsets),
        border_sum=run_sums(taken.border_sum, chains.offsets),
    )


def _without_straight_points(arcs: Arcs) -> Arcs:
    """Drop corners in the middle of a straight line: where a tile line or a vanished junction was."""
    if not len(arcs):
        return arcs
    step = np.diff(arcs.points, axis=0) == 0
    straight = np.zeros(len(arcs.points), bool)
    straight[1:-1] = (step[1:] & step[:-1]).any(axis=1)
    straight[arcs.offsets[:-1]] = straight[arcs.offsets[1:] - 1] = False
    offsets = offsets_of(~straight)[arcs.offsets]
    return Arcs(arcs.points[~straight], offsets, arcs.left, arcs.right, arcs.cracks, arcs.border_sum)


def _in_order(arcs: Arcs) -> Arcs:
    """Sort by first corner, then by second: no two arcs leave a corner in the same direction."""
    first, second = corner_keys(arcs.starts), corner_keys(arcs.points[arcs.offsets[:-1] + 1])
    return arcs.taking(np.lexsort((second, first)))
