"""What happens at the edge? Known errors become one line and a code, progress a bar; stdout is data."""

import functools
import json
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer

P = ParamSpec("P")
R = TypeVar("R")

_MOST_LINES = 20

KNOWN_ERROR, USAGE, PARTLY_FAILED, GATE, UNEXPECTED, INTERRUPTED = 1, 2, 3, 4, 70, 130


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what a command raises into an exit code and one line on stderr."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        from hedgerow.errors import HedgerowError

        try:
            with heeding_interrupts():
                return command(*args, **kwargs)
        except HedgerowError as error:
            leave(KNOWN_ERROR, f"error: {error}")
        except KeyboardInterrupt:
            again = "; run it again with --resume to go on, or --overwrite to begin anew" if "resume" in kwargs else ""
            leave(INTERRUPTED, f"interrupted{again}")
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except BrokenPipeError:  # the reader has seen enough, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            leave(0)
        except OSError as error:
            leave(KNOWN_ERROR, f"error: {error.filename or 'files'}: {error.strerror or error}")
        except Exception as error:
            logging.getLogger(__name__).debug("unexpected", exc_info=True)
            leave(UNEXPECTED, f"unexpected {type(error).__name__}: {error} (run it with -vv for the whole story)")

    return run


_interrupted = threading.Event()


@contextmanager
def heeding_interrupts() -> Iterator[None]:
    """Note Ctrl-C beside raising it: what is raised while a library in C calls back may be lost there.

    A lost one is raised again at the next sign of progress (`Bars`).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        _interrupted.set()
        signal.default_int_handler(number, frame)

    _interrupted.clear()
    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def leave(code: int, text: str = "") -> NoReturn:
    """Say a last word on stderr and exit."""
    if text:
        tell(text)
    raise typer.Exit(code)


def tell(text: str) -> None:
    """Say something in one line on stderr."""
    typer.echo(" ".join(text.split()), err=True)


def listen(verbose: int, *, quiet: bool) -> None:
    """Configure logging, once, for the whole program; with both flags a log is kept and no bar drawn."""
    level = logging.ERROR if quiet and not verbose else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    # rasterize() opens a grid-less raster in memory and hides the warning, but hiding is not safe between threads.
    warnings.filterwarnings("ignore", message="Dataset has no geotransform")
    for noisy in ("rasterio", "pyogrio", "matplotlib", "fiona", "asyncio"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))


def show_json(value: Any) -> None:
    """Write JSON to stdout."""
    typer.echo(json.dumps(value, indent=1, default=str))


def show_files(files: Sequence[object], *, as_json: bool) -> None:
    """Write the paths of what was made to stdout, one a line, or as JSON."""
    if as_json:
        show_json({"files": list(map(str, files))})
    else:
        typer.echo("\n".join(map(str, files)))


def show_traced(made: Any, seams: Any, *, as_json: bool, quiet: bool) -> None:
    """Write what a tracing made and what its check found to stdout, a summary to stderr; either may be None."""
    if as_json:
        files = {"files": list(map(str, made.files)), **made.summary} if made else {}
        show_json(files | ({"seams": seams.as_row()} if seams else {}))
        return
    if made:
        show_files(made.files, as_json=False)
    if made and not quiet:
        counts = made.summary
        tell(
            f"{counts['fields']} fields, {counts['borders']} borders; gaps {counts['gap_m2']:g} m2, "
            f"overlaps {counts['overlap_m2']:g} m2"
        )
    if seams:
        typer.echo(str(seams))
        for one in seams.differences[:_MOST_LINES]:
            typer.echo(f"{one.layer}, tiles of {one.tile_px} px, differ within {' '.join(map(str, one.bounds))}")
        if len(seams.differences) > _MOST_LINES:
            typer.echo(f"and {len(seams.differences) - _MOST_LINES} more: --json lists all")


class Bars:
    """Progress bars on stderr, one line per stage, with a rate and the time to go. A contracts.Progress."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(), TextColumn("eta"), TimeRemainingColumn(),
        )  # fmt: skip
        self._bars = Progress(*columns, console=Console(stderr=True), disable=quiet)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> "Bars":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if _interrupted.is_set():
            raise KeyboardInterrupt
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total, rate="")
        task = self._bars.tasks[self._tasks[stage]]
        rate = f"{task.speed:.2f}/s" if task.speed else ""
        self._bars.update(self._tasks[stage], completed=done, total=total, rate=rate)
