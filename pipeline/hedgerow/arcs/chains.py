"""Which link follows which? Linked lists walked from their heads, then the rings that have none.

The walk is plain Python on purpose: about 0.2 microseconds a link, against more than 1 for pointer doubling in
numpy over the same links.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedgerow.arcs.network import Ids, offsets_of


@dataclass(frozen=True)
class Chains:
    """Links in walking order: chain i is `order[offsets[i]:offsets[i + 1]]`; chains from `first_ring` on are closed."""

    order: Ids
    offsets: Ids
    first_ring: int


def walked(following: NDArray[np.integer]) -> Chains:
    """Walk links where `following[i]` (n,) is the link after i, -1 after the last; no two links have the same follower.

    Open chains come in the order of their heads, then rings, each from its smallest link.
    """
    has_head = np.ones(len(following), bool)
    has_head[following[following >= 0]] = False
    after = following.tolist()
    order: list[int] = []
    lengths: list[int] = []
    for head in np.flatnonzero(has_head).tolist():
        before = len(order)
        link = head
        while link >= 0:
            order.append(link)
            link = after[link]
        lengths.append(len(order) - before)
    first_ring = len(lengths)
    _walk_rings(after, _missing(order, len(after)), order, lengths)
    return Chains(np.asarray(order, np.int64), offsets_of(np.asarray(lengths, np.int64)), first_ring)


def _missing(order: list[int], count: int) -> list[int]:
    seen = np.zeros(count, bool)
    seen[order] = True
    return [int(link) for link in np.flatnonzero(~seen)]


def _walk_rings(after: list[int], links: list[int], order: list[int], lengths: list[int]) -> None:
    seen: set[int] = set()
    for first in links:
        if first in seen:
            continue
        before = len(order)
        link = first
        while link not in seen:
            seen.add(link)
            order.append(link)
            link = after[link]
        lengths.append(len(order) - before)
