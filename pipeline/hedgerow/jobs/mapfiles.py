"""What does a map file hold? Polygons, probabilities, a mask, classes or labels: its header tells, else its values.

What a byte raster means is a guess by the values of all rasters of one side together: a tile without forest is still a
tile of classes.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from hedgerow.errors import SourceError
from hedgerow.records import BORDER, CLASSES
from hedgerow.sources._codes import OWN_CODES, codes_told, kind_and_codes
from hedgerow.sources._truth import VECTOR_SUFFIXES

log = logging.getLogger(__name__)

AUTO, POLYGONS, PROBABILITIES = "auto", "polygons", "probabilities"
PROBABILITY, MASK, CLASS_CODES, LABELS = "probability", "mask", "classes", "labels"

ASKED = (AUTO, PROBABILITY, MASK, CLASS_CODES, LABELS)
"""What a raster of one band may be said to be."""

IMAGES = frozenset([PROBABILITY, MASK])
"""Kinds that are scored as an image and its two halves; the others tell regions."""

_VECTORS = frozenset([*VECTOR_SUFFIXES, ".gdb"])
_STRIP_PX = 512
_FLAT = 0.9
"""Share of pixels like their right neighbour above which a byte raster is hardly a probability."""


@dataclass(frozen=True)
class MapFile:
    """A file and what it holds."""

    path: Path
    kind: str


@dataclass(frozen=True)
class RasterFile(MapFile):
    """A raster: also its grid, the 1-based bands to read, its nodata value, and whether it has a table of colours."""

    grid: GeoBox
    bands: tuple[int, ...]
    nodata: float | None
    palette: bool = False
    class_of_code: tuple[int, ...] = OWN_CODES
    """Of a raster of classes."""

    @property
    def placed(self) -> bool:
        """Whether it has a place on earth."""
        return self.grid.crs is not None and not self.grid.transform.is_identity

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.grid.shape[0]), int(self.grid.shape[1])


def map_files(paths: Sequence[Path], asked: str = AUTO) -> list[MapFile]:
    """Return what each file holds.

    Args:
        paths: the files of one side.
        asked: what rasters of one band hold. `auto`: floats are a probability; integers of more than 8 bits labels;
            bytes, judged over all files, a mask if they are only 0 and 1, or 0 and one value above 3; else classes if
            none is above 3 (0 other, 1 field, 2 forest, 3 border); else labels if they have a palette or are below 0;
            else a probability of 0 to 255. `classes=other,field,border` says what the codes 0, 1, 2 mean. A
            probability raster of hedgerow is known by its tag, whatever is asked.

    Raises:
        ConfigError: `asked` is unknown.
        SourceError: a file cannot be read, or has several bands that are not those of hedgerow.
    """
    asked, codes = kind_and_codes(asked, ASKED)
    files = [_by_header(path, asked, codes) for path in paths]
    bytes_ = [file for file in files if isinstance(file, RasterFile) and file.kind == AUTO]
    if not bytes_:
        return files
    held = [_held(file) for file in bytes_]
    kind = _kind_of(set().union(*(one.values for one in held)), palette=any(file.palette for file in bytes_))
    if kind == CLASS_CODES:
        log.warning(
            "%s: read as classes, %s: say what it is with --as if that is wrong",
            _and_others(bytes_), codes_told(OWN_CODES),
        )  # fmt: skip
    if kind == PROBABILITY and any(one.flat for one in held):
        log.warning(
            "%s: read as a probability of 0 to 255, but whole areas hold one value: for labels say --as labels",
            _and_others(bytes_),
        )
    return [replace(file, kind=kind) if file.kind == AUTO else file for file in files]


@contextmanager
def opened(path: Path) -> Iterator[rasterio.DatasetReader]:
    """Open a raster; what goes wrong with it is told with its path."""
    try:
        with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning), rasterio.open(path) as dataset:
            yield dataset
    except (RasterioError, OSError) as error:
        raise SourceError(f"{path}: cannot be read as a raster or vector: {error}") from error


def _by_header(path: Path, asked: str, codes: tuple[int, ...]) -> MapFile:
    if path.suffix.lower() in _VECTORS:
        return MapFile(path, POLYGONS)
    with opened(path) as dataset:
        grid = GeoBox(dataset.shape, dataset.transform, dataset.crs.to_string() if dataset.crs else None)
        if dataset.tags().get("HEDGEROW") == PROBABILITY or dataset.descriptions == CLASSES:
            _check_ours(path, dataset)
            return RasterFile(path, PROBABILITIES, grid, tuple(dataset.indexes), dataset.nodata)
        band = _only_band(path, dataset)
        by_type = _by_type(path, np.dtype(dataset.dtypes[band - 1]))
        palette = dataset.colorinterp[band - 1] is ColorInterp.palette
        kind = by_type if asked == AUTO else asked
        return RasterFile(path, kind, grid, (band,), dataset.nodata, palette, codes)


def _check_ours(path: Path, dataset: rasterio.DatasetReader) -> None:
    if dataset.descriptions != CLASSES or {*dataset.dtypes} != {"uint8"}:
        raise SourceError(
            f"{path}: is tagged as a probability raster, but its bands are {', '.join(map(str, dataset.descriptions))} "
            f"({dataset.dtypes[0]}) instead of {', '.join(CLASSES)} (uint8): write it anew, or give one band"
        )


def _only_band(path: Path, dataset: rasterio.DatasetReader) -> int:
    colours = zip(dataset.indexes, dataset.colorinterp, strict=True)
    bands = [int(index) for index, colour in colours if colour is not ColorInterp.alpha]
    if len(bands) != 1:
        raise SourceError(
            f"{path}: has {len(bands)} bands; give one band (a probability, mask, classes or labels), a probability "
            "raster of hedgerow, or polygons"
        )
    return bands[0]


def _by_type(path: Path, dtype: "np.dtype[np.generic]") -> str:
    if dtype.kind not in "iuf":
        raise SourceError(f"{path}: holds {dtype}; a map holds whole numbers, or floats from 0 to 1")
    if dtype.kind == "f":
        return PROBABILITY
    return LABELS if dtype.itemsize > 1 else AUTO


@dataclass(frozen=True)
class _Held:
    """The valid values of a byte raster, and how many pixels above 0 there are and resemble their right neighbour."""

    values: frozenset[int]
    above: int
    alike: int

    @property
    def flat(self) -> bool:
        """Whether it looks like labels: a probability changes from pixel to pixel."""
        return self.alike > _FLAT * self.above


def _held(file: RasterFile) -> _Held:
    height, width = file.shape
    found: set[int] = set()
    above = alike = 0
    with opened(file.path) as dataset:
        for y in range(0, height, _STRIP_PX):
            strip = RasterWindow(0, y, width, min(_STRIP_PX, height - y))
            values = dataset.read(file.bands[0], window=strip)
            valid = dataset.dataset_mask(window=strip) != 0
            found.update(np.unique(values[valid]).tolist())
            shown = (valid & (values > 0))[:, :-1]
            above += int(np.count_nonzero(shown))
            alike += int(np.count_nonzero(shown & (values[:, :-1] == values[:, 1:])))
    return _Held(frozenset(found), above, alike)


def _kind_of(held: set[int], *, palette: bool) -> str:
    if held <= {0, 1} or (len(held | {0}) == 2 and min(held) >= 0 and max(held) > BORDER):
        return MASK
    if min(held) >= 0 and max(held) <= BORDER:
        return CLASS_CODES
    return LABELS if palette or min(held) < 0 else PROBABILITY


def _and_others(files: Sequence[MapFile]) -> str:
    return str(files[0].path) if len(files) == 1 else f"{files[0].path} and {len(files) - 1} more"
