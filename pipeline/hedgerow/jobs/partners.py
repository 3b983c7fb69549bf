"""Which map is compared with which? Two files, or the files of two folders that bear the same stem."""

import glob
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from hedgerow.errors import ConfigError, ScoreError
from hedgerow.jobs.inputs import RASTER_SUFFIXES
from hedgerow.sources._truth import VECTOR_SUFFIXES

log = logging.getLogger(__name__)

_SUFFIXES = RASTER_SUFFIXES | {*VECTOR_SUFFIXES}
_OURS = frozenset(["run.json", "scores.json", "tiles.parquet"])
"""What hedgerow leaves in a folder and is no map; overlays are neither."""

_NAMED = 5
"""So many stems are named in a message, not more."""

ByStem = Mapping[str, list[Path]]


def partners(candidate: Path, reference: Path) -> dict[str | None, tuple[Path, Path]]:
    """Return (candidate, reference) by stem; two files are one pair, under None.

    A folder means the maps that lie directly in it; a pattern ('truth/*.gpkg') the files that match. Stems that one
    side alone has are counted in a warning.

    Raises:
        ConfigError: nothing is there, or a file is to be compared with a folder.
        ScoreError: no stem in common, or one that stands for several files.
    """
    ours, theirs = _files(candidate), _files(reference)
    if isinstance(ours, Path) and isinstance(theirs, Path):
        return {None: (ours, theirs)}
    if isinstance(ours, Path) or isinstance(theirs, Path):
        raise ConfigError(f"{candidate} and {reference}: give two files or two folders")
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        raise ScoreError(
            f"{candidate} ({_stems(ours)}) and {reference} ({_stems(theirs)}) have no file of one stem in common: "
            "name the files alike"
        )
    _tell_left_over(candidate, ours.keys() - theirs.keys())
    _tell_left_over(reference, theirs.keys() - ours.keys())
    return {stem: (_only(ours[stem], candidate), _only(theirs[stem], reference)) for stem in common}


def _files(place: Path) -> Path | ByStem:
    if place.is_file() or (place.exists() and place.suffix.lower() == ".gdb"):
        return place
    if place.is_dir():
        return _by_stem(place.iterdir())
    matches = glob.glob(str(place)) if glob.has_magic(str(place)) else []  # noqa: PTH207  (may be absolute)
    if not matches:
        raise ConfigError(f"{place}: there is no such file or folder")
    return _by_stem(map(Path, matches))


def _by_stem(paths: Iterable[Path]) -> ByStem:
    found: dict[str, list[Path]] = {}
    for path in sorted(paths):
        if path.suffix.lower() in _SUFFIXES and path.is_file() and not _is_no_map(path.name):
            found.setdefault(path.stem, []).append(path)
    return found


def _is_no_map(name: str) -> bool:
    return name.startswith(".") or name in _OURS or name.endswith("overlay.png")


def _only(files: list[Path], place: Path) -> Path:
    if len(files) > 1:
        names = " and ".join(path.name for path in files)
        pattern = files[0].with_name(f"*{files[0].suffix}")
        raise ScoreError(f"{place}: {names} bear one stem: say which are meant by a pattern, for instance '{pattern}'")
    return files[0]


def _tell_left_over(place: Path, stems: set[str]) -> None:
    if stems:
        log.warning("%s: %d without a partner, not scored: %s", place, len(stems), _named(stems))


def _stems(found: ByStem) -> str:
    return _named(found.keys()) if found else "no map directly in it"


def _named(stems: Iterable[str]) -> str:
    names = sorted(stems)
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
