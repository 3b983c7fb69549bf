"""What does the land reflect? From parcels and strokes to reflectance (bands, height, width), before any sensor.

The land is drawn on a grid finer than the pixels and averaged, so that a border that cuts a pixel mixes both sides.
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
from hedgerow.sources._synthetic_surfaces import MATERIALS, Surfaces

_NAMES = tuple(MATERIALS)
_FIXED_POINT_BITS = 4


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
    pairs = zip(scaled, range(1, len(scaled) + 1), strict=True)
    return np.asarray(rasterize(pairs, out_shape=shape, dtype="int32"))


def reflectance(
    layout: Layout, surfaces: Surfaces, shape: tuple[int, int], gsd_m: float, bands: tuple[int, ...], sun: Sun,
    rng: np.random.Generator,
) -> NDArray[np.float32]:  # fmt: skip
    """Return reflectance (height, width, bands) of a scene; `bands` are columns of blue, green, red, near infrared."""
    fine = 4 if gsd_m >= 3 else 2
    step_m, size = gsd_m / fine, (shape[0] * fine, shape[1] * fine)
    parcels = np.concatenate([layout.fields, layout.forests])
    surface = _surface_raster(layout, parcels, size, step_m, rng)
    cover = _cover(surface, surfaces, step_m, rng)
    light = _light(surface, surfaces, layout, step_m, sun, rng)
    planes = []
    for band in bands:
        main, thin = surfaces.main[:, band], surfaces.thin[:, band]
        plane = main[surface] + (thin - main)[surface] * cover
        planes.append(cv2.resize(plane * light, shape[::-1], interpolation=cv2.INTER_AREA))
    return np.stack(planes, axis=-1)


def _surface_raster(
    layout: Layout, parcels: NDArray[Any], size: tuple[int, int], step_m: float, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Return the row of each pixel in the table of surfaces: materials painted over, parcels exactly as they are."""
    labels = label_raster(parcels, size, step_m)
    paint = np.full(size, _NAMES.index("margin"), np.uint8)
    _fill(paint, layout.waste, _NAMES.index("rough"), step_m)
    order = {"margin": 0, "bund": 1, "hedge": 2, "track": 3, "road": 4, "water": 5}
    for stroke in sorted(layout.carved.strokes, key=lambda s: order[s.material]):
        _draw(paint, stroke.line, stroke.width_m, _NAMES.index(stroke.material), step_m)
    for area in layout.carved.areas:
        _fill(paint, np.array([area.polygon], dtype=object), _NAMES.index(area.material), step_m)
    _plant(paint, step_m, rng)
    return np.where(labels > 0, labels + np.int32(len(_NAMES) - 1), paint.astype(np.int32))


def _fixed(xy: NDArray[np.float64], step_m: float) -> NDArray[np.int32]:
    """Return pixel coordinates as OpenCV's fixed-point numbers; OpenCV counts from pixel centres."""
    return np.rint((xy / step_m - 0.5) * 2**_FIXED_POINT_BITS).astype(np.int32)


def _fill(paint: NDArray[np.uint8], polygons: NDArray[Any], value: int, step_m: float) -> None:
    rings = [_fixed(shapely.get_coordinates(p.exterior), step_m) for p in shapely.get_parts(polygons)]
    for ring in rings:
        cv2.fillPoly(paint, [ring], value, shift=_FIXED_POINT_BITS)


def _draw(paint: NDArray[np.uint8], line: Any, width_m: float, value: int, step_m: float) -> None:
    width_px = max(1, round(width_m / step_m))
    points = _fixed(shapely.get_coordinates(line), step_m)
    cv2.polylines(paint, [points], False, value, thickness=width_px, shift=_FIXED_POINT_BITS)


def _plant(paint: NDArray[np.uint8], step_m: float, rng: np.random.Generator) -> None:
    """Put single trees on rough land, lawns and margins: a few per hectare, in clumps."""
    height, width = paint.shape
    count = rng.poisson(min(rng.gamma(1.0, 6.0) * height * width * step_m**2 / 1e4, 4000))
    at = np.column_stack([rng.integers(0, height, count), rng.integers(0, width, count)])
    hosts = [_NAMES.index(n) for n in ("margin", "rough", "lawn")]
    for y, x in at[np.isin(paint[at[:, 0], at[:, 1]], hosts)]:
        radius = rng.uniform(1.2, 5.0) / step_m
        if radius < 0.12 * height:
            cv2.circle(paint, (int(x), int(y)), max(1, round(radius)), _NAMES.index("tree"), -1)


def _cover(surface: NDArray[np.int32], surfaces: Surfaces, step_m: float, rng: np.random.Generator) -> texture.Grid:
    """Return the share (0 to 1) of the second colour: patches, machine passes, rows, wheel tracks."""
    size = surface.shape
    look = surfaces.texture
    metres = np.array([9.0, 35.0, 120.0]) * rng.uniform(0.6, 1.6)
    clouds = texture.cloudy_noise(size, tuple(metres / step_m), rng)
    cover = look[:, 0][surface] * (0.6 + clouds)
    across, along = texture.turned(size, np.cos(look[:, 7])[surface], np.sin(look[:, 7])[surface], step_m)
    cover += look[:, 1][surface] * texture.streaks(across, along, step_m, rng)
    if step_m < 4:
        cover += look[:, 4][surface] * (0.5 * texture.rows(across, look[:, 3][surface], step_m) + 0.25)
    if step_m < 1.1:
        wheels = texture.tramlines(across, look[:, 6][surface], step_m)
        cover += look[:, 5][surface] * wheels
    return np.clip(cover, 0, 1)


def _light(
    surface: NDArray[np.int32], surfaces: Surfaces, layout: Layout, step_m: float, sun: Sun, rng: np.random.Generator
) -> texture.Grid:
    """Return brightness around 1: grain, crowns, and the shadows of woods, hedges and buildings."""
    size = surface.shape
    light = 1 + surfaces.texture[:, 2][surface] * rng.standard_normal(size, dtype=np.float32)
    light *= 1 + np.float32(0.05) * texture.smooth_noise(size, 250 / step_m, rng)
    canopy = surfaces.canopy[surface]
    if canopy.any():
        toward = (-sun.away[0], -sun.away[1])
        domes = texture.crowns(size, float(rng.uniform(5, 10)) / step_m, toward, rng)
        light = np.where(canopy, light * domes, light)
    for mask, height_m in _tall(surface, surfaces, layout, step_m):
        length_px = height_m * sun.shadow_per_height / step_m
        if length_px > 0.4:
            light *= 1 - np.float32(0.62) * texture.cast_shadow(mask, length_px, sun.away)
    return light


def _tall(
    surface: NDArray[np.int32], surfaces: Surfaces, layout: Layout, step_m: float
) -> list[tuple[NDArray[np.uint8], float]]:
    """Return what throws shadows: (mask 0 or 255, height in metres) of woods, of hedges and trees, of buildings."""
    low = np.isin(np.arange(len(surfaces.canopy)), [_NAMES.index("hedge"), _NAMES.index("tree")])
    wood = surfaces.canopy & ~low
    roof = np.array([n.startswith("roof") for n in _NAMES] + [False] * (len(low) - len(_NAMES)))
    extent_m = math.sqrt(surface.size) * step_m
    masks = [(flag[surface].astype(np.uint8) * np.uint8(255), height) for flag, height in
             ((wood, min(14.0, 0.05 * extent_m)), (low, min(5.0, 0.04 * extent_m)), (roof, min(6.0, 0.04 * extent_m)))]  # fmt: skip
    return [(mask, height) for mask, height in masks if mask.any()]
