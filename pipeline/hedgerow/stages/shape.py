"""What shape do borders get once they are found? Fewer corners, then straight and square ones, then curves.

Each step moves a border for both neighbours at once, and each leaves one valid coverage. All of them work on the arcs
of the whole map, after the join: no tile is known here any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import inf

from odc.geo.geobox import GeoBox

from hedgerow.arcs.faces import Faces
from hedgerow.arcs.network import Arcs, is_ring
from hedgerow.arcs.regularize import regularized
from hedgerow.arcs.simplify import simplified
from hedgerow.arcs.smooth import smoothed
from hedgerow.errors import ConfigError
from hedgerow.geo.metres import pixel_size_m
from hedgerow.stages.coverage import in_crs

MOST_ROUNDS = 6


def refuse_wrong_sizes(**sizes: float) -> None:
    """Take lengths (m) and areas (m2) that are 0 or more.

    Raises:
        ConfigError: one is negative, infinite or not a number.
    """
    for name, size in sizes.items():
        if not 0 <= size < inf:
            raise ConfigError(f"{name} = {size}: must be a number from 0 on; 0 changes nothing")


@dataclass(frozen=True)
class Shape:
    """What is asked for; 0 leaves out a step.

    `simplify_m`: square root of a triangle's area, see `arcs.simplify`. `regularize_m`: how far a border may stray from
    a straight line, and a corner move. `smooth`: rounds of corner cutting. `smooth_reach_m`: how far before its corner
    a curve may begin (None: 4 pixels).
    """

    simplify_m: float = 0.0
    regularize_m: float = 0.0
    smooth: int = 0
    smooth_reach_m: float | None = None

    def __post_init__(self) -> None:
        refuse_wrong_sizes(simplify_m=self.simplify_m, regularize_m=self.regularize_m)
        if not 0 <= self.smooth <= MOST_ROUNDS:
            raise ConfigError(f"smooth = {self.smooth}: rounds are 0 to {MOST_ROUNDS}")
        if self.smooth_reach_m is not None and not 0 < self.smooth_reach_m < inf:
            raise ConfigError(f"smooth_reach_m = {self.smooth_reach_m}: must be above 0; for no curves say smooth = 0")


@dataclass(frozen=True)
class Shaped:
    """The arcs in their last shape; `summary` counts the corners that had to stay so that the coverage holds."""

    arcs: Arcs
    summary: Mapping[str, int]


def shaped(exact: Arcs, found: Faces, geobox: GeoBox, shape: Shape) -> Shaped:
    """Return the arcs of a map in the shape that is asked for.

    Args:
        exact: the arcs, on whole corners.
        found: their faces.
        geobox: CRS and transform.
        shape: what is asked for.
    """
    pixel_m = pixel_size_m(geobox)
    size = (geobox.shape[0], geobox.shape[1])
    arcs = simplified(exact, found, tolerance_m=shape.simplify_m, pixel_m=pixel_m)
    kept: dict[str, int] = {}
    if shape.regularize_m > 0:
        place = partial(in_crs, transform=geobox.transform)
        square = regularized(arcs, found, move_m=shape.regularize_m, pixel_m=pixel_m, shape=size, in_crs=place)
        arcs, kept["not_regularized"] = square.arcs, square.corners_kept
    if shape.smooth > 0:
        smooth = smoothed(
            arcs, is_ring(exact), rounds=shape.smooth, pixel_m=pixel_m, shape=size, reach_m=shape.smooth_reach_m
        )
        arcs, kept["not_smoothed"] = smooth.arcs, smooth.corners_kept
    return Shaped(arcs, kept)
