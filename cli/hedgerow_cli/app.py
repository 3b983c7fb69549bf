"""The `hedgerow` command: options, one library call, render."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hedgerow_cli import options as o
from hedgerow_cli.edge import (
    GATE,
    KNOWN_ERROR,
    PARTLY_FAILED,
    Bars,
    guarded,
    leave,
    listen,
    show_files,
    show_json,
    show_traced,
    tell,
)

app = typer.Typer(
    name="hedgerow",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("hedgerow"))
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
    """Which quantizer keeps the borders of fields and forests, where does it fail, and what does it cost?"""


@app.command()
@guarded
def run(
    inputs: o.Inputs, out: o.Out, arm: Annotated[str | None, typer.Option(help="Which arm; default fp32.")] = None,
    to: o.To = None, model: o.Model = None, config: o.Config = None, bands: o.Bands = None,
    mosaic: o.Mosaic = None, mosaic_crs: o.MosaicCrs = None, overwrite: o.Overwrite = False,
    resume: o.Resume = False, device: o.Device = None, seed: o.Seed = None, workers: o.Workers = None,
    scheduler: o.Scheduler = None, tile_px: o.TilePx = None, halo_px: o.HaloPx = None,
    regularize: o.Regularize = None, smooth: o.Smooth = None, sets: o.Sets = None,
    as_json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Imagery in, border files of one arm out."""
    listen(verbose, quiet=quiet)
    settings = o.run_config(
        inputs, config=config, bands=bands, to=to, sets=sets, arms=(arm,) if arm else None, model=model, device=device,
        seed=seed, workers=workers, scheduler=scheduler, tile_px=tile_px, halo_px=halo_px, mosaic=mosaic,
        mosaic_crs=mosaic_crs, regularize_m=regularize, smooth=smooth,
    )  # fmt: skip
    from hedgerow.jobs.running import run as job

    with Bars(quiet=quiet) as bars:
        result = job(settings, out, overwrite=overwrite, resume=resume, progress=bars)
    files = [str(file) for file in result.files]
    if as_json:
        show_json({"out": str(out), "files": files, **_not_done(result)})
    else:
        typer.echo("\n".join(files))
    _tell_failures(result)


