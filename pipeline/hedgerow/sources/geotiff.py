"""How are pixels of a raster file read? By windows, one GDAL handle per thread, all kinds of nodata in one mask.

Every format that GDAL opens will do; so will several single-band files of one scene. Band roles (red, nir, ...) come
from the configuration, the band descriptions or the colour interpretation, in this order, and are never guessed.
"""

import re
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pydantic import BaseModel
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterioWindow

from hedgerow.errors import SourceError
from hedgerow.geo.windows import Window
from hedgerow.records import Patch

# TRUE: look for each sidecar (.aux.xml, world file, .msk, .hdr) by its name, but do not list a folder of thousands.
_GDAL_OPTIONS = {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE", "GDAL_CACHEMAX": 128}
_SAME_ORIGIN_PX = 0.01
_HANDLES_PER_THREAD = 16
_ROLE_WORDS = {
    "nir": r"(?<![a-z])nir(?![a-z])|near.?infra|^b0?8a?$",
    "blue": r"(?<![a-z])blue(?![a-z])|^b0?2$",
    "green": r"(?<![a-z])green(?![a-z])|^b0?3$",
    "red": r"(?<![a-z])(?<!infra[ _-])red(?![a-z])(?![ _-]?edge)|^b0?4$",
}


class Config(BaseModel, frozen=True, extra="forbid"):
    """One image: a raster file, or one single-band file per role."""

    path: Path | dict[str, Path]
    name: str = ""
    bands: tuple[str, ...] = ("red", "green", "blue")
    """Roles to read, in the order in which the network takes them."""
    stored_bands: tuple[str, ...] | None = None
    """Roles of the bands as stored, first to last, where the file does not tell ('-' for one to skip)."""
    nodata: float | None = None
    """Overrides the file's nodata value."""


@dataclass(frozen=True)
class RasterSource:
    """Imagery on disk. Holds only paths and numbers: it pickles, and opens files when it reads."""

    name: str
    geobox: GeoBox
    bands: tuple[str, ...]
    dtype: str
    places: tuple[tuple[Path, int], ...]
    """(file, 1-based band) for each role."""
    nodata: tuple[float | None, ...]
    masked: tuple[Path, ...]
    """Files whose mask (internal or .msk) counts."""
    alphas: tuple[tuple[Path, int], ...]
    """(file, 1-based band) of alpha bands."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files behind the image, each once."""
        return tuple(dict.fromkeys(path for path, _ in self.places))

    def read(self, window: Window) -> Patch:
        """Return the stored values of a window inside the raster; invalid pixels are 0.

        Raises:
            SourceError: a file cannot be read there.
        """
        try:
            with rasterio.Env(**_GDAL_OPTIONS):  # GDAL's cache keeps to its bound only while this says so
                data, valid = self._stored(window)
        except (RasterioError, OSError) as error:
            raise SourceError(f"{self.paths[0]}: cannot read {window}: {error}. Is the file whole?") from error
        return Patch(np.where(valid, data, data.dtype.type(0)), valid)

    def _stored(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        data = np.concatenate([self._bands_of(path, window) for path in self.paths])
        valid = self._valid_values(data)
        for path in self.masked:
            valid &= self._open(path).read_masks(1, window=_rasterio_window(window)) > 0
        for path, index in self.alphas:
            valid &= self._open(path).read(index, window=_rasterio_window(window)) > self._half_opaque(path, index)
        return data, valid

    def _bands_of(self, path: Path, window: Window) -> NDArray[Any]:
        file, at = self._open(path), _rasterio_window(window)
        # One by one: rasterio reads bands of mixed types (of a .vrt) in no other way, and it is as fast.
        return np.stack([file.read(index, window=at) for other, index in self.places if other == path])

    def _valid_values(self, data: NDArray[Any]) -> NDArray[np.bool_]:
        """Combine the nodata values of all bands.

        A value that is also a possible measurement (0 or 255 on 8 bits) is nodata only where all bands have it; one
        that is not (NaN, -9999) wherever any band has it.
        """
        valid = np.isfinite(data).all(axis=0)
        missing = np.stack(
            [np.zeros(valid.shape, bool) if n is None else band == n for n, band in zip(self.nodata, data, strict=True)]
        )
        impossible = [n is not None and (n < 0 or data.dtype.kind == "f") for n in self.nodata]
        usable: NDArray[np.bool_] = valid & ~missing.all(axis=0) & ~missing[impossible].any(axis=0)
        return usable

    def _half_opaque(self, path: Path, index: int) -> float:
        """Alpha beyond this is ground, below it is collar."""
        dtype = np.dtype(self._open(path).dtypes[index - 1])
        return 0.5 * (np.iinfo(dtype).max if dtype.kind in "iu" else 1)

    def _open(self, path: Path) -> Any:
        return _open_in_thread(path)


def build(config: Config) -> RasterSource:
    """Open the headers, settle bands, grid and nodata, and close the files again.

    Raises:
        SourceError: no CRS, only control points, a palette, too few bands, unknown roles, or grids that differ.
    """
    files = config.path if isinstance(config.path, dict) else {None: config.path}
    headers = {path: _header(path) for path in files.values()}
    if isinstance(config.path, dict):
        places = _stacked(config.path, config.bands, headers)
    else:
        places = _within(config, headers[config.path])
    return RasterSource(
        name=config.name or places[0][0].stem,
        geobox=_common_grid({path: headers[path] for path, _ in places}),
        bands=config.bands,
        dtype=np.result_type(*(headers[path].dtypes[index - 1] for path, index in places)).name,
        places=places,
        nodata=tuple(config.nodata if config.nodata is not None else headers[p].nodata[i - 1] for p, i in places),
        masked=tuple(dict.fromkeys(path for path, _ in places if headers[path].masked)),
        alphas=tuple(dict.fromkeys((path, index) for path, _ in places for index in headers[path].alphas)),
    )


@dataclass(frozen=True)
class _Header:
    path: Path
    geobox: GeoBox
    count: int
    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    masked: bool
    alphas: tuple[int, ...]
    descriptions: tuple[str | None, ...]
    colours: tuple[ColorInterp, ...]


def _header(path: Path) -> _Header:
    try:
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),  # our error says it better
            rasterio.Env(**_GDAL_OPTIONS),
            rasterio.open(path) as dataset,
        ):
            _refuse_unplaced(path, dataset)
            return _Header(
                path=path,
                geobox=GeoBox(dataset.shape, dataset.transform, dataset.crs.to_string()),  # 'EPSG:...' where it is one
                count=dataset.count,
                dtypes=dataset.dtypes,
                nodata=dataset.nodatavals,
                masked=any({*flags} == {MaskFlags.per_dataset} for flags in dataset.mask_flag_enums),
                alphas=tuple(i for i, c in enumerate(dataset.colorinterp, start=1) if c is ColorInterp.alpha),
                descriptions=dataset.descriptions,
                colours=dataset.colorinterp,
            )
    except (RasterioError, OSError) as error:
        raise SourceError(f"{path}: cannot be opened as a raster: {error}. Replace the file or leave it out") from error


