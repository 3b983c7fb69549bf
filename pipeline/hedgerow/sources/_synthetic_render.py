"""What does the land reflect? From parcels and strokes to reflectance (height, width, bands), before any sensor.

The land is drawn on a grid finer than the pixels and averaged, so that a border that cuts a pixel mixes both sides.
From 3 m on no texture is finer than a pixel: then only the colours are drawn on the fine grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from hedgerow.sources import _synthetic_texture as texture
from hedgerow.sources._synthetic_layout import Layout
from hedgerow.sources._synthetic_surfaces import MATERIALS, Column, Surfaces

_NAMES = tuple(MATERIALS)
_ORDER = ("margin", "bund", "hedge", "track", "gravel", "asphalt", "concrete", "water")
"""Strokes in the order in which they are painted over each other."""
_FIXED_POINT_BITS = 4
_COARSE_GSD_M = 3.0


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the light comes from: unit vector (x, y) in the image along which shadows fall, and their slope."""

    away: tuple[float, float]
    shadow_per_height: float


def label_raster(polygons: NDArray[Any], shape: tuple[int, int], step_m: float) -> NDArray[np.int32]:
    """Return which polygon (1, 2, ...) holds each pixel's centre; 0 = none."""
    if not len(polygons):
        return np.zeros(shape, np.int32)
    scaled = shapely.transform(polygons, lambda xy: xy / step_m)
    return np.asarray(rasterize(zip(scaled, range(1, len(scaled) + 1), strict=True), out_shape=shape, dtype="int32"))


def reflectance(
    layout: Layout, surfaces: Surfaces, shape: tuple[int, int], gsd_m: float, bands: tuple[int, ...], sun: Sun,
    relief: float, rng: np.random.Generator,
) -> NDArray[np.float32]:  # fmt: skip
    """Return reflectance (height, width, bands) of a scene.

    `bands` are columns of blue, green, red, near infrared; `relief` (0 to 1) is the contrast of the crowns of woods.
    """
    coarse = gsd_m >= _COARSE_GSD_M
    fine = 3 if coarse else 2
    surface = _surface_raster(layout, (shape[0] * fine, shape[1] * fine), gsd_m / fine, rng)
    textured, step_m = (surface[1::3, 1::3], gsd_m) if coarse else (surface, gsd_m / fine)
    cover = _cover(textured, surfaces, step_m, rng)
    light = _light(textured, surfaces, step_m, sun, relief, rng)
    planes = []
    for band in bands:
        main = surfaces.main[:, band]
        colour, change = main[surface], (surfaces.thin[:, band] - main)[surface]
        if coarse:
            planes.append((_averaged(colour, shape) + _averaged(change, shape) * cover) * light)
        else:
            planes.append(_averaged((colour + change * cover) * light, shape))
    return np.stack(planes, axis=-1)


def _averaged(fine: texture.Grid, shape: tuple[int, int]) -> texture.Grid:
    """Return the means over the pixels of a coarser grid."""
    return np.asarray(cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA), dtype=np.float32)


