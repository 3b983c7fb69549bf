"""The whole of `hedgerow run`: imagery in, border files of one arm out."""

from dataclasses import dataclass
from pathlib import Path

from hedgerow.config import RunConfig
from hedgerow.contracts import Progress, silent
from hedgerow.errors import SourceError
from hedgerow.graph import Graph
from hedgerow.jobs.making import Made, checked, make_maps
from hedgerow.jobs.manifest import FILE, manifest
from hedgerow.jobs.outfolder import chosen_out, out_folder
from hedgerow.jobs.planning import Failure
from hedgerow.writers._tables import write_json


@dataclass(frozen=True)
class RunResult:
    """Where the results are, and what failed."""

    out: Path
    files: tuple[Path, ...]
    failures: tuple[Failure, ...]
    skipped: tuple[str, ...]
    """Inputs without a valid pixel."""


def run(
    config: RunConfig,
    out: Path | str | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = silent,
) -> RunResult:
    """Make the maps of every arm of `config` and write the manifest.

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
    recipes, planned = checked(config)
    with (
        out_folder(out, planned, recipes, overwrite=overwrite, resume=resume) as work,
        Graph(config.scheduler, config.workers) as graph,
    ):
        made = make_maps(planned, recipes, out, work, graph, progress)
        refuse_if_nothing(made)
        write_manifest(made)
    return result_of(made)


def write_manifest(made: Made) -> None:
    """Write `run.json`, the last file of a run."""
    values = manifest(made.plan, made.arms, made.scalings, made.mapped, made.failures, made.times, made.seconds)
    write_json(values, made.out / FILE)


def refuse_if_nothing(made: Made) -> None:
    """Raise the first failure when no input at all was finished."""
    if made.failures and not made.scenes():
        first = made.failures[0]
        raise SourceError(f"no input could be finished; {first.input}: {first.error}")


def result_of(made: Made) -> RunResult:
    """Return what a caller wants to know."""
    return RunResult(
        out=made.out,
        files=tuple(file for mapped in made.mapped for file in mapped.files),
        failures=tuple(made.failures),
        skipped=tuple(s.name for s in made.plan.scenes if s.name not in made.scalings),
    )
