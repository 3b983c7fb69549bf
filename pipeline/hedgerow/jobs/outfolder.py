"""Where do results go? A folder that is refused when it exists, and never emptied unless a run of ours made it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hedgerow.config import RunConfig
from hedgerow.errors import ConfigError
from hedgerow.jobs.manifest import FILE

WORK = ".work"
_ASKED = "asked.json"


@contextmanager
def out_folder(out: Path, config: RunConfig, *, overwrite: bool, resume: bool) -> Iterator[Path]:
    """Make OUT ready and yield its work folder, which is gone after a run that ends well.

    Raises:
        ConfigError: OUT exists and may not be used (the text says which flag would help), or cannot be written.
    """
    work = out / WORK
    if out.exists() and any(out.iterdir() if out.is_dir() else (out,)):
        _clear(out, overwrite=overwrite, resume=resume)
    asked = config.model_dump_json()
    try:
        work.mkdir(parents=True, exist_ok=True)
        if resume and (work / _ASKED).is_file() and (work / _ASKED).read_text(encoding="utf-8") != asked:
            raise ConfigError(f"{out}: was begun with other settings, so it cannot be resumed: pass --overwrite")
        (work / _ASKED).write_text(asked, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}. Choose another folder") from error
    yield work
    shutil.rmtree(work, ignore_errors=True)


def _clear(out: Path, *, overwrite: bool, resume: bool) -> None:
    if not out.is_dir():
        raise ConfigError(f"{out}: is a file; give a folder for the results")
    interrupted = (out / WORK / _ASKED).is_file()
    if resume and interrupted:
        return
    if resume:
        raise ConfigError(f"{out}: holds no interrupted run to resume; choose another folder or pass --overwrite")
    if not overwrite:
        hint = "--resume to go on with it, or --overwrite" if interrupted else "--overwrite"
        raise ConfigError(f"{out}: exists already; choose another folder or pass {hint}")
    if not (interrupted or _is_run(out)):
        raise ConfigError(f"{out}: holds files, but no run of hedgerow, so it is not overwritten: empty it yourself")
    shutil.rmtree(out)


def _is_run(out: Path) -> bool:
    try:
        return "hedgerow" in json.loads((out / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
