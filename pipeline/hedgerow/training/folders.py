"""Which rasters of a folder are meant? Those that match by name; and which of them are both learned and judged?"""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from hedgerow.errors import SourceError
from hedgerow.training.data import FolderData, SyntheticData

_SUFFIXES = (".tif", ".tiff", ".gtif", ".gtiff", ".vrt", ".jp2", ".img")

Place = Path | dict[str, Path]
"""A raster file, or one of a single band per role."""


def images(data: FolderData) -> Iterator[tuple[str, Place]]:
    """Yield name and place of each raster that an entry means, in the order of their names; nothing is opened.

    Raises:
        SourceError: no folder, no raster in it that matches, or not exactly one for a band.
    """
    if data.bands is not None:
        yield data.path.name, {role: _one(data.path, pattern) for role, pattern in data.bands.items()}
        return
    if not data.path.is_dir():
        raise SourceError(f"{data.path}: there is no such folder; paths count from where hedgerow is started")
    found = [path for path in sorted(data.path.iterdir()) if _is_image(path) and _is_wanted(path.stem, data)]
    if not found:
        raise SourceError(
            f"{data.path}: no raster matches {', '.join(data.include)}: check path and patterns (folders below it are "
            f"not searched; files end in {', '.join(_SUFFIXES[:6])} or the like)"
        )
    yield from ((path.stem, path) for path in found)


def _is_image(path: Path) -> bool:
    """Say whether a file is a raster, and neither hidden nor a mask by its name."""
    return path.suffix.lower() in _SUFFIXES and path.name[0] != "." and "_mask" not in path.stem.lower()


def _is_wanted(stem: str, data: FolderData) -> bool:
    return any(fnmatch(stem, p) for p in data.include) and not any(fnmatch(stem, p) for p in data.exclude)


def first_file(place: Place) -> Path:
    """Return the file that stands for a raster, beside which its truth lies."""
    return place if isinstance(place, Path) else next(iter(place.values()))


def _one(folder: Path, pattern: str) -> Path:
    matches: Sequence[Path] = sorted(folder.glob(pattern))
    if len(matches) != 1:
        raise SourceError(f"{folder}: {len(matches)} files match {pattern}, exactly one must")
    return matches[0]


def scene_count(entry: SyntheticData | FolderData) -> int:
    """Return how many scenes an entry gives."""
    return entry.scenes if isinstance(entry, SyntheticData) else sum(1 for _ in images(entry))


def trained_and_held_out(
    data: Iterable[SyntheticData | FolderData], held_out: Iterable[SyntheticData | FolderData]
) -> tuple[str, ...]:
    """Return the names of the images of which some rows are in both; nothing is opened.

    Raises:
        SourceError: a folder that is not there, or in which nothing matches.
    """
    learned, judged = (list(_parts(entries)) for entries in (data, held_out))
    return tuple(sorted({part.name for part in learned if any(part.overlaps(other) for other in judged)}))


class _Part(NamedTuple):
    """Some rows of an image."""

    name: str
    file: Path
    rows: tuple[float, float]

    def overlaps(self, other: "_Part") -> bool:
        return self.file == other.file and max(self.rows[0], other.rows[0]) < min(self.rows[1], other.rows[1])


def _parts(entries: Iterable[SyntheticData | FolderData]) -> Iterator[_Part]:
    for entry in entries:
        if isinstance(entry, FolderData):
            yield from (_Part(name, first_file(place).resolve(), entry.rows) for name, place in images(entry))
