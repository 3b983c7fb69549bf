"""How does a finished map reach another program? Maps of a run, or the layers of one file, in another format."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyproj import CRS
from pyproj.exceptions import CRSError

from hedgerow import registry
from hedgerow.contracts import Progress, Writer, silent
from hedgerow.errors import ConfigError, SourceError
from hedgerow.registry import unknown
from hedgerow.writers._maps import parts_of, read_layers, reprojected

MAP_NAME = "borders.gpkg"
"""What a run calls the map of an input and arm."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One map to export: the layers of `source` go to `target`, or to files named after it."""

    source: Path
    target: Path


def export(
    source: Path,
    to: str | Mapping[str, Any],
    out: Path,
    *,
    layer: str | None = None,
    where: str | None = None,
    dst_crs: str | None = None,
    arm: str | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> list[Path]:
    """Write maps in another format and return the files made.

    Args:
        source: the folder of a finished run, or one vector file.
        to: a kind of writer: gpkg, shp, parquet, fgb, geojson, pmtiles, fiboa; or its settings, `{kind: ..., ...}`.
        out: the file to make; for a run, a folder that gets `STEM_ARM.EXT` for each map.
        layer: only this layer; a format of one layer otherwise gets `OUT_fields.EXT` and `OUT_borders.EXT`.
        where: only features for which this holds, SQL over the layer's columns.
        dst_crs: reproject to this CRS.
        arm: of a run, only the maps of this arm.
        overwrite: replace files that are there already.
        progress: hears of each map.

    Raises:
        ConfigError: an unknown format, layer, column, arm or CRS, or a file that is there already.
        SourceError: `source` holds no map.
    """
    writer: Writer = registry.build("writers", to)
    _check_crs(dst_crs, writer)
    errands = plan(source, out, writer.extension, arm=arm)
    made: list[Path] = []
    for done, errand in enumerate(errands):
        progress("export", done, len(errands))
        layers = read_layers(errand.source, layer=layer, where=where)
        if not overwrite:
            refuse_existing(errand.target, tuple(layers))
        made += writer.write_layers(reprojected(layers, dst_crs) if dst_crs else layers, errand.target)
    progress("export", len(errands), len(errands))
    return made


def _check_crs(asked: str | None, writer: Writer) -> None:
    if asked is None or writer.crs is None:
        return
    try:
        same = CRS.from_user_input(asked).equals(writer.crs, ignore_axis_order=True)
    except CRSError as error:
        raise ConfigError(f"no CRS is called {asked!r}: give one as EPSG:25832 or as WKT ({error})") from error
    if not same:
        raise ConfigError(f"a {writer.extension} file is always in {writer.crs}, not in {asked}: leave --dst-crs out")


def plan(source: Path, out: Path, extension: str, *, arm: str | None = None) -> list[Errand]:
    """Say which map goes where, without reading any."""
    if not parts_of(source):
        raise SourceError(f"{source}: there is no such run folder or vector file")
    if source.is_dir() and source.suffix.lower() != ".gdb":
        return list(_of_run(source, out, extension, arm))
    if arm is not None:
        raise ConfigError(f"--arm {arm} chooses among the maps of a run, and {source} is one file: leave it out")
    target = out / source.stem if out.is_dir() else out
    return [Errand(source, _with_extension(target, extension))]


def _of_run(run: Path, out: Path, extension: str, arm: str | None) -> Iterator[Errand]:
    if not (run / "run.json").is_file():
        raise SourceError(f"{run}: no finished run (run.json is missing); give the folder of a run, or one vector file")
    maps = sorted(run.glob(f"**/{MAP_NAME}"))
    arms = tuple(sorted({path.parent.name for path in maps}))
    if not maps:
        raise SourceError(f"{run}: the run has no map STEM/ARM/{MAP_NAME}; see its run.json for failures")
    if arm is not None and arm not in arms:
        raise ConfigError(unknown("arm of this run", arm, arms))
    for path in maps:
        name, stem = path.parent.name, path.parent.parent.relative_to(run)
        if arm in (None, name):
            yield Errand(path, out / stem.parent / f"{stem.name}_{name}{extension}")


def _with_extension(path: Path, extension: str) -> Path:
    """Names hold dots (`field_1.5m`): only the format's own ending counts as one, of `.fiboa.parquet` its last part.

    Raises:
        ConfigError: the name ends as files of another format do.
    """
    suffix = path.suffix.lower()
    if suffix == Path(f"x{extension}").suffix:
        return path
    if suffix in {registry.build("writers", kind).extension for kind in registry.available("writers")}:
        raise ConfigError(f"{path}: ends as another format does, and {extension} is asked for: change --to or the name")
    return path.with_name(f"{path.name}{extension}")


def refuse_existing(target: Path, layers: tuple[str, ...]) -> None:
    """Refuse to replace a file, or one of the files that a format of one layer makes out of its name."""
    per_layer = [target.with_name(f"{target.stem}_{layer}{target.suffix}") for layer in layers]
    there = [path for named in (target, *per_layer) for path in parts_of(named)]
    if there:
        raise ConfigError(f"{there[0]} is there already: choose another name, or add --overwrite to replace it")