def _refuse_unplaced(path: Path, dataset: Any) -> None:
    if dataset.colorinterp[0] is ColorInterp.palette:
        raise SourceError(f"{path}: band 1 is a palette of classes, not imagery: give the image it was made from")
    if any(np.dtype(dtype).kind == "c" for dtype in dataset.dtypes):
        raise SourceError(f"{path}: holds complex numbers ({dataset.dtypes[0]}): give amplitudes instead")
    if dataset.crs is not None and not dataset.transform.is_identity:
        return
    if dataset.gcps[0]:
        raise SourceError(
            f"{path}: has {len(dataset.gcps[0])} ground control points but no grid: "
            f"rectify it first, for instance `rio warp {path.name} out.tif --dst-crs EPSG:XXXX`"
        )
    if dataset.crs is not None:
        raise SourceError(
            f"{path}: has a CRS but no geotransform, so its place is unknown: give it one first, "
            f"for instance `rio edit-info --transform '[10, 0, WEST, 0, -10, NORTH]' {path.name}`"
        )
    raise SourceError(
        f"{path}: has no CRS, so nothing can be measured in metres: assign one first, "
        f"for instance `rio edit-info --crs EPSG:XXXX {path.name}` (and a transform, if it has none)"
    )


def _stacked(
    files: Mapping[str, Path], wanted: tuple[str, ...], headers: Mapping[Path, _Header]
) -> tuple[tuple[Path, int], ...]:
    missing = [role for role in wanted if role not in files]
    if missing:
        raise SourceError(f"no file for band {', '.join(missing)}: name one with --bands {missing[0]}=PATTERN")
    for role in wanted:
        if headers[files[role]].count != 1:
            raise SourceError(f"{files[role]}: has {headers[files[role]].count} bands, but stands for `{role}` alone")
    return tuple((files[role], 1) for role in wanted)


