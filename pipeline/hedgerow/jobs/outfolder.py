"""Where do results go? A folder that is refused when it exists; overwriting removes only what a run left there."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hedgerow.config import Recipe, RunConfig, arm_name
from hedgerow.errors import ConfigError
from hedgerow.jobs.manifest import FILE
from hedgerow.jobs.planning import Plan
from hedgerow.models.store import digest

WORK, SCORES, TILES, REPORT = ".work", "scores.json", "tiles.parquet", "report.html"
_TILE_STYLE = "tiles.qml"
_ASKED = "asked.json"
_MAP_FILES = ("probability.tif", "borders*", ".probability*.part", ".borders*.part")
_HOW = {"scheduler", "workers"}  # how a run is worked through, not what comes out: these may change when it is resumed


def chosen_out(config: RunConfig, out: Path | str | None) -> Path:
    """Return where results go: the argument, else the setting.

    Raises:
        ConfigError: neither is given.
    """
    if out is None and config.out is None:
        raise ConfigError("no place for the results: give `out`, or set it in the config")
    return Path(out if out is not None else str(config.out))


@contextmanager
def out_folder(
    out: Path, plan: Plan, recipes: Mapping[str, Recipe], *, overwrite: bool, resume: bool
) -> Iterator[Path]:
    """Make OUT ready and yield its work folder, which is gone after a run that ends well.

    Raises:
        ConfigError: OUT exists and may not be used (the text says which flag would help), or cannot be written.
    """
    asked = _asked(plan, recipes)
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            _make_room(out, asked, overwrite=overwrite, resume=resume)
        (out / WORK).mkdir(parents=True, exist_ok=True)
        (out / WORK / _ASKED).write_text(json.dumps(asked), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}. Choose another folder") from error
    yield out / WORK
    shutil.rmtree(out / WORK, ignore_errors=True)


def _asked(plan: Plan, recipes: Mapping[str, Recipe]) -> dict[str, Any]:
    """Return what decides the results: an interrupted run may only go on with the same."""
    return {
        "config": plan.config.model_dump(mode="json", exclude=_HOW),
        "recipes": {name: recipe.model_dump(mode="json") for name, recipe in recipes.items()},
        "weights": digest(plan.model),
        "network": plan.card.model_dump(mode="json", include={"backbone", "bands", "scaling"}),
    }


def _make_room(out: Path, asked: Mapping[str, Any], *, overwrite: bool, resume: bool) -> None:
    if not out.is_dir():
        raise ConfigError(f"{out}: is a file; give a folder for the results")
    begun = _json(out / WORK / _ASKED)
    if resume:
        if begun is None:
            raise ConfigError(f"{out}: holds no interrupted run to resume; choose another folder or pass --overwrite")
        if begun != asked:
            raise ConfigError(f"{out}: was begun with other settings, so it cannot be resumed: pass --overwrite")
        return
    if not overwrite:
        hint = "--overwrite" if begun is None else "--resume to go on with it, or --overwrite"
        raise ConfigError(f"{out}: exists already; choose another folder or pass {hint}")
    earlier = begun or _json(out / FILE) or {}
    if begun is None and "hedgerow" not in earlier:
        raise ConfigError(f"{out}: holds files, but no run of hedgerow, so it is not overwritten: empty it yourself")
    _remove_run(out, {arm_name(arm) for arm in earlier.get("config", {}).get("arms", ())})


def _remove_run(out: Path, arms: set[str]) -> None:
    """Remove what a run of these arms leaves, and nothing that somebody else has put beside it."""
    (out / FILE).unlink(missing_ok=True)  # first: without it the rest is no complete run
    for name in (SCORES, TILES, _TILE_STYLE, REPORT):
        (out / name).unlink(missing_ok=True)
    for folder in [path for path in out.rglob("*") if path.name in arms and path.is_dir()]:
        for path in [found for pattern in _MAP_FILES for found in folder.glob(pattern)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        _remove_if_empty(folder, out)
    shutil.rmtree(out / WORK, ignore_errors=True)


def _remove_if_empty(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _json(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None
