"""What does one training sample look like? A window at some zoom, resampled, weathered and turned at random."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from affine import Affine
from numpy.typing import NDArray

from hedgerow.geo.windows import Window
from hedgerow.training.augment import noise_patch, turned, weathered
from hedgerow.training.plan import Augment
from hedgerow.training.scenes import ANY, LabelledScene

_AS_SET = Augment()


@dataclass(frozen=True, slots=True)
class Cut:
    """How crops are made in one phase of a training."""

    crop_px: int
    """Side of the window in network pixels."""
    shrink: int = 1
    """How many times smaller the sample is than the window."""
    border_share: float = 0.0
    noise_std: float = 0.0
    """Largest noise of the patch; 0: no patch."""
    augment: Augment = _AS_SET

    @property
    def out_px(self) -> int:
        """Side of the sample."""
        return self.crop_px // self.shrink


@dataclass(frozen=True, slots=True)
class Crop:
    """`image` (bands, side, side) in [0, 1], `allowed` (side, side) sets of possible classes, and where it was cut."""

    image: NDArray[np.float32]
    allowed: NDArray[np.uint8]
    place: str


def draw_crop(scene: LabelledScene, cut: Cut, rng: np.random.Generator) -> Crop:
    """Return a random crop of a scene at a random zoom of its range."""
    low, high = np.log(scene.zoom)
    side = round(cut.crop_px / float(np.exp(rng.uniform(low, high))))
    points = scene.border_points(side / cut.out_px) if rng.random() < cut.border_share else None
    window = _somewhere(scene.valid.shape, side, points, rng)
    image, allowed = crop_at(scene, window, cut.crop_px, shrink=cut.shrink)
    image, allowed = turned(weathered(image, rng, cut.augment), allowed, rng)
    if cut.noise_std > 0:
        image = noise_patch(image, rng, cut.noise_std)
    return Crop(np.ascontiguousarray(image), np.ascontiguousarray(allowed), f"{scene.name} {_told(window)}")


def crop_at(
    scene: LabelledScene, window: Window, crop_px: int, *, shrink: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Resample a square window to `crop_px`, then bicubically to `crop_px` / `shrink`; burn the sets onto that grid.

    Beyond the scene its pixels are mirrored, and there, as where it knows nothing, any class may be.
    """
    rows, cols = scene.valid.shape
    y0, x0, side = window.y0, window.x0, window.y1 - window.y0
    inside = (slice(max(y0, 0), min(y0 + side, rows)), slice(max(x0, 0), min(x0 + side, cols)))
    top, left = max(-y0, 0), max(-x0, 0)
    bottom, right = side - top - (inside[0].stop - inside[0].start), side - left - (inside[1].stop - inside[1].start)
    image = np.pad(scene.image[:, *inside], ((0, 0), (top, bottom), (left, right)), mode="reflect")
    out_px = crop_px // shrink
    scale = side / out_px
    known = np.pad(scene.known(scale, inside), ((top, bottom), (left, right)))
    allowed = scene.targets(scene.transform @ Affine.translation(x0, y0) @ Affine.scale(scale), (out_px, out_px))
    allowed[resized(known.astype(np.float32)[None], out_px)[0] < 0.5] = ANY
    return shrunk(resized(image, crop_px), shrink), allowed


def resized(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Resample (bands, height, width) to a square: by area when it shrinks, linearly when it grows."""
    if image.shape[1:] == (side, side):
        return np.ascontiguousarray(image)
    method = cv2.INTER_AREA if image.shape[1] > side else cv2.INTER_LINEAR
    return np.stack([cv2.resize(np.ascontiguousarray(band), (side, side), interpolation=method) for band in image])


def shrunk(image: NDArray[np.float32], times: int) -> NDArray[np.float32]:
    """Return (bands, height / times, width / times), bicubic with antialiasing, within [0, 1]."""
    if times == 1:
        return image
    size = image.shape[1] // times, image.shape[2] // times  # the whole image, where it is no multiple, too
    small = F.interpolate(torch.from_numpy(image)[None], size=size, mode="bicubic", antialias=True)
    return np.asarray(small[0].clamp(0, 1).numpy())


def _somewhere(shape: tuple[int, ...], side: int, points: NDArray[np.int32] | None, rng: np.random.Generator) -> Window:
    """Return a square window that leaves the scene only where it is larger than the scene.

    Each is as likely as another; with points, one of them is drawn first, and each that shows it is.
    """
    spans = [(min(0, size - side), max(0, size - side)) for size in shape]
    if points is not None and len(points):
        point = points[int(rng.integers(len(points)))].tolist()
        spans = [(max(low, p - side + 1), min(high, p)) for p, (low, high) in zip(point, spans, strict=True)]
    y0, x0 = (int(rng.integers(low, high + 1)) for low, high in spans)
    return Window(y0, x0, y0 + side, x0 + side)


def _told(window: Window) -> str:
    return f"rows {window.y0}..{window.y1}, columns {window.x0}..{window.x1}"
