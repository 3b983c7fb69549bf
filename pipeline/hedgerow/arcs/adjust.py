"""Where do corners go when borders are told their lines? To the places that fit all lines best, by least squares.

One sparse system over all corners of a map: a corner shared by three parcels is one unknown, so nothing can tear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import spsolve

from hedgerow.arcs.network import Ids

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Wishes:
    """Weighted sums of up to three corners (k, 3), with shares (k, 3), that are to have a position across a direction.

    `normal` (k, 2) is at right angles to the direction, `position` (k,) what is wanted along it, `weight` (k,) how much
    that counts.
    """

    corner: Ids
    share: Floats
    normal: Floats
    position: Floats
    weight: Floats

    @classmethod
    def all_of(cls, *parts: Wishes) -> Wishes:
        """Return the wishes of all parts."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__))

    def without(self, corners: Mask) -> Wishes:
        """Give up what one of these corners takes part in."""
        kept = ~(corners[self.corner] & (self.share != 0)).any(axis=1)
        return Wishes(*(getattr(self, name)[kept] for name in Wishes.__annotations__))

    def most_around(self, value: Floats) -> Floats:
        """Return for each corner (n,) the largest value of all corners that have a wish in common with it."""
        most = value.copy()
        for corner in self.corner.T:
            np.maximum.at(most, corner, value[self.corner].max(axis=1))
        return most


def on_line(corner: Ids, middle: Floats, angle: Floats, *, weight: float) -> Wishes:
    """Corners (k,) that are to lie on lines."""
    normal = _normal(angle)
    return _wishes([corner], [np.ones(len(corner))], normal, (middle * normal).sum(axis=1), weight)


def parallel(first: Ids, last: Ids, angle: Floats, *, weight: float) -> Wishes:
    """Sides from `first` to `last` that are to have a direction."""
    ones = np.ones(len(first))
    return _wishes([first, last], [-ones, ones], _normal(angle), np.zeros(len(first)), weight)


def between(corner: Ids, one: Ids, other: Ids, at: Floats, *, weight: float) -> Wishes:
    """Corners that are to lie on the straight line between two others, all placed `at` (n, 2) now."""
    chord = at[one] - at[other]
    squared = np.maximum((chord**2).sum(axis=1), np.finfo(float).tiny)
    share = ((at[corner] - at[other]) * chord).sum(axis=1) / squared
    normal = np.stack([-chord[:, 1], chord[:, 0]], axis=1) / np.sqrt(squared)[:, None]
    return _wishes(
        [corner, one, other], [np.ones(len(corner)), -share, share - 1], normal, np.zeros(len(corner)), weight
    )


def moves(wishes: Wishes, at: Floats, fixed: Mask, *, rest: float) -> Floats:
    """Return how corners (n, 2) move to fulfil the wishes as well as they can.

    Args:
        wishes: what is wanted.
        at: where the corners are.
        fixed: (n, 2) coordinates that stay.
        rest: weight of staying where one is, beside those of the wishes; above 0, so that the answer is unique.
    """
    row = np.repeat(np.arange(len(wishes.corner)), 6)
    column = (2 * wishes.corner[:, :, None] + np.arange(2)).ravel()
    value = (wishes.share[:, :, None] * wishes.normal[:, None, :]).ravel()
    wish = csr_matrix((value, (row, column)), shape=(len(wishes.corner), at.size))
    missing = wishes.position - wish @ at.ravel()
    free = np.flatnonzero(~fixed.ravel())
    move = np.zeros(at.size)
    if len(free):
        part = wish[:, free]
        weighted = part.T @ diags(wishes.weight)
        move[free] = spsolve((weighted @ part + diags(np.full(len(free), rest))).tocsc(), weighted @ missing)
    return move.reshape(-1, 2)


def _wishes(corners: list[Ids], shares: list[Floats], normal: Floats, position: Floats, weight: float) -> Wishes:
    count = len(corners[0])
    rest = 3 - len(corners)
    corner = np.stack([*corners, *[corners[0]] * rest], axis=1)
    share = np.stack([*shares, *[np.zeros(count)] * rest], axis=1)
    return Wishes(corner, share, normal, position, np.full(count, weight))


def _normal(angle: Floats) -> Floats:
    return np.stack([-np.sin(angle), np.cos(angle)], axis=1)
