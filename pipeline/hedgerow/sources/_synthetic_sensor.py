"""What does a camera make of reflectance? Haze, blur, vignetting, noise, and the numbers that are stored."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from hedgerow.sources._synthetic_texture import fractal_noise

_HAZE = np.array([0.075, 0.052, 0.036, 0.012], dtype=np.float32)
"""Path reflectance (blue, green, red, near infrared) of a hazy top-of-atmosphere picture."""


def blurred(land: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Return the land through the sensor's point spread function (Gaussian)."""
    return np.asarray(cv2.GaussianBlur(land, (0, 0), sigma_px), dtype=np.float32).reshape(land.shape)


def satellite(land: NDArray[np.float32], haze: float, noise: float, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Return reflectance x 10000 (bands blue, green, red, nir last) as a satellite product stores it."""
    sky = (
        haze
        * _HAZE[: land.shape[-1]]
        * (1 + 0.1 * fractal_noise((land.shape[0], land.shape[1]), 250, 60, 0.7, rng)[..., None])
    )
    seen = land * (1 - 1.2 * sky) + sky
    seen = seen + noise * 0.0025 * rng.standard_normal(land.shape, dtype=np.float32)
    return np.asarray(np.rint(np.clip(seen * 10_000, 1, 65_535)), dtype=np.uint16)


def camera(
    land: NDArray[np.float32], haze: float, noise: float, contrast: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return red, green, blue bytes of land given as blue, green, red, by an exposure as flown surveys use it."""
    height, width = land.shape[:2]
    sky = 0.18 * haze * _HAZE[:3]
    seen = land * (1 - sky) + sky
    gamma, gain = rng.uniform(0.50, 0.68) * contrast, 1.68 * np.exp(rng.normal(0, 0.17))
    balance = np.exp(rng.normal((-0.02, 0.03, 0), (0.07, 0.05, 0.07))).astype(np.float32)
    tone = gain * balance * np.power(np.maximum(seen, 1e-4), gamma) * 0.2 ** (0.6 - gamma)
    tone *= (0.44 / tone.mean()) ** 0.5  # half of what an automatic exposure would correct
    grey = tone.mean(axis=-1, keepdims=True)
    tone = grey + (tone - grey) * rng.uniform(0.85, 1.35)
    # Survey pictures are delivered sharpened: NAIP's detail finer than 2 pixels is twice that of a plain lens.
    tone += rng.uniform(0.3, 1.8) * contrast**2 * (tone - cv2.GaussianBlur(tone, (0, 0), 1.0))
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    slope = rng.normal(0, 0.03, 2)
    tone *= (1 + slope[0] * x + slope[1] * y - rng.uniform(0, 0.04) * (x**2 + y**2)).astype(np.float32)[..., None]
    tone += noise * 0.010 * rng.standard_normal(tone.shape, dtype=np.float32)
    return np.asarray(np.rint(np.clip(tone[..., ::-1] * 255, 0, 255)), dtype=np.uint8)
