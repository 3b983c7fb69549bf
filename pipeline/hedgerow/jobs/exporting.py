"""How does a finished map reach another program? Maps of a run, or the layers of one file, in another format."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hedgerow import registry
from hedgerow.contracts import Progress, Writer, silent
from hedgerow.errors import ConfigError, SourceError
from hedgerow.registry import unknown
from hedgerow.writers._maps import read_layers, reprojected

MAP_NAME = "borders.gpkg"
"""What a run calls the map of an input and arm."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One map to export: the layers of `source` go to `target`, or to files named after it."""

    source: Path
    target: Path


def export(
    source: Path,
    to: str,
    out: Path,
    *,
    layer: str | None = None,
    dst_crs: str | None = None,
    arm: str | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> list[Path]:
    """Write maps in another format and return the files made.

    Args:
        source: the folder of a finished run, or one vector file.
        to: a kind of writer: gpkg, shp, parquet, fgb, geojson.
        out: the file to make; for a run, a folder that gets `STEM_ARM.EXT` for each map.
        layer: only this layer; a format of one layer otherwise gets `OUT_fields.EXT` and `OUT_borders.EXT`.
        dst_crs: reproject to this CRS.
        arm: of a run, only the maps of this arm.
        overwrite: replace files that are there already.
        progress: hears of each map.

    Raises:
        ConfigError: an unknown format, layer, arm or CRS, or a file that is there already.
        SourceError: `source` holds no map.
    """
    writer: Writer = registry.build("writers", to)
    errands = plan(source, out, writer.extension, arm=arm)
    made: list[Path] = []
    for done, errand in enumerate(errands):
        progress("export", done, len(errands))
        layers = read_layers(errand.source, layer=layer)
        if not overwrite:
            refuse_existing(errand.target, tuple(layers))
        made += writer.write_layers(reprojected(layers, dst_crs) if dst_crs else layers, errand.target)
    progress("export", len(errands), len(errands))
    return made


def plan(source: Path, out: Path, extension: str, *, arm: str | None = None) -> list[Errand]:
    """Say which map goes where, without reading any."""
    if not source.exists():
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
    """Names hold dots (`field_1.5m`): only the format's own ending counts as one."""
    return path if path.suffix.lower() == extension else path.with_name(f"{path.name}{extension}")


def refuse_existing(target: Path, layers: tuple[str, ...]) -> None:
    """Refuse to replace a file, or one of the files that a format of one layer makes out of its name."""
    per_layer = (target.with_name(f"{target.stem}_{layer}{target.suffix}") for layer in layers)
    there = [path for path in (target, *per_layer) if path.exists()]
    if there:
        raise ConfigError(f"{there[0]} is there already: choose another name, or add --overwrite to replace it")