@app.command()
@guarded
def compare(
    inputs: o.Inputs, out: o.Out,
    arms: Annotated[str | None, typer.Option(help="Arms by comma: names or YAML files. See `components arms`.")] = None,
    truth: Annotated[str | None, typer.Option(help="A vector file, a folder, or `auto` (beside the inputs).")] = None,
    fail_below: Annotated[
        list[str] | None, typer.Option(metavar="SCORE=VALUE", help="Exit 4 if an arm's score against fp32 is lower.")
    ] = None,
    to: o.To = None, model: o.Model = None, config: o.Config = None, bands: o.Bands = None,
    mosaic: o.Mosaic = None, mosaic_crs: o.MosaicCrs = None, overwrite: o.Overwrite = False,
    resume: o.Resume = False, device: o.Device = None, seed: o.Seed = None, workers: o.Workers = None,
    scheduler: o.Scheduler = None, tile_px: o.TilePx = None, halo_px: o.HaloPx = None,
    regularize: o.Regularize = None, smooth: o.Smooth = None, sets: o.Sets = None,
    as_json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Imagery in, borders of every arm, scores and a report out."""
    listen(verbose, quiet=quiet)
    settings = o.run_config(
        inputs, config=config, bands=bands, to=to, sets=sets, arms=o.names(arms), truth=truth, model=model,
        device=device, seed=seed, workers=workers, scheduler=scheduler, tile_px=tile_px, halo_px=halo_px,
        mosaic=mosaic, mosaic_crs=mosaic_crs, regularize_m=regularize, smooth=smooth,
    )  # fmt: skip
    from hedgerow.jobs.comparing import compare as job
    from hedgerow.jobs.tables import arm_table, gates

    wanted = gates(fail_below or (), settings)
    with Bars(quiet=quiet) as bars:
        result = job(settings, out, overwrite=overwrite, resume=resume, progress=bars)
    table = arm_table(out)
    if as_json:
        show_json({"out": str(out), "report": str(result.report), "arms": table, **_not_done(result)})
    else:
        from hedgerow_cli.tables import show_arms

        show_arms(table)
        typer.echo(f"report: {result.report}")
    missed = wanted.missed(result.scores)
    _tell_failures(result, "gate not met: " + "; ".join(missed) if missed else "")


@app.command()
@guarded
def score(
    candidate: Annotated[Path, typer.Argument(help="Raster, vector file, folder or 'pattern' that is judged.")],
    reference: Annotated[Path, typer.Argument(help="Raster, vector file, folder or 'pattern' that it is judged by.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for scores.json and overlay.png.")] = None,
    as_: Annotated[
        str, typer.Option("--as", metavar="KIND", help="What rasters of one band hold, see above.")
    ] = "auto",
    reference_as: Annotated[
        str | None, typer.Option(metavar="KIND", help="The same for the reference, if it differs.")
    ] = None,
    gsd: Annotated[
        float | None, typer.Option(help="Metres per pixel, for two vectors or two rasters without CRS.")
    ] = None,
    resample: Annotated[
        bool, typer.Option("--resample", help="Bring the candidate onto the grid of the reference.")
    ] = False,
    metrics: Annotated[str | None, typer.Option(help="Metrics by comma, see `components metrics`.")] = None,
    config: o.Config = None, sets: o.Sets = None, tile_px: o.TilePx = None, overwrite: o.Overwrite = False,
    as_json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Rasters or vectors in, scores out; no model is run.

    Only what is valid in both maps counts. Two folders are compared by stem. Metrics with options of their own are
    read from `metrics` in the config.

    KIND, of rasters of one band:
    probability  floats from 0 to 1, or bytes
    mask         of borders: 0 and one other value
    classes      0 other, 1 field, 2 forest, 3 border; other codes as
                 classes=other,field,border (of 0, 1, 2)
    labels       every area of one value is a field; 0 is background
    auto         floats: probability; integers of more than 8 bits: labels;
                 bytes of 0 and 1, or 0 and one above 3: mask; up to 3: classes;
                 others: labels if they have a palette, else probability

    A probability raster written by hedgerow is known by its tag.
    """
    listen(verbose, quiet=quiet)
    from hedgerow.jobs.scoretable import score_table
    from hedgerow.jobs.scoring import TILE_PX
    from hedgerow.jobs.scoring import score as job
    from hedgerow_cli.tables import show_scores

    scores = job(
        candidate, reference, out=out, kind=as_, reference_kind=reference_as, gsd_m=gsd, resample=resample,
        metrics=o.run_config([], config=config, bands=None, sets=sets).metrics if metrics is None else o.names(metrics),
        tile_px=TILE_PX if tile_px is None else tile_px, overwrite=overwrite,
    )  # fmt: skip
    if as_json:
        show_json({"scores": [score.as_row() for score in scores]})
    else:
        table = score_table(scores)
        show_scores(table.rows, table.inputs)


@app.command()
@guarded
def trace(
    raster: Annotated[Path, typer.Argument(help="Labels, classes or probabilities.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Vector file to write.")] = None,
    as_: Annotated[str | None, typer.Option("--as", metavar="KIND", help="What the raster holds, see above.")] = None,
    tile_px: o.TilePx = None,
    simplify: Annotated[float, typer.Option(help="Metres; the square root of the triangle area that may go.")] = 0.0,
    regularize: o.Regularize = None, smooth: o.Smooth = None,
    smooth_reach: Annotated[
        float | None, typer.Option(help="Metres before a corner where its curve may begin; default 4 pixels.")
    ] = None,
    min_area: Annotated[float, typer.Option(help="Smaller fields go to a neighbour, m2.")] = 0.0,
    min_hole: Annotated[float, typer.Option(help="Smaller holes are filled, m2.")] = 0.0,
    min_width: Annotated[
        float, typer.Option(help="Narrower fields go to a neighbour, m: width is 2 x area / perimeter.")
    ] = 0.0,
    min_border: Annotated[
        float, typer.Option(help="Two fields join if the mean border probability between them is less, 0 to 1.")
    ] = 0.0,
    tracer: Annotated[str, typer.Option(help="How pixels become regions.")] = "arcs", sets: o.TracerSets = None,
    check_seams: Annotated[
        bool, typer.Option("--check-seams", help="Trace with three tile sizes, say where the maps differ; exit 1 then.")
    ] = False,
    layer: o.Layer = None, workers: o.Workers = None, scheduler: o.Scheduler = None, overwrite: o.Overwrite = False,
    as_json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Raster in, fields and borders out; the map is the same for every tile size.

    KIND:
    labels       every 4-connected area of one value is a field, nodata is none
    classes      0 other, 1 field, 2 forest, 3 border; border pixels go to
                 the nearest region; other codes as
                 classes=other,field,border (of 0, 1, 2)
    probability  bytes, or floats from 0 to 1: other, field, forest, border,
                 or field alone

    Without it, the raster's HEDGEROW tag says it, else integers are labels.
    """
    listen(verbose, quiet=quiet)
    if out is None and not check_seams:
        raise typer.BadParameter("say where the map goes, or pass --check-seams", param_hint="'--out' / '-o'")
    from hedgerow.config import assigned
    from hedgerow.jobs.seams import check_seams as check
    from hedgerow.jobs.tracing import Rules, trace_file
    from hedgerow.stages.trace import TILE_PX

    rules = Rules(
        simplify_m=simplify, regularize_m=regularize or 0.0, smooth=smooth or 0, smooth_reach_m=smooth_reach,
        min_area_m2=min_area, min_hole_m2=min_hole, min_width_m=min_width, min_border=min_border,
    )  # fmt: skip
    common: dict[str, Any] = {
        "kind": as_, "tracer": {"kind": tracer, **assigned(sets or ())},
        "tile_px": TILE_PX if tile_px is None else tile_px, "rules": rules,
        "workers": workers, "scheduler": scheduler or "threads",
    }  # fmt: skip
    with Bars(quiet=quiet) as bars:
        made = trace_file(raster, out, layer=layer, overwrite=overwrite, progress=bars, **common) if out else None
        seams = check(raster, progress=bars, **common) if check_seams else None
    show_traced(made, seams, as_json=as_json, quiet=quiet)
    if seams is not None and seams.differences:
        leave(KNOWN_ERROR, f"{raster}: {seams}")


@app.command()
@guarded
def export(
    source: Annotated[Path, typer.Argument(metavar="RUN_OR_FILE", help="A finished run, or a vector file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File, or folder for a run.")],
    to: Annotated[str, typer.Option(help="gpkg, shp, parquet, fgb, geojson, pmtiles or fiboa.")],
    layer: o.Layer = None,
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="Only features like this: \"area_m2 > 1e4 and class = 'field'\".")
    ] = None,
    arm: Annotated[str | None, typer.Option(help="Only this arm of a run.")] = None,
    dst_crs: Annotated[str | None, typer.Option("--dst-crs", help="Reproject, for instance EPSG:4326.")] = None,
    sets: o.FormatSets = None, overwrite: o.Overwrite = False, as_json: o.Json = False, quiet: o.Quiet = False,
    verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Maps in, the same maps in another format out."""
    listen(verbose, quiet=quiet)
    from hedgerow.config import assigned
    from hedgerow.jobs.exporting import export as job

    with Bars(quiet=quiet) as bars:
        files = job(
            source, {"kind": to, **assigned(sets or ())}, out, layer=layer, where=where, dst_crs=dst_crs, arm=arm,
            overwrite=overwrite, progress=bars,
        )  # fmt: skip
    show_files(files, as_json=as_json)


@app.command()
@guarded
def train(
    config: Annotated[str, typer.Argument(help="A YAML file, or a name in configs/train.")],
    out: o.Out, sets: o.Sets = None, device: o.Device = None, resume: o.Resume = False,
    allow_download: Annotated[
        bool, typer.Option("--allow-download", help="Let `backbone: {kind: hub, repo: ...}` be downloaded.")
    ] = False,
    overwrite: o.Overwrite = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Fit a model: settings in, model folder with card and learning curve out. Stopped, it goes on with --resume."""
    listen(verbose, quiet=quiet)
    from hedgerow.jobs.training import train as job

    changes = [*(sets or ()), *([f"device={device}"] if device else [])]
    changes += ["backbone.allow_download=true"] if allow_download else []
    with Bars(quiet=quiet) as bars:
        card = job(config, out, sets=changes, resume=resume, overwrite=overwrite, progress=bars)
    typer.echo(str(out))
    show_json(card.scores)


@app.command()
@guarded
def synth(
    out: o.Out,
    scenes: Annotated[int, typer.Option(min=1, help="How many.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the first scene.")] = 0,
    overwrite: o.Overwrite = False, as_json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Make synthetic scenes with exact vector truth."""
    listen(verbose, quiet=quiet)
    from hedgerow.jobs.synthesizing import synth as job

    with Bars(quiet=quiet) as bars:
        files = job(out, scenes=scenes, seed=seed, overwrite=overwrite, progress=bars)
    show_files(files, as_json=as_json)


@app.command()
@guarded
def plan(
    inputs: o.Inputs,
    arms: Annotated[str | None, typer.Option(help="Arms by comma.")] = None,
    truth: Annotated[str | None, typer.Option(help="As for compare.")] = None,
    model: o.Model = None, config: o.Config = None, bands: o.Bands = None, mosaic: o.Mosaic = None,
    mosaic_crs: o.MosaicCrs = None, device: o.Device = None, seed: o.Seed = None, workers: o.Workers = None,
    scheduler: o.Scheduler = None, tile_px: o.TilePx = None, halo_px: o.HaloPx = None, sets: o.Sets = None,
    as_json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """What would run: tiles, memory, time, problems. Nothing is computed."""
    listen(verbose, quiet=quiet)
    settings = o.run_config(
        inputs, config=config, bands=bands, sets=sets, arms=o.names(arms), truth=truth, model=model, device=device,
        seed=seed, workers=workers, scheduler=scheduler, tile_px=tile_px, halo_px=halo_px, mosaic=mosaic,
        mosaic_crs=mosaic_crs,
    )  # fmt: skip
    from hedgerow.jobs.making import checked
    from hedgerow.jobs.planning import describe

    _, made = checked(settings)
    summary = describe(made)
    if as_json:
        show_json(summary)
    else:
        from hedgerow_cli.tables import show_plan

        show_plan(summary)


@app.command()
@guarded
def report(
    out: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    as_json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """(Re)build report.html from a finished run."""
    listen(verbose, quiet=quiet)
    from hedgerow.report.page import build_report

    show_files([build_report(out)], as_json=as_json)


@app.command()
@guarded
def components(
    family: Annotated[str | None, typer.Argument(help="One family; default: all of them.")] = None,
    as_json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """List every choice there is, one line each."""
    listen(verbose, quiet=quiet)
    from hedgerow.jobs.listing import listing

    found = listing(family)
    if as_json:
        show_json(found)
    else:
        from hedgerow_cli.tables import show_components

        show_components(found)


config_app = typer.Typer(name="config", help="Check or show settings.", no_args_is_help=True)
app.add_typer(config_app)


@config_app.command("check")
@guarded
def config_check(config: Annotated[str, typer.Argument(help="A YAML file, or the name of a preset.")]) -> None:
    """Say whether a file of settings is understood."""
    from hedgerow.jobs.listing import settings_of

    kind, _ = settings_of(config)
    typer.echo(f"{config}: ok ({kind})")


@config_app.command("show")
@guarded
def config_show(config: Annotated[str, typer.Argument(help="A YAML file, or the name of a preset.")]) -> None:
    """Show settings in full, defaults included."""
    from hedgerow.jobs.listing import settings_of

    typer.echo(settings_of(config)[1])


@app.command()
@guarded
def doctor(as_json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0) -> None:
    """Versions, CPU features, and what is missing with its fix."""
    listen(verbose, quiet=quiet)
    from hedgerow.jobs.doctoring import examine

    findings = examine()
    if as_json:
        show_json(findings)
        return
    from hedgerow_cli.tables import show_findings

    show_findings(findings)


def _not_done(result: Any) -> dict[str, Any]:
    return {"failures": [vars(failure) for failure in result.failures], "skipped": list(result.skipped)}


def _tell_failures(result: Any, missed: str = "") -> None:
    for name in result.skipped:
        tell(f"skipped: {name}: no valid pixel")
    for failure in result.failures:
        tell(f"failed: {failure.input}: {failure.error}")
    if missed:
        leave(GATE, missed)
    if result.failures:
        leave(PARTLY_FAILED)


def main() -> None:
    """Run the command line."""
    app()
