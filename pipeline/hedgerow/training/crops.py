"""What does one training sample look like? A crop at some zoom, turned, lit, blurred and noised at random."""

import cv2
import numpy as np
from affine import Affine
from numpy.typing import NDArray

from hedgerow.training.scenes import ANY, LabelledScene


def draw_crop(
    scene: LabelledScene, crop_px: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return a random (bands, crop, crop) image in [0, 1] and its (crop, crop) sets of possible classes."""
    low, high = np.log(scene.zoom)
    image, allowed = crop_at(scene, crop_px, float(np.exp(rng.uniform(low, high))), rng)
    image, allowed = _turned(image, allowed, rng)
    return _weathered(image, rng), allowed


def crop_at(
    scene: LabelledScene, crop_px: int, zoom: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Cut a window at a random place and resample it to `crop_px`; beyond what the scene knows, any class may be."""
    side = round(crop_px / zoom)
    rows, cols = scene.valid.shape
    y0 = int(rng.integers(min(0, rows - side), max(0, rows - side) + 1))
    x0 = int(rng.integers(min(0, cols - side), max(0, cols - side) + 1))
    inside = (slice(max(y0, 0), min(y0 + side, rows)), slice(max(x0, 0), min(x0 + side, cols)))
    top, left = max(-y0, 0), max(-x0, 0)
    bottom, right = side - top - (inside[0].stop - inside[0].start), side - left - (inside[1].stop - inside[1].start)
    image = np.pad(scene.image[:, *inside], ((0, 0), (top, bottom), (left, right)), mode="reflect")
    known = np.pad(scene.known[inside], ((top, bottom), (left, right)))
    transform = scene.transform @ Affine.translation(x0, y0) @ Affine.scale(side / crop_px)
    allowed = scene.targets(transform, (crop_px, crop_px))
    allowed[resized(known.astype(np.float32)[None], crop_px)[0] < 0.5] = ANY
    return resized(image, crop_px), allowed


def resized(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Resample (bands, height, width) to a square: by area when it shrinks, linearly when it grows."""
    if image.shape[1:] == (side, side):
        return np.ascontiguousarray(image)
    method = cv2.INTER_AREA if image.shape[1] > side else cv2.INTER_LINEAR
    return np.stack([cv2.resize(np.ascontiguousarray(band), (side, side), interpolation=method) for band in image])


def _turned(
    image: NDArray[np.float32], allowed: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    image, allowed = np.rot90(image, turns, axes=(1, 2)), np.rot90(allowed, turns)
    return (image[..., ::-1], allowed[:, ::-1]) if flip else (image, allowed)


def _weathered(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Change light, colour balance, haze, sharpness and noise as other sensors and days would."""
    gain = rng.normal(1, 0.12) * rng.normal(1, 0.06, (len(image), 1, 1))
    offset = rng.normal(0, 0.05) + rng.normal(0, 0.03, (len(image), 1, 1))
    seen = np.clip(image * gain + offset, 0, 1) ** np.exp(rng.normal(0, 0.2))
    if rng.random() < 0.15:
        seen = seen + (seen.mean(axis=0) - seen) * rng.uniform(0.2, 1.0)
    if rng.random() < 0.3:
        sigma = rng.uniform(0.3, 1.2)
        seen = np.stack([cv2.GaussianBlur(np.ascontiguousarray(band), (0, 0), sigma) for band in seen])
    if rng.random() < 0.4:
        seen = seen + rng.normal(0, rng.uniform(0.005, 0.03), seen.shape)
    return np.asarray(np.clip(seen, 0, 1), np.float32)
