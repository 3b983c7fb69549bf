"""By how much has the map moved as a whole? The one displacement that explains best how far each border has moved.

A border shows only how far it moved across its own direction: the nearest pixel of the moved border lies along the
normal n, at n.s for a displacement s. Every boundary pixel of the reference gives such an equation, borders of two
directions give both parts of s, and the sums of the least squares add up over tiles. Normals come from the nearest
boundary pixels (principal axes); a border farther away than 8 px counts as lost, not as moved.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hedgerow.edges.views import View
from hedgerow.metrics._booking import Booking
from hedgerow.metrics._borders import Border, Steps, border_of
from hedgerow.metrics._policy import not_applicable, sum_of
from hedgerow.records import Value

REACH_PX = 8.0

_NEIGHBOURS = 9
_ONE_DIRECTION = 0.01
"""Least share of the smaller axis in the directions of all borders; below it they show one part of the shift only."""

_ACROSS = 0.9
"""Cosine: beside a junction the nearest pixel may be of the other border, along the own one; it tells nothing."""

NAMES = ("border_shift_east", "border_shift_north")


def normals_of(view: View) -> NDArray[np.float64]:
    """Return the unit normal (south, east) of the boundary at each of its n pixels, up to its sign; for `view.once`."""
    border = view.once(border_of)
    if len(border) < _NEIGHBOURS:
        return np.zeros((len(border), 2))
    places = border.tree.data[border.tree.query(border.tree.data, k=_NEIGHBOURS)[1]]
    south, east = np.moveaxis(places - places.mean(axis=1, keepdims=True), -1, 0)
    along = 0.5 * np.arctan2(2 * (south * east).sum(axis=1), (south**2 - east**2).sum(axis=1))
    return np.stack([-np.sin(along), np.cos(along)], axis=1)


def registration_booking(reference: View, steps: Steps) -> Booking:
    """Book the terms of the least squares on the reference's boundary pixels."""
    border: Border = reference.once(border_of)
    normals, moved_m = reference.once(normals_of), steps * np.asarray(border.size_m)
    across_m = (normals * moved_m).sum(axis=1)
    told = np.hypot(steps[:, 0], steps[:, 1]) <= REACH_PX
    told &= np.abs(across_m) >= _ACROSS * np.hypot(moved_m[:, 0], moved_m[:, 1])
    normal, across_m = normals[told], across_m[told]
    south, east = normal.T
    terms = {
        "seen": np.ones(len(normal)), "ss": south * south, "se": south * east, "ee": east * east,
        "s_m": south * across_m, "e_m": east * across_m,
    }  # fmt: skip
    return Booking(border.rows[told], border.cols[told], terms)


def registration_values(sums: Mapping[str, float], empty: str | None) -> list[Value]:
    """Return the displacement in metres, east and north."""
    seen, ss, se, ee, s_m, e_m = sum_of(sums, "seen", "ss", "se", "ee", "s_m", "e_m")
    determinant = ss * ee - se * se
    if not seen or determinant <= _ONE_DIRECTION * (ss + ee) ** 2 / 4:
        why = empty or ("all borders run in one direction" if seen else f"no boundary within {REACH_PX:g} px")
        return [not_applicable(name, why, unit="m") for name in NAMES]
    east = (ss * e_m - se * s_m) / determinant
    south = (ee * s_m - se * e_m) / determinant
    return [Value(name, m, "m", round(seen), empty) for name, m in zip(NAMES, (east, 0.0 - south), strict=True)]
