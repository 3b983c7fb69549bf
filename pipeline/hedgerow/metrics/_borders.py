"""Where is the nearest boundary pixel of the other map, and what lies on either side? Exact steps over a whole scene.

A tree of where the boundary pixels lie, in metres, answers for the boundary pixels alone; a distance transform would
answer for every pixel of the scene. Among equally near pixels the one counts that the tree meets first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hedgerow.edges.views import View
from hedgerow.records import FIELD, FOREST, OTHER

Steps = NDArray[np.int64]
"""(n, 2) rows and columns from each of n pixels to another one."""

# By class: the parcel at a border is the field, if there is one, else the forest.
_PARCEL_RANK = np.argsort([FIELD, FOREST, OTHER])


@dataclass(frozen=True, slots=True, eq=False)
class Border:
    """The boundary pixels of one map, n rows and columns, and a tree of where they lie in metres."""

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    size_m: tuple[float, float]
    tree: cKDTree

    @classmethod
    def of(cls, boundary: NDArray[np.bool_], size_m: tuple[float, float]) -> Border:
        rows, cols = np.divmod(np.flatnonzero(boundary), boundary.shape[1])
        places = np.stack([rows * size_m[0], cols * size_m[1]], axis=1)
        # Straight borders put many pixels on one coordinate: splitting at the middle, not the median, is faster.
        return cls(rows, cols, size_m, cKDTree(places, balanced_tree=False))

    def __len__(self) -> int:
        return len(self.rows)

    def steps_to(self, other: Border) -> Steps | None:
        """Return the steps from each pixel to the nearest one of `other`; None where `other` has no pixel."""
        if not len(other):
            return None
        nearest = other.tree.query(self.tree.data)[1]
        return np.stack([other.rows[nearest] - self.rows, other.cols[nearest] - self.cols], axis=1)

    def length_m(self, steps: Steps) -> NDArray[np.float64]:
        """Return the lengths (n,) of steps in metres."""
        return np.asarray(np.hypot(steps[:, 0] * self.size_m[0], steps[:, 1] * self.size_m[1]), dtype=np.float64)


def border_of(view: View) -> Border:
    """Return the region boundary B(L) of a view; for `view.once`."""
    return Border.of(view.boundary, view.pixel_size_m)


def parcels_of(view: View) -> NDArray[np.int32]:
    """Return the label of the parcel beside each pixel of `border_of(view)`; 0 = both sides are of one class."""
    labels, class_of, border = view.regions.labels, view.regions.class_of, view.once(border_of)
    here = labels[border.rows, border.cols]
    right = labels[border.rows, np.minimum(border.cols + 1, labels.shape[1] - 1)]
    below = labels[np.minimum(border.rows + 1, labels.shape[0] - 1), border.cols]
    # As for layers: the right neighbour is beyond the border, the lower one where the right one has the same label.
    beyond = np.where((right != here) & (right != 0), right, below)
    rank_here, rank_beyond = _PARCEL_RANK[class_of[here]], _PARCEL_RANK[class_of[beyond]]
    parcel = np.where(rank_here < rank_beyond, here, beyond)
    return np.where(rank_here == rank_beyond, np.int32(0), parcel)


def diagonal_m(valid: NDArray[np.bool_], size_m: tuple[float, float]) -> float:
    """Return the diagonal of the box round all valid pixels, 0 without any: no distance in the scene is longer."""
    spans = (np.flatnonzero(valid.any(axis=1 - axis)) for axis in (0, 1))
    height, width = (float(span[-1] - span[0] + 1) if len(span) else 0.0 for span in spans)
    return float(np.hypot(height * size_m[0], width * size_m[1]))
