"""On which grid do many rasters become one? On that of the finest in the chosen CRS, as wide as all of them together.

Rasters that share its pixels (adjoining tiles of one product) are then read as they are stored. Nothing is opened here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj.exceptions import ProjError

from hedgerow.contracts import Source
from hedgerow.errors import ConfigError, SourceError
from hedgerow.geo.metres import ground_sampling_distance_m
from hedgerow.geo.windows import Window
from hedgerow.sources._lattice import between, extent, offset_px

MOST_SPREAD = 4.0
"""The coarsest raster of a mosaic may have pixels at most this many times as long as the finest."""

LEAST_COVERED, SMALL_PX = 0.01, 100e6
"""A box of more than SMALL_PX pixels of which less than this share is covered is refused."""

_FINEST = 1.01  # pixels up to 1 % longer count as finest too: a product in degrees has a length for every latitude


def common_grid(members: Sequence[Source], crs: str | None = None) -> GeoBox:
    """Return the grid of a mosaic.

    The CRS is `crs`, else the one that most members have (of equally many, that of the first). The pixels are those of
    the finest member in it: of several lattices of that fineness the one on which most members lie. If no member has
    the CRS, pixels are square, as long as those of the finest member, and their corners lie at multiples of that.

    Args:
        members: in an order that does not depend on chance.
        crs: as text that PROJ knows.

    Raises:
        ConfigError: `crs` is none.
        SourceError: a member is more than four times as coarse as another, has no place in the CRS, or the members lie
            so far apart that hardly anything of the box around them is covered.
    """
    sizes_m = [ground_sampling_distance_m(member.geobox) for member in members]
    _refuse_spread(members, sizes_m)
    plane = _most_common([member.geobox.crs for member in members]) if crs is None else _named(crs)
    lattice = _lattice(members, sizes_m, plane)
    windows = [_extent_of(member, lattice) for member in members]
    grid = _around(lattice, windows, members)
    _refuse_far_apart(grid, windows)
    return grid


def _most_common(systems: Sequence[Any]) -> Any:
    kinds: list[Any] = []
    for crs in systems:
        if crs not in kinds:
            kinds.append(crs)
    return max(kinds, key=lambda kind: sum(crs == kind for crs in systems))


def _named(crs: str) -> CRS:
    try:
        return CRS(crs)
    except ProjError as error:
        raise ConfigError(f"mosaic_crs {crs}: PROJ knows no such CRS; write it as EPSG:32633") from error


def _lattice(members: Sequence[Source], sizes_m: Sequence[float], plane: CRS) -> GeoBox:
    """Return a grid of any extent whose pixels are those of the mosaic."""
    there = [(size, member.geobox) for size, member in zip(sizes_m, members, strict=True) if member.geobox.crs == plane]
    if not there:
        return _square_lattice(members[int(np.argmin(sizes_m))], plane)
    finest = min(size for size, _ in there)
    lattices: list[GeoBox] = []
    counts: list[int] = []
    for _, geobox in (pair for pair in there if pair[0] <= finest * _FINEST):
        known = next((i for i, one in enumerate(lattices) if offset_px(geobox, one) is not None), None)
        if known is None:
            lattices.append(geobox)
            counts.append(1)
        else:
            counts[known] += 1
    return lattices[int(np.argmax(counts))]


def _square_lattice(member: Source, plane: CRS) -> GeoBox:
    """Return square pixels as long as the member's at its centre, rounded to three digits, from the CRS's origin."""
    height, width = member.geobox.shape
    corners = np.array([0.0, 1.0, 0.0]) + width // 2, np.array([0.0, 0.0, 1.0]) + height // 2
    unit = GeoBox((1, 1), Affine.identity(), plane)
    try:
        x, y = between(member.geobox, unit)(*corners)
    except ProjError as error:
        raise _out_of_reach(member, plane, error) from error
    area = abs((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]))
    if not np.isfinite(area) or area == 0:
        raise _out_of_reach(member, plane, "its centre has no place there")
    side = float(f"{np.sqrt(area):.3g}")
    return GeoBox((1, 1), Affine.scale(side, -side), plane)


def _extent_of(member: Source, lattice: GeoBox) -> Window:
    try:
        return extent(member.geobox, lattice)
    except ProjError as error:
        raise _out_of_reach(member, lattice.crs, error) from error


def _around(lattice: GeoBox, windows: Sequence[Window], members: Sequence[Source]) -> GeoBox:
    """Return the lattice from the first row and column of all windows to the last."""
    y0, x0 = min(window.y0 for window in windows), min(window.x0 for window in windows)
    y1, x1 = max(window.y1 for window in windows), max(window.x1 for window in windows)
    lying = [
        (window, member.geobox.transform)
        for window, member in zip(windows, members, strict=True)
        if offset_px(member.geobox, lattice) is not None
    ]
    return GeoBox((y1 - y0, x1 - x0), _cornered(lattice.transform, y0, x0, lying), lattice.crs)


def _cornered(pixels: Affine, row: int, col: int, lying: Sequence[tuple[Window, Affine]]) -> Affine:
    """Return the transform of a lattice from (row, column) on; north-up, to the last bit as members there have it.

    A corner that is computed over the width of the mosaic may be off by its last bit, and with it every coordinate.
    """
    corner = pixels @ Affine.translation(col, row)
    if not pixels.b == pixels.d == 0:
        return corner
    west = next((there.c for window, there in lying if window.x0 == col), corner.c)
    north = next((there.f for window, there in lying if window.y0 == row), corner.f)
    return Affine(pixels.a, 0, west, 0, pixels.e, north)


def _refuse_spread(members: Sequence[Source], sizes_m: Sequence[float]) -> None:
    fine, coarse = int(np.argmin(sizes_m)), int(np.argmax(sizes_m))
    if sizes_m[coarse] > MOST_SPREAD * sizes_m[fine] * _FINEST:
        raise SourceError(
            f"mosaic of {sizes_m[fine]:.3g} m per pixel ({members[fine].name}) and {sizes_m[coarse]:.3g} m "
            f"({members[coarse].name}): at most {MOST_SPREAD:g} times coarser is possible; make a mosaic of each alone"
        )


def _refuse_far_apart(grid: GeoBox, windows: Sequence[Window]) -> None:
    rows, cols = map(int, grid.shape)
    covered = sum(window.shape[0] * window.shape[1] for window in windows) / (rows * cols)
    if rows * cols > SMALL_PX and covered < LEAST_COVERED:
        raise SourceError(
            f"mosaic of {len(windows)} inputs: the box around them has {cols} x {rows} px, of which they cover "
            f"{covered:.2%} (at least {LEAST_COVERED:.0%} is needed): make a mosaic of each group of neighbours, or "
            "leave out --mosaic"
        )


def _out_of_reach(member: Source, plane: CRS | None, why: object) -> SourceError:
    return SourceError(
        f"{member.name}: has no place in {plane}, the CRS of the mosaic ({why}): leave it out, or choose another CRS "
        "with --mosaic-crs EPSG:XXXX"
    )
