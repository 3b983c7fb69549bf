"""Options that commands share, each declared once, and the settings that they make."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hedgerow.config import RunConfig

Inputs = Annotated[list[str], typer.Argument(metavar="INPUT...", help="Rasters: files, folders or globs.")]
Mosaic = Annotated[
    bool | None, typer.Option("--mosaic", help="One map of all inputs, on the finest grid in the CRS of most.")
]
MosaicCrs = Annotated[
    str | None, typer.Option("--mosaic-crs", metavar="CRS", help="CRS of the mosaic instead, as EPSG:32633.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where the results go.")]
Config = Annotated[str | None, typer.Option("--config", "-c", help="A YAML file, or the name of a preset.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", "-f", help="Replace what is there.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
Model = Annotated[str | None, typer.Option(help="Shipped model, model folder, or module:factory.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything drawn by chance.")]
Workers = Annotated[int | None, typer.Option("--workers", "-j", min=1, help="How many work at a time.")]
Scheduler = Annotated[str | None, typer.Option(help="sync, threads, processes, or tcp://host:port.")]
TilePx = Annotated[int | None, typer.Option("--tile-size", help="Side of the tiles, px.")]
HaloPx = Annotated[int | None, typer.Option("--halo", help="Context of a tile on each side, px.")]
Bands = Annotated[
    str | None,
    typer.Option(help="Roles of the stored bands (blue,green,red), or a file per role (red=*B04*,green=*B03*,...)."),
]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Change any setting.")]
FormatSets = Annotated[
    list[str] | None, typer.Option("--set", metavar="A=B", help="A setting of the format: limit_bytes=1000000000.")
]
TracerSets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A=B", help="A setting of the tracer: neck_m=20."),
]
Smooth = Annotated[
    int | None,
    typer.Option(min=0, max=6, help="Rounds of corner cutting, for curved borders; default 0 or the preset."),
]
Regularize = Annotated[
    float | None,
    typer.Option(min=0, help="Metres a border may stray from straight, and a corner move to a right angle."),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Errors only: no progress, no warnings; with -v still a log.")
]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more; twice for everything.")]
Layer = Annotated[str | None, typer.Option(help="Only this layer, fields or borders; default: both.")]
To = Annotated[str | None, typer.Option(help="Further formats, by comma: shp,parquet,fgb,geojson,pmtiles,fiboa.")]


def run_config(
    inputs: list[str], *, config: str | None, bands: str | None, to: str | None = None, sets: list[str] | None,
    **changes: Any,
) -> "RunConfig":  # fmt: skip
    """Merge preset, flags and assignments into checked settings."""
    from hedgerow.config import RunConfig, find_config, resolve

    return resolve(
        RunConfig,
        file=find_config(config) if config else None,
        changes={
            "inputs": tuple(inputs),
            "to": names(to),
            **read_bands(bands),
            **changes,
        },
        sets=sets or (),
    )


def names(text: str | None) -> tuple[str, ...] | None:
    """Turn a list by comma into names; None where nothing was given."""
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def read_bands(text: str | None) -> dict[str, Any]:
    """Turn `--bands` into the setting it means."""
    if text is None:
        return {}
    parts = [part.strip() for part in text.split(",")]
    if all("=" in part for part in parts):
        return {"bands": dict(part.split("=", 1) for part in parts)}
    if any("=" in part for part in parts):
        raise typer.BadParameter(f"--bands {text}: either a list of roles, or ROLE=PATTERN for every band")
    return {"stored_bands": tuple(parts)}
