"""What is the grain of the land? Noise, streaks, rows and crowns on a metric scale, vectorised over a whole scene."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float32]
"""(height, width) float32."""


def smooth_noise(shape: tuple[int, int], scale_px: float, rng: np.random.Generator) -> Grid:
    """Return normal noise (mean 0, deviation about 1) whose blobs are about `scale_px` wide."""
    scale_px = max(scale_px, 1.0)
    rows, cols = (int(s / scale_px) + 4 for s in shape)
    coarse = rng.standard_normal((rows, cols), dtype=np.float32)
    # Bicubic interpolation takes about a quarter of the deviation away.
    a = np.float32([[1 / scale_px, 0, 1 + rng.random()], [0, 1 / scale_px, 1 + rng.random()]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(1.3 * cv2.warpAffine(coarse, a, shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT))


def cloudy_noise(shape: tuple[int, int], scales_px: tuple[float, ...], rng: np.random.Generator) -> Grid:
    """Return the mean of noises at several scales, with deviation about 1."""
    layers = [smooth_noise(shape, s, rng) for s in scales_px]
    return np.asarray(sum(layers) / math.sqrt(len(layers)), dtype=np.float32)


def turned(shape: tuple[int, int], cosine: Grid, sine: Grid, step_m: float) -> tuple[Grid, Grid]:
    """Return metres across and along the working direction of each pixel's parcel."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    x, y = (x * step_m).astype(np.float32), (y * step_m).astype(np.float32)
    return cosine * y - sine * x, cosine * x + sine * y


def streaks(across: Grid, along: Grid, step_m: float, rng: np.random.Generator) -> Grid:
    """Return noise stretched along the working direction: passes of machines some metres wide, some hundred long."""
    width_m = max(1.2 * step_m, float(rng.uniform(0.8, 3.0)))
    tile = rng.standard_normal((512, 128), dtype=np.float32)
    tile = cv2.GaussianBlur(tile, (0, 0), 0.8, borderType=cv2.BORDER_WRAP if False else cv2.BORDER_REFLECT)
    coarse = cv2.resize(rng.standard_normal((64, 32), dtype=np.float32), (128, 512), interpolation=cv2.INTER_CUBIC)
    tile = np.asarray(tile / tile.std() + 0.8 * coarse, dtype=np.float32)
    u = np.mod(along / np.float32(30 * width_m), 127).astype(np.float32)
    v = np.mod(across / np.float32(width_m), 511).astype(np.float32)
    return np.asarray(cv2.remap(tile, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)) * np.float32(0.8)


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
    small = tuple(-(-s // reduce) for s in shape)
    pitch = spacing_px / reduce
    gy, gx = np.meshgrid(*(np.arange(0, s + pitch, pitch) for s in small), indexing="ij")
    at = np.stack([gy, gx], -1).reshape(-1, 2) + rng.uniform(-0.75, 0.75, (gy.size, 2)) * pitch
    at = at[rng.random(len(at)) < 0.85].astype(np.intp)
    at = at[((at >= 0) & (at < small)).all(axis=1)]
    ground = np.ones(small, np.uint8)
    ground[at[:, 0], at[:, 1]] = 0
    far, nearest = cv2.distanceTransformWithLabels(ground, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    dome = np.sqrt(np.maximum(1 - (far / (0.85 * pitch)) ** 2, 0)).astype(np.float32)
    slope_x, slope_y = (cv2.Sobel(dome, cv2.CV_32F, dx, 1 - dx, ksize=3) for dx in (1, 0))
    own = rng.normal(1, 0.16, int(nearest.max()) + 1).astype(np.float32)[nearest]
    lit = own * (0.50 + 0.60 * dome) + 0.07 * pitch * np.clip(slope_x * light[0] + slope_y * light[1], -1, 1)
    lit = cv2.resize(lit.astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.maximum(lit, 0.15), dtype=np.float32)


def cast_shadow(tall: NDArray[np.uint8], length_px: float, away: tuple[float, float]) -> Grid:
    """Return the shade (0 to 1) that a mask throws `length_px` far in the direction `away` (x, y), itself excluded."""
    reduce = max(1, math.ceil(length_px / 10))
    small = cv2.resize(tall, None, fx=1 / reduce, fy=1 / reduce, interpolation=cv2.INTER_AREA) if reduce > 1 else tall
    shade = small.copy()
    reach, step = length_px / reduce, 1.0
    while step < reach + 1:
        far = min(step, reach)
        move = np.float32([[1, 0, far * away[0]], [0, 1, far * away[1]]])
        shade = np.maximum(shade, cv2.warpAffine(small, move, small.shape[::-1], flags=cv2.INTER_LINEAR))
        step += 1.0
    full = cv2.resize(shade, tall.shape[::-1], interpolation=cv2.INTER_LINEAR) if reduce > 1 else shade
    return np.asarray(np.where(tall > 0, 0, full), dtype=np.float32) / np.float32(255)
