"""How may the same field look on another day, from another sensor? Turns, light, haze, blur and noise by chance."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hedgerow.training.plan import Augment

Image = NDArray[np.float32]


def turned(image: Image, allowed: NDArray[np.uint8], rng: np.random.Generator) -> tuple[Image, NDArray[np.uint8]]:
    """Apply one of the eight symmetries of the square to an image (bands, side, side) and its sets (side, side)."""
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    image, allowed = np.rot90(image, turns, axes=(1, 2)), np.rot90(allowed, turns)
    return (image[..., ::-1], allowed[:, ::-1]) if flip else (image, allowed)


def weathered(image: Image, rng: np.random.Generator, augment: Augment) -> Image:
    """Change light, colour balance, haze, sharpness and noise of (bands, height, width); the result is in [0, 1]."""
    seen = _lit(image, rng, augment.light)
    if rng.random() < augment.grey:
        seen = seen + (seen.mean(axis=0) - seen) * np.float32(rng.uniform(0.2, 1.0))
    if rng.random() < augment.haze:
        seen = _hazy(seen, rng)
    if rng.random() < augment.blur:
        seen = _blurred(seen, rng.uniform(0.3, 1.2))
    if rng.random() < augment.noise:
        seen = seen + rng.standard_normal(seen.shape, np.float32) * np.float32(rng.uniform(0.005, 0.03))
    return np.asarray(np.clip(seen, 0, 1), np.float32)


def noise_patch(image: Image, rng: np.random.Generator, largest_std: float) -> Image:
    """Add Gaussian noise to one square window: side uniform in 1..min(height, width), std uniform in 0..largest_std.

    Source: noise patching of FastDINOv2 (arXiv 2507.03779); clamped to [0, 1], the range of scaled imagery.
    """
    height, width = image.shape[1:]
    side = int(rng.integers(1, min(height, width) + 1))
    y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    noise = rng.standard_normal((len(image), side, side), np.float32) * np.float32(rng.uniform(0, largest_std))
    out = image.copy()
    window = out[:, y : y + side, x : x + side]
    np.clip(window + noise, 0, 1, out=window)
    return out


def _lit(image: Image, rng: np.random.Generator, strength: float) -> Image:
    gain = np.exp(strength * (rng.normal(0, 0.12) + rng.normal(0, 0.06, (len(image), 1, 1))))
    offset = strength * (rng.normal(0, 0.05) + rng.normal(0, 0.03, (len(image), 1, 1)))
    gamma = np.exp(strength * rng.normal(0, 0.2))
    lit = np.clip(image * gain.astype(np.float32) + offset.astype(np.float32), 0, 1)
    return np.asarray(lit ** np.float32(gamma), np.float32)


def _hazy(image: Image, rng: np.random.Generator) -> Image:
    """Blend towards a bright veil: image x (1 - t) + veil x t, t a ramp along the width, at most 0.5 (turned later)."""
    low, high = rng.uniform(0, 0.2), rng.uniform(0.1, 0.5)
    veil = np.linspace(low, high, image.shape[2], dtype=np.float32)
    bright = rng.uniform(0.6, 0.95)
    return np.asarray(image * (1 - veil) + np.float32(bright) * veil, np.float32)


def _blurred(image: Image, sigma_px: float) -> Image:
    return np.stack([cv2.GaussianBlur(np.ascontiguousarray(band), (0, 0), sigma_px) for band in image])
