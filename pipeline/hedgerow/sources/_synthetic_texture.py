"""What is the grain of the land? Noise, streaks, rows and crowns on a metric scale, vectorised over a whole scene."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float32]
"""(height, width) float32."""


def fractal_noise(
    shape: tuple[int, int], largest_px: float, smallest_px: float, slope: float, rng: np.random.Generator
) -> Grid:
    """Return noise (mean about 0, deviation about 1) with blobs from `largest_px` down to `smallest_px`.

    Each octave is 2 ** -`slope` as strong as the one before it.
    """
    cell, weight, power = max(largest_px, smallest_px, 1.0), 1.0, 1.0
    noise = rng.standard_normal(_cells(shape, cell), dtype=np.float32)
    while cell / 2 >= max(smallest_px, 1.0):
        cell, weight = cell / 2, weight * 2**-slope
        rows, cols = _cells(shape, cell)
        noise = np.asarray(cv2.resize(noise, (cols, rows), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
        noise += np.float32(weight) * rng.standard_normal((rows, cols), dtype=np.float32)
        power += weight**2
    # The first bicubic doubling of an octave keeps about 0.7 of its variance, later ones all of it.
    power -= 0.3 * (power - weight**2)
    full = noise if cell == 1.0 else cv2.resize(noise, (_grown(shape, cell, 1), _grown(shape, cell, 0)))
    return np.asarray(full[: shape[0], : shape[1]] / np.float32(math.sqrt(power)))


def _cells(shape: tuple[int, int], cell: float) -> tuple[int, int]:
    return math.ceil(shape[0] / cell) + 3, math.ceil(shape[1] / cell) + 3


def _grown(shape: tuple[int, int], cell: float, axis: int) -> int:
    return math.ceil(_cells(shape, cell)[axis] * cell)


def streaks(across: Grid, along: Grid, step_m: float, rng: np.random.Generator) -> Grid:
    """Return noise stretched along the working direction: passes of machines some metres wide, some hundred long."""
    width_m = max(1.2 * step_m, float(rng.uniform(0.8, 3.0)))
    fine = cv2.GaussianBlur(rng.standard_normal((512, 128), dtype=np.float32), (0, 0), 0.7)
    coarse = cv2.resize(rng.standard_normal((64, 32), dtype=np.float32), (128, 512), interpolation=cv2.INTER_CUBIC)
    tile = (fine / fine.std() + 0.8 * coarse) * np.float32(0.8)
    u = np.mod(along * np.float32(1 / (30 * width_m)), np.float32(127))
    v = np.mod(across * np.float32(1 / width_m), np.float32(511))
    return np.asarray(cv2.remap(tile, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def rows(across: Grid, spacing_m: Grid, step_m: float) -> Grid:
    """Return the pattern of crop rows, -1 (on the row) to 1 (between), faded where pixels cannot resolve it."""
    frequency = np.divide(1, spacing_m, out=np.zeros_like(spacing_m), where=spacing_m > 0)
    contrast = np.exp(-2 * (math.pi * 0.42 * step_m * frequency) ** 2) * (frequency > 0) * (frequency * step_m < 0.45)
    return np.asarray(contrast * np.cos(2 * math.pi * across * frequency), dtype=np.float32)


def tramlines(across: Grid, spacing_m: Grid, step_m: float) -> Grid:
    """Return which share of a pixel is wheel track: two tracks 0.45 m wide, 1.8 m apart, every `spacing_m`."""
    pair = np.abs(np.abs(np.mod(across, spacing_m) - spacing_m / 2) - 0.9)
    share = (0.225 + step_m / 2 - pair) / step_m
    return np.asarray(np.clip(share, 0, min(1.0, 0.45 / step_m)), dtype=np.float32)


def crowns(shape: tuple[int, int], spacing_px: float, light: tuple[float, float], rng: np.random.Generator) -> Grid:
    """Return the brightness of a canopy seen from above: domes of many sizes, lit from `light` (x, y), dark between."""
    if spacing_px < 2.0:
        return np.asarray(1 + 0.18 * rng.standard_normal(shape, dtype=np.float32), dtype=np.float32)
    reduce = max(1, int(spacing_px / 14))
    small = (-(-shape[0] // reduce), -(-shape[1] // reduce))
    pitch = spacing_px / reduce
    ground = _stems(small, pitch, rng)
    far, nearest = cv2.distanceTransformWithLabels(ground, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    count = int(nearest.max()) + 1
    own, reach = rng.normal(1, 0.16, count).astype(np.float32), rng.uniform(0.55, 1.25, count).astype(np.float32)
    wobble = 1 + 0.22 * fractal_noise(small, 0.5 * pitch, 1.0, 0.3, rng)
    dome = np.sqrt(np.maximum(1 - (far * wobble / (0.85 * pitch * reach[nearest])) ** 2, 0))
    slope_x, slope_y = (cv2.Sobel(dome, cv2.CV_32F, dx, 1 - dx, ksize=3) for dx in (1, 0))
    lit = own[nearest] * (0.42 + 0.62 * dome) + 0.06 * pitch * np.clip(slope_x * light[0] + slope_y * light[1], -1, 1)
    if reduce > 1:
        lit = cv2.resize(lit, shape[::-1], interpolation=cv2.INTER_LINEAR)
        lit = lit * (1 + 0.16 * fractal_noise(shape, 0.16 * spacing_px, 1.0, 0.2, rng))
    return np.asarray(np.maximum(lit, 0.15), dtype=np.float32)


def _stems(shape: tuple[int, int], pitch_px: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return 0 where a tree stands (a jittered grid with gaps), 1 elsewhere."""
    gy, gx = np.meshgrid(*(np.arange(0, s + pitch_px, pitch_px) for s in shape), indexing="ij")
    at = np.stack([gy, gx], -1).reshape(-1, 2) + rng.uniform(-0.75, 0.75, (gy.size, 2)) * pitch_px
    at = at[rng.random(len(at)) < 0.85].astype(np.intp)
    at = at[((at >= 0) & (at < shape)).all(axis=1)]
    ground = np.ones(shape, np.uint8)
    ground[at[:, 0], at[:, 1]] = 0
    ground[0, 0] = 0
    return ground


def cast_shadow(tall: NDArray[np.uint8], length_px: float, away: tuple[float, float]) -> Grid:
    """Return the shade (0 to 1) that a mask throws `length_px` far in the direction `away` (x, y), itself excluded."""
    reduce = max(1, math.ceil(length_px / 10))
    small = cv2.resize(tall, None, fx=1 / reduce, fy=1 / reduce, interpolation=cv2.INTER_AREA) if reduce > 1 else tall
    shade, reach = small.copy(), length_px / reduce
    for step in range(1, math.ceil(reach) + 1):
        far = min(float(step), reach)
        move = np.array([[1, 0, far * away[0]], [0, 1, far * away[1]]], dtype=np.float32)
        shade = np.maximum(shade, cv2.warpAffine(small, move, small.shape[::-1], flags=cv2.INTER_LINEAR))
    full = cv2.resize(shade, tall.shape[::-1], interpolation=cv2.INTER_LINEAR) if reduce > 1 else shade
    return np.asarray(np.where(tall > 0, 0, full), dtype=np.float32) / np.float32(255)
