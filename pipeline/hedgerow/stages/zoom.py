"""At which resolution does the network look? Shrink by area or grow linearly by a whole factor, and come back."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from hedgerow.errors import ConfigError

_LARGEST = 16


@dataclass(frozen=True, slots=True)
class Zoom:
    """The network sees one pixel for `shrink` x `shrink` stored ones, or `grow` x `grow` pixels for a stored one."""

    shrink: int = 1
    grow: int = 1

    def __post_init__(self) -> None:
        if min(self.shrink, self.grow) != 1 or max(self.shrink, self.grow) > _LARGEST:
            raise ConfigError(f"zoom by 1/{self.shrink} and {self.grow}: give one factor of at most {_LARGEST}")

    def seen_gsd_m(self, gsd_m: float) -> float:
        """Return the ground sampling distance at which the network sees a raster, metres."""
        return gsd_m * self.shrink / self.grow

    def into(self, image: Tensor) -> Tensor:
        """Return (n, bands, height, width) as the network sees it; the frame is repeated to whole blocks."""
        if self.shrink > 1:
            bottom, right = (-image.shape[-2]) % self.shrink, (-image.shape[-1]) % self.shrink
            return F.avg_pool2d(F.pad(image, (0, right, 0, bottom), mode="replicate"), self.shrink)
        if self.grow > 1:
            return F.interpolate(image, scale_factor=float(self.grow), mode="bilinear", align_corners=False)
        return image

    def back(self, maps: Tensor, shape: tuple[int, int]) -> Tensor:
        """Return maps (n, classes, ...) of the network on the stored grid of `shape` (height, width)."""
        if self.shrink > 1:
            maps = F.interpolate(maps, scale_factor=float(self.shrink), mode="bilinear", align_corners=False)
        elif self.grow > 1:
            maps = F.avg_pool2d(maps, self.grow)
        return maps[..., : shape[0], : shape[1]]


def zoom_for(gsd_m: float, wanted_gsd_m: float | None) -> Zoom:
    """Return the whole factor that comes closest to the wanted ground sampling distance.

    Args:
        gsd_m: of the raster, metres.
        wanted_gsd_m: at which the network shall look; None: as stored.

    Raises:
        ConfigError: the factor would be beyond 16.
    """
    if wanted_gsd_m is None:
        return Zoom()
    ratio = wanted_gsd_m / gsd_m
    factor = round(ratio) if ratio >= 1 else round(1 / ratio)
    if factor > _LARGEST:
        raise ConfigError(
            f"gsd_m {wanted_gsd_m} is {factor} times that of the raster ({gsd_m:.3g} m): at most {_LARGEST} is possible"
        )
    return Zoom(shrink=max(1, factor)) if ratio >= 1 else Zoom(grow=max(1, factor))
