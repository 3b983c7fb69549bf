"""How are many rasters read as one? On one grid, by windows; where several cover a pixel the first valid one counts.

First come finer rasters (to a tenth of the finest pixel), then those that are read as they are stored before those that
are resampled, then by name: so the pixels do not depend on the order in which the files were found. What no raster
covers is invalid, and costs nothing to read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox
from pydantic import BaseModel

from hedgerow.errors import SourceError
from hedgerow.geo.metres import ground_sampling_distance_m
from hedgerow.geo.windows import Window
from hedgerow.records import Patch
from hedgerow.sources import geotiff
from hedgerow.sources._mosaic_grid import common_grid
from hedgerow.sources._placed import Placed, Stored, placed


class Config(BaseModel, frozen=True, extra="forbid"):
    """Rasters that become one image."""

    members: tuple[geotiff.Config, ...]
    name: str = "mosaic"
    crs: str | None = None
    """CRS of the grid; None: the one that most members have."""


@dataclass(frozen=True)
class MosaicSource:
    """Imagery in many files on one grid. Holds only paths and numbers: it pickles, and opens files when it reads."""

    name: str
    geobox: GeoBox
    bands: tuple[str, ...]
    dtype: str
    parts: tuple[Placed, ...]
    """The members, in the order in which they are asked for a pixel."""

    @property
    def members(self) -> tuple[geotiff.RasterSource, ...]:
        """The rasters on their own grids, in the order in which they are asked for a pixel."""
        return tuple(part.source for part in self.parts)

    @property
    def extents(self) -> tuple[Window, ...]:
        """Where each member may hold valid pixels."""
        return tuple(part.window for part in self.parts)

    @property
    def methods(self) -> tuple[str, ...]:
        """How each member is read."""
        return tuple(part.how for part in self.parts)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files behind the image, each once."""
        return tuple(dict.fromkeys(path for member in self.members for path in member.paths))

    def read(self, window: Window) -> Patch:
        """Return the values of a window inside the grid, as stored (unscaled); invalid pixels are 0.

        Raises:
            SourceError: a file cannot be read there.
        """
        data = np.zeros((len(self.bands), *window.shape), self.dtype)
        valid = np.zeros(window.shape, np.bool_)
        for part in self.parts:
            shared = window.common(part.window)
            if shared is None or valid[here := shared.inside(window).slices].all():
                continue
            patch = part.read(shared)
            new = patch.valid & ~valid[here]
            np.copyto(data[:, *here], patch.data, where=new)
            valid[here] |= new
        return Patch(data, valid)


def build(config: Config) -> MosaicSource:
    """Open the headers of all members, settle the grid and the order, and close the files again.

    Raises:
        ConfigError: the CRS that was asked for does not exist.
        SourceError: a member cannot be used, or the members do not go together (see `common_grid`).
    """
    if not config.members:
        raise SourceError(f"mosaic {config.name}: has no member: name at least one raster")
    members = sorted((geotiff.build(member) for member in config.members), key=lambda one: (one.name, one.paths))
    _refuse_mixed(members)
    grid = common_grid(members, config.crs)
    return MosaicSource(config.name, grid, members[0].bands, members[0].dtype, _ordered(members, grid))


def _ordered(members: Sequence[geotiff.RasterSource], grid: GeoBox) -> tuple[Placed, ...]:
    sizes_m = [ground_sampling_distance_m(member.geobox) for member in members]
    finest = min(sizes_m)
    ranks = [
        (round(size / finest, 1), not isinstance(part, Stored), number, part)
        for number, (size, part) in enumerate(zip(sizes_m, (placed(one, grid) for one in members), strict=True))
    ]
    return tuple(part for *_, part in sorted(ranks, key=lambda rank: rank[:3]))


def _refuse_mixed(members: Sequence[geotiff.RasterSource]) -> None:
    """One scaling must hold for all: values of different types are no values of one sensor."""
    first = members[0]
    for other in members:
        if other.bands != first.bands:
            raise SourceError(
                f"{other.name}: has bands {', '.join(other.bands)}, but {first.name} has {', '.join(first.bands)}: "
                "a mosaic needs the same bands of all"
            )
        if other.dtype != first.dtype:
            raise SourceError(
                f"{other.name}: holds {other.dtype}, but {first.name} holds {first.dtype}: a mosaic has one scaling "
                "for all, so convert one of them first, or leave out --mosaic"
            )