def _surface_raster(
    layout: Layout, size: tuple[int, int], step_m: float, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Return the row of each pixel in the table of surfaces: materials painted over, parcels exactly as they are."""
    labels = label_raster(np.concatenate([layout.fields, layout.forests]), size, step_m)
    paint = np.full(size, _NAMES.index("margin"), np.uint8)
    _fill(paint, layout.waste, _NAMES.index("rough"), step_m)
    for stroke in sorted(layout.carved.strokes, key=lambda s: _ORDER.index(s.material)):
        _draw(paint, stroke.line, stroke.width_m, _NAMES.index(stroke.material), step_m)
    for area in layout.carved.areas:
        _fill(paint, np.array([area.polygon], dtype=object), _NAMES.index(area.material), step_m)
    _plant(paint, step_m, rng)
    surface: NDArray[np.int32] = np.asarray(np.where(labels > 0, labels + len(_NAMES) - 1, paint), np.int32)
    for mark in layout.carved.marks:
        painted = np.zeros(size, np.uint8)
        _draw(painted, mark.line, mark.width_m, 1, step_m)
        surface[(painted > 0) & (labels > 0) & (labels <= len(layout.fields))] = _NAMES.index(mark.material)
    return surface


def _fixed(xy: NDArray[np.float64], step_m: float) -> NDArray[np.int32]:
    """Return pixel coordinates as OpenCV's fixed-point numbers; OpenCV counts from pixel centres."""
    return np.asarray(np.rint((xy / step_m - 0.5) * 2.0**_FIXED_POINT_BITS), dtype=np.int32)


def _fill(paint: NDArray[np.uint8], polygons: NDArray[Any], value: int, step_m: float) -> None:
    for part in shapely.get_parts(polygons):
        ring = _fixed(shapely.get_coordinates(part.exterior), step_m)
        cv2.fillPoly(paint, [ring], value, shift=_FIXED_POINT_BITS)


def _draw(paint: NDArray[np.uint8], line: Any, width_m: float, value: int, step_m: float) -> None:
    points = _fixed(shapely.get_coordinates(line), step_m)
    cv2.polylines(paint, [points], False, value, thickness=max(1, round(width_m / step_m)), shift=_FIXED_POINT_BITS)


def _plant(paint: NDArray[np.uint8], step_m: float, rng: np.random.Generator) -> None:
    """Put single trees on rough land, lawns and margins, in uneven density."""
    height, width = paint.shape
    count = rng.poisson(min(rng.gamma(1.0, 22.0) * height * width * step_m**2 / 1e4, 5000))
    at = np.column_stack([rng.integers(0, height, count), rng.integers(0, width, count)])
    hosts = [_NAMES.index(n) for n in ("margin", "rough", "lawn")]
    at = at[np.isin(paint[at[:, 0], at[:, 1]], hosts)]
    radii = np.minimum(rng.gamma(4.0, 0.65, len(at)), 0.05 * height * step_m) / step_m
    angles = np.linspace(0, 2 * math.pi, 12, endpoint=False)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    rings = at[:, None, ::-1] + radii[:, None, None] * circle * rng.uniform(0.7, 1.2, (len(at), 12, 1))
    for ring in np.rint(rings * 2**_FIXED_POINT_BITS).astype(np.int32):
        cv2.fillPoly(paint, [ring], _NAMES.index("tree"), shift=_FIXED_POINT_BITS)


def _cover(surface: NDArray[np.int32], surfaces: Surfaces, step_m: float, rng: np.random.Generator) -> texture.Grid:
    """Return the share (0 to 1) of the second colour: patches, swales, machine passes, rows, wheel tracks, edges."""
    size = surface.shape

    def look(column: Column) -> texture.Grid:
        return np.asarray(surfaces.texture[:, column][surface])

    def noise(finest_px: float, slope: float) -> texture.Grid:
        return texture.fractal_noise(size, rng.uniform(60, 250) / step_m + 12, finest_px, slope, rng)

    # Two noises, mixed in another way in each parcel: growth on one side of a border says nothing of the other side.
    clouds = look(Column.MIX_X) * noise(1.5, rng.uniform(0.5, 1.0)) + look(Column.MIX_Y) * noise(1.5, 0.7)
    swales = noise(3.0, 1.0)
    cover = look(Column.PATCHES) * (0.6 + clouds)
    cover += look(Column.SWALES) * np.maximum(1 - np.abs(swales) * np.float32(5), 0) ** 2
    across, along = _working_frame(surface, surfaces, step_m)
    if step_m < 2:
        edge_m = _distance_to_edge(surface) * np.float32(step_m)
        cover += look(Column.EDGE) * np.maximum(1 - edge_m / np.float32(rng.uniform(1.0, 3.0)), 0)
        across = np.where(edge_m < look(Column.HEADLAND_M), edge_m, across)
    cover += look(Column.STREAKS) * texture.streaks(across, along, step_m, rng)
    if step_m < 3:
        cover += look(Column.ROW_DEPTH) * (0.5 * texture.rows(across, look(Column.ROW_M), step_m) + np.float32(0.25))
    if step_m < 1.1:
        cover += look(Column.TRAM) * texture.tramlines(across, look(Column.TRAM_M), step_m)
    return np.clip(cover, 0, 1)


def _working_frame(surface: NDArray[np.int32], surfaces: Surfaces, step_m: float) -> tuple[texture.Grid, texture.Grid]:
    """Return metres across and along the working direction of each pixel's parcel."""
    angles, offset = surfaces.texture[:, Column.ANGLE], surfaces.texture[:, Column.OFFSET_M][surface]
    cosine, sine = np.cos(angles)[surface], np.sin(angles)[surface]
    y, x = (np.arange(s, dtype=np.float32) * np.float32(step_m) for s in surface.shape)
    return cosine * y[:, None] - sine * x + offset, cosine * x + sine * y[:, None] + offset


def _distance_to_edge(surface: NDArray[np.int32]) -> texture.Grid:
    """Return the distance in pixels to the next other surface."""
    same = np.ones(surface.shape, np.uint8)
    same[:, 1:] &= surface[:, 1:] == surface[:, :-1]
    same[1:] &= surface[1:] == surface[:-1]
    return np.asarray(cv2.distanceTransform(same, cv2.DIST_L2, 3))


def _light(
    surface: NDArray[np.int32], surfaces: Surfaces, step_m: float, sun: Sun, relief: float, rng: np.random.Generator
) -> texture.Grid:
    """Return brightness around 1: grain, crowns, and the shadows of woods, hedges and buildings."""
    size = surface.shape
    # Plants and clods: the finer the picture, the rougher the land looks from pixel to pixel.
    rough = np.float32(rng.uniform(1.0, 2.6) if step_m < 1.5 else 1.0)
    grain = rough * texture.fractal_noise(size, max(2.0, 0.6 / step_m), 1.0, 0.1, rng)
    light = 1 + surfaces.texture[:, Column.GRAIN][surface] * grain
    canopy = surfaces.canopy[surface]
    if canopy.any():
        domes = texture.crowns(size, float(rng.uniform(4.5, 9)) / step_m, (-sun.away[0], -sun.away[1]), rng)
        if relief != 1:
            domes = domes.mean() + np.float32(relief) * (domes - domes.mean())
        light = np.where(canopy, light * domes, light)
    for mask, height_m in _tall(surface, surfaces, step_m):
        length_px = height_m * sun.shadow_per_height / step_m
        if length_px > 0.4:
            light *= 1 - np.float32(0.62) * texture.cast_shadow(mask, length_px, sun.away)
    return np.asarray(light, dtype=np.float32)


def _tall(surface: NDArray[np.int32], surfaces: Surfaces, step_m: float) -> list[tuple[NDArray[np.uint8], float]]:
    """Return what throws shadows: (mask 0 or 255, height in metres) of woods, of hedges and trees, of buildings."""
    extent_m = math.sqrt(surface.size) * step_m
    names = np.array([*_NAMES, *[""] * (len(surfaces.canopy) - len(_NAMES))])
    low, roof = np.isin(names, ("hedge", "tree")), np.char.startswith(names, "roof")
    flags = ((surfaces.canopy & ~low, min(14.0, 0.05 * extent_m)), (low, min(5.0, 0.04 * extent_m)),
             (roof, min(6.0, 0.04 * extent_m)))  # fmt: skip
    masks = [((flag * np.uint8(255)).astype(np.uint8)[surface], height_m) for flag, height_m in flags]
    return [(mask, height_m) for mask, height_m in masks if mask.any()]
