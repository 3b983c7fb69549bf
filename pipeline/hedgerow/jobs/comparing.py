"""The whole of `hedgerow compare`: imagery in, borders of every arm, scores and a report out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hedgerow.config import RunConfig, arm_name
from hedgerow.contracts import Progress, silent
from hedgerow.errors import SourceError
from hedgerow.graph import Graph
from hedgerow.jobs.judging import interval_settings, judged
from hedgerow.jobs.making import Made, checked, counted, make_maps, timed
from hedgerow.jobs.measuring import FP32, Key, MeasureItem, MeasureScene, chosen_scorers, shared_out
from hedgerow.jobs.outfolder import SCORES, TILES, chosen_out, out_folder
from hedgerow.jobs.running import RunResult, refuse_if_nothing, result_of, write_manifest
from hedgerow.records import Score
from hedgerow.report.page import build_report
from hedgerow.stages.differences import Difference
from hedgerow.stages.measure import Measured, tile_values
from hedgerow.writers._tables import footprint, write_scores, write_tiles


@dataclass(frozen=True)
class Compared(RunResult):
    """Results of a comparison: also the scores, their differences, and the report's path."""

    scores: tuple[Score, ...] = ()
    differences: tuple[Difference, ...] = ()
    report: Path = Path()


def compare(
    config: RunConfig,
    out: Path | str | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = silent,
) -> Compared:
    """Make the maps of every arm, score them against FP32 and (if given) truth, and write everything.

    The FP32 arm is the reference of every other; it is added when `config.arms` does not name it.

    Args:
        config: what to do.
        out: folder for the results; None: `config.out`.
        overwrite: whether an existing run may be replaced.
        resume: go on with an interrupted run.
        progress: hears of every stage.

    Raises:
        HedgerowError: nothing could be done; inputs that fail beside others are in the result.
    """
    out = chosen_out(config, out)
    if FP32 not in map(arm_name, config.arms):
        config = config.model_copy(update={"arms": (FP32, *config.arms)})
    recipes, planned = checked(config)
    if config.truth is not None and all(scene.truth is None for scene in planned.scenes):
        raise SourceError(
            f"--truth {config.truth}: no input has truth there; for an input STEM it is STEM.gpkg or STEM_fields.gpkg"
        )
    with (
        out_folder(out, planned, recipes, overwrite=overwrite, resume=resume) as work,
        Graph(config.scheduler, config.workers) as graph,
    ):
        made = make_maps(planned, recipes, out, work, graph, progress)
        refuse_if_nothing(made)
        with timed(made, "measure"):
            measured = _measure(made, graph, progress)
        with timed(made, "intervals"):
            arms = [arm.name for arm in made.arms]
            found = judged(made.plan.config, arms, measured, graph, progress)
        write_scores(
            [score.as_row() for score in found.scores],
            out / SCORES,
            differences=[difference.as_row() for difference in found.differences],
            intervals=interval_settings(made.plan.config),
        )
        write_tiles(_tile_rows(made, measured), out / TILES)
        write_manifest(made)
        report = build_report(out)
    return Compared(**vars(result_of(made)), scores=found.scores, differences=found.differences, report=report)


def _measure(made: Made, graph: Graph, progress: Progress) -> dict[str, dict[Key, Measured]]:
    """Return what was measured by scene, arm and reference."""
    arms = tuple(arm.name for arm in made.arms)
    items = shared_out([MeasureItem(s.name, arms, FP32, s.truth) for s in made.scenes()], graph.workers)
    task = MeasureScene(made.plan.config, made.out, {(m.scene, m.arm): m.regions for m in made.mapped})
    found: dict[str, dict[Key, Measured]] = {}
    tick = counted(progress, "measure", len(items))
    for item, outcome in zip(items, graph.outcomes(task, items, tick=tick), strict=True):
        if outcome.error is not None:
            made.fail(item.scene, outcome.error)
        else:
            found.setdefault(item.scene, {}).update(outcome.result or {})
    return {scene.name: found[scene.name] for scene in made.scenes() if scene.name in found}


def _tile_rows(made: Made, measured: Mapping[str, Mapping[Key, Measured]]) -> list[dict[str, Any]]:
    chosen = chosen_scorers(made.plan.config)
    rows: dict[tuple[str, int, str], dict[str, Any]] = {}
    for planned in made.scenes():
        for (arm, against), one in measured.get(planned.name, {}).items():
            for k, values in enumerate(tile_values(one, chosen)):
                row = rows.setdefault(
                    (planned.name, k, arm),
                    {
                        "input": planned.name,
                        "tile": one.tiles[k],
                        "arm": arm,
                        "status": "ok" if one.has_statistics(k) else "nodata",
                        "support": int(one.valid_px[k]),
                        "geometry": footprint(planned.tiles[k].geobox),
                    },
                )
                row |= {f"{name}__{against}": value.value for name, value in values.items()}
                if against == FP32 and "boundary_f1" in values:
                    row[f"border_px__{FP32}"] = values["boundary_f1"].n  # how much there was to lose
    return list(rows.values())