def _within(config: Config, header: _Header) -> tuple[tuple[Path, int], ...]:
    roles = _roles(config, header)
    missing = [role for role in config.bands if role not in roles]
    if missing:
        known = ", ".join(f"{i + 1}={role or '?'}" for i, role in enumerate(roles))
        if header.count < len(config.bands):
            patterns = ",".join(f"{role}=PATTERN" for role in config.bands)
            fix = f"if its other bands are files of their own, join them with --bands {patterns}"
        else:
            fix = "name all bands as stored, first to last, with --bands or as `stored_bands` in the config ('-': skip)"
        raise SourceError(
            f"{header.path}: has {header.count} band(s) [{known}], but the model needs {', '.join(config.bands)}: {fix}"
        )
    return tuple((header.path, roles.index(role) + 1) for role in config.bands)


def _roles(config: Config, header: _Header) -> list[str | None]:
    if config.stored_bands is not None:
        if len(config.stored_bands) > header.count:
            raise SourceError(
                f"{header.path}: has {header.count} band(s), but {len(config.stored_bands)} are named as stored: "
                f"{', '.join(config.stored_bands)}"
            )
        return list(config.stored_bands)
    by_text = [_role_in(text or "") for text in header.descriptions]
    by_colour = [c.name if c.name in _ROLE_WORDS and c.name not in by_text else None for c in header.colours]
    return [text or colour for text, colour in zip(by_text, by_colour, strict=True)]


def _role_in(description: str) -> str | None:
    return next((role for role, words in _ROLE_WORDS.items() if re.search(words, description.strip(), re.I)), None)


def _common_grid(headers: Mapping[Path, _Header]) -> GeoBox:
    first = next(iter(headers.values()))
    for other in headers.values():
        same_place = np.allclose(
            np.asarray(~first.geobox.transform @ other.geobox.transform)[:6], (1, 0, 0, 0, 1, 0), atol=_SAME_ORIGIN_PX
        )
        if other.geobox.shape != first.geobox.shape or other.geobox.crs != first.geobox.crs or not same_place:
            raise SourceError(
                f"{other.path}: its grid differs from that of {first.path.name} "
                f"({tuple(other.geobox.shape)} against {tuple(first.geobox.shape)} pixels): "
                f"bring the bands to one grid first"
            )
    return first.geobox


def _rasterio_window(window: Window) -> RasterioWindow:
    height, width = window.shape
    return RasterioWindow(window.x0, window.y0, width, height)


_handles = threading.local()


def _open_in_thread(path: Path) -> Any:
    """Return this thread's handle of a file: GDAL handles must not be shared between threads.

    A file that was written anew since is opened anew: its old handle would give the old pixels.
    """
    handles: dict[tuple[Path, int], Any] = _handles.__dict__.setdefault("by_file", {})
    key = (path, path.stat().st_mtime_ns)
    if key not in handles:
        while len(handles) >= _HANDLES_PER_THREAD:  # an old scene's handles: close before opening more
            handles.pop(next(iter(handles))).close()
        with rasterio.Env(**_GDAL_OPTIONS):
            handles[key] = rasterio.open(path)
    return handles[key]
