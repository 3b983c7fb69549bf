"""Which way does each border run if its parcels are right-angled? Along or across the axis of a parcel beside it.

A parcel's axis is the direction, modulo a quarter turn, of its long borders: the mean of their directions on a circle
that goes round four times as fast. Parcels that share a border and nearly an axis share it fully, so that a block of
fields is one grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedgerow.arcs.network import Ids

_RIGHT_ANGLED = 0.8
"""Least agreement of a parcel's borders about its axis, from 0 to 1: all borders off by 9 degrees give 0.8."""
_SAME_AXIS = np.radians(4.0)
_OFF_AXIS = np.radians(12.0)
"""A border that is off by more has a direction of its own."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sides:
    """Straight pieces of border: direction (n,) in radians, length (n,), regions on both hands (0 = outside)."""

    angle: Floats
    length: Floats
    left: Ids
    right: Ids


def directions(sides: Sides, count: int, *, move: float) -> Floats:
    """Return the directions (n,) that the sides are to have, radians; NaN where a side keeps its own.

    Args:
        sides: all pieces of border.
        count: how many region ids there are, 0 among them.
        move: how far the ends of a side may move to turn it about its middle, in units of its length.
    """
    axis = _axes(sides, count)
    turn = np.stack([_quarter(axis[region] - sides.angle) for region in (sides.left, sides.right)])
    off = np.where(np.isnan(turn), np.inf, abs(turn))
    nearest = np.take_along_axis(turn, np.argmin(off, axis=0)[None], axis=0)[0]
    near = (off.min(axis=0) <= _OFF_AXIS) & (sides.length / 2 * abs(np.sin(nearest)) <= move)
    return np.where(near, sides.angle + nearest, np.nan)


def _axes(sides: Sides, count: int) -> Floats:
    """Axis of each region (count,), NaN where it is not right-angled."""
    # Squared: a parcel's long borders say how it lies, not the many short ones along a brook.
    weight = sides.length**2
    total, around = np.zeros(count, complex), np.zeros(count)
    for region in (sides.left, sides.right):
        np.add.at(total, region, weight * np.exp(4j * sides.angle))
        np.add.at(around, region, weight)
    straight = (abs(total) >= _RIGHT_ANGLED * around) & (around > 0)
    straight[0] = False
    return np.where(straight, np.angle(_grouped(total, straight, sides)) / 4, np.nan)


def _grouped(total: NDArray[np.complex128], straight: Mask, sides: Sides) -> NDArray[np.complex128]:
    """Add up neighbours, longest shared border first, while their axes nearly agree; return every region its sum."""
    group = np.arange(len(total))
    pull = total.copy()
    for a, b in _by_shared_length(sides, straight):
        first, second = sorted((_root(group, a), _root(group, b)))
        if first != second and abs(np.angle(pull[first] / pull[second])) <= 4 * _SAME_AXIS:
            group[second] = first
            pull[first] += pull[second]
    return pull[[_root(group, i) for i in range(len(group))]]


def _by_shared_length(sides: Sides, straight: Mask) -> list[tuple[int, int]]:
    both = straight[sides.left] & straight[sides.right]
    pair = np.stack([sides.left[both], sides.right[both]], axis=1)
    pairs, place = np.unique(pair, axis=0, return_inverse=True)
    length = np.bincount(place.ravel(), sides.length[both], minlength=len(pairs))
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -length))
    return [(int(a), int(b)) for a, b in pairs[order]]


def _root(group: Ids, i: int) -> int:
    while group[i] != i:
        group[i] = group[group[i]]
        i = int(group[i])
    return i


def _quarter(angle: Floats) -> Floats:
    """Bring angles into -45..45 degrees by quarter turns."""
    return np.asarray((angle + np.pi / 4) % (np.pi / 2) - np.pi / 4)
