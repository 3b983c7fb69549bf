"""Which rasters become one map, what is it called, and where is its truth? Nothing is opened yet."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hedgerow.contracts import Composed, Source
from hedgerow.errors import SourceError
from hedgerow.geo.metres import ground_sampling_distance_m
from hedgerow.jobs.inputs import Scene
from hedgerow.records import Tile
from hedgerow.sources._truth import find_truth

UNNAMED = "mosaic"


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Scenes that become one map: `name` (STEM) is what its outputs are called, `folder` holds all of its files.

    The members are named by their paths below the folder and stand in the order of these names: so neither the order
    of the inputs nor the place of the folder changes anything.
    """

    name: str
    folder: Path
    members: tuple[Scene, ...]

    @property
    def first_path(self) -> Path:
        """The folder: it stands for all files."""
        return self.folder

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files of all members."""
        return tuple(path for member in self.members for path in member.paths)


def mosaic_of(scenes: Sequence[Scene], inputs: Sequence[str]) -> Mosaic:
    """Make one mosaic of all scenes, called after the folder where the only input is one."""
    folder, name = _folder_and_name(scenes, inputs)
    members = [replace(scene, name=relative(scene.first_path, folder)) for scene in scenes]
    return Mosaic(name, folder, tuple(sorted(members, key=lambda member: member.name)))


def relative(path: Path, folder: Path) -> str:
    """Return a path as seen from a folder: a name that does not change when both are moved."""
    return Path(os.path.relpath(path, folder)).as_posix()


def _folder_and_name(scenes: Sequence[Scene], inputs: Sequence[str]) -> tuple[Path, str]:
    if len(inputs) == 1 and (only := Path(inputs[0])).is_dir():
        return only, only.resolve().name or UNNAMED
    return Path(os.path.commonpath([os.path.abspath(scene.folder) for scene in scenes])), UNNAMED  # noqa: PTH100


def find_truth_of_all(option: str | None, mosaic: Mosaic) -> Path | None:
    """Return the vector file that `--truth` means for a mosaic: one for all; with 'auto' beside its folder or in it.

    Raises:
        SourceError: there is none. Truths of single members end at their frames, so they are no truth of a whole.
    """
    beside = mosaic.folder.resolve().with_name(f"{mosaic.name}.tif")  # where a raster of the whole would lie
    for place in (beside, mosaic.folder / f"{mosaic.name}.tif"):
        if (found := find_truth(option, place, mosaic.name)) is not None:
            return found
    if option is not None:
        raise SourceError(
            f"--truth {option}: a mosaic needs one vector file for all its inputs: name it, or call it "
            f"{mosaic.name}.gpkg; truths of single inputs end at their frames, so they cannot be joined"
        )
    return None


def filled_tiles(source: Source, tiles: tuple[Tile, ...], size_px: int) -> tuple[Tile, ...]:
    """Return the tiles that may hold a valid pixel, known without reading."""
    if not isinstance(source, Composed):
        return tiles
    reached = {
        (row, col)
        for extent in source.extents
        for row in range(extent.y0 // size_px, -(-extent.y1 // size_px))
        for col in range(extent.x0 // size_px, -(-extent.x1 // size_px))
    }
    return tuple(tile for tile in tiles if tile.index in reached)


def member_rows(source: Source) -> list[dict[str, Any]]:
    """Say of each member of a composed source, in the order in which they are asked for a pixel, how it is read."""
    if not isinstance(source, Composed):
        return []
    return [
        {
            "name": member.name,
            "crs": str(member.geobox.crs),
            "shape": [int(side) for side in member.geobox.shape],
            "gsd_m": round(ground_sampling_distance_m(member.geobox), 4),
            "window": [extent.y0, extent.x0, extent.y1, extent.x1],
            "read": how,
        }
        for member, extent, how in zip(source.members, source.extents, source.methods, strict=True)
    ]
