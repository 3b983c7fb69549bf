"""Which images are meant? Files, folders and globs become named scenes; nothing is opened yet."""

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from hedgerow.errors import ConfigError, SourceError

RASTER_SUFFIXES = frozenset(
    [
        ".tif",
        ".tiff",
        ".gtif",
        ".gtiff",
        ".vrt",
        ".jp2",
        ".img",
        ".png",
        ".jpg",
        ".jpeg",
        ".bsq",
        ".bil",
        ".ers",
        ".ntf",
        ".nc",
        ".asc",
        ".dat",
        ".webp",
    ]
)


@dataclass(frozen=True, slots=True)
class Scene:
    """One image to work on: `name` (STEM) is what its outputs are called, `path` a file or one file per band role."""

    name: str
    path: Path | Mapping[str, Path]

    @property
    def first_path(self) -> Path:
        """The file that stands for the scene, beside which its truth lies."""
        return self.path if isinstance(self.path, Path) else next(iter(self.path.values()))

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.first_path.parent

    @property
    def paths(self) -> tuple[Path, ...]:
        """All its files."""
        return (self.path,) if isinstance(self.path, Path) else tuple(self.path.values())


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: scenes in the order of their paths, and files that are rasters but not imagery."""

    scenes: tuple[Scene, ...]
    passed_over: tuple[Path, ...]


def find_scenes(inputs: Sequence[str], bands: Mapping[str, str] | None = None) -> Found:
    """Expand INPUTs.

    Args:
        inputs: files, folders (searched recursively by extension) or globs.
        bands: role -> file pattern, when scenes are sets of single-band files.

    Raises:
        ConfigError: an input that does not exist.
        SourceError: no raster at all, or a scene with a missing or ambiguous band.
    """
    files: list[tuple[Path, Path]] = []
    for text in inputs:
        files += _expand(text)
    tops = dict(reversed(files))  # each file once, named after the first input that holds it
    unique = list(dict.fromkeys(path for path, _ in files))
    passed_over = tuple(filter(_is_no_image, unique))
    images = [(path, tops[path]) for path in unique if not _is_no_image(path)]
    if not images:
        only = f" but {len(passed_over)} passed over by name (*_mask*, probability.tif)" if passed_over else ""
        raise SourceError(
            f"no raster in {', '.join(inputs)}{only}: looked for {', '.join(sorted(RASTER_SUFFIXES)[:6])} and others"
        )
    named = _stacked(images, bands) if bands else [(_stem(path, top), path) for path, top in images]
    return Found(tuple(_unique(named)), passed_over)


def _expand(text: str) -> Iterator[tuple[Path, Path]]:
    """Yield (file, folder below which its name counts)."""
    path = Path(text)
    if path.is_dir():
        yield from ((file, path) for file in sorted(path.rglob("*")) if _is_raster(file) and not _is_hidden(file, path))
    elif path.is_file():
        yield path, path.parent
    else:
        matches = sorted(Path(match) for match in glob.glob(text, recursive=True))  # noqa: PTH207  (may be absolute)
        if not matches:
            raise ConfigError(f"{text}: there is no such file or folder, and no file matches it")
        for match in matches:
            if match.is_dir():
                yield from _expand(str(match))
            elif _is_raster(match):
                yield match, match.parent


def _is_raster(path: Path) -> bool:
    return path.suffix.lower() in RASTER_SUFFIXES and path.is_file()


def _is_hidden(path: Path, top: Path) -> bool:
    """Say whether a file or a folder above it is hidden: what other systems leave there ('._a.tif') is no imagery."""
    return any(part.startswith(".") for part in path.relative_to(top).parts)


def _is_no_image(path: Path) -> bool:
    """Say whether a raster's name tells that it is a mask, or what an earlier run left in the folder."""
    return fnmatch(path.stem.lower(), "*_mask*") or path.name == "probability.tif"


def _stem(path: Path, top: Path) -> str:
    return path.relative_to(top).with_suffix("").as_posix()


def _stacked(images: Sequence[tuple[Path, Path]], bands: Mapping[str, str]) -> list[tuple[str, Mapping[str, Path]]]:
    """Make one scene per folder out of the files that match each role's pattern."""
    by_folder: dict[tuple[Path, Path], list[Path]] = {}
    for path, top in images:
        by_folder.setdefault((path.parent, top), []).append(path)
    scenes: list[tuple[str, Mapping[str, Path]]] = []
    for (folder, top), files in by_folder.items():
        matches = {role: [f for f in files if fnmatch(f.name, pattern)] for role, pattern in bands.items()}
        if not any(matches.values()):
            continue
        for role, found in matches.items():
            if len(found) != 1:
                names = ", ".join(f.name for f in found) or "no file"
                raise SourceError(f"{folder}: band {role}={bands[role]} matches {names}: exactly one file must")
        name = folder.relative_to(top).as_posix()
        scenes.append((folder.resolve().name if name == "." else name, {role: m[0] for role, m in matches.items()}))
    if not scenes:
        raise SourceError(f"no file matches --bands {','.join(f'{r}={p}' for r, p in bands.items())}")
    return scenes


def _unique(named: Sequence[tuple[str, Path | Mapping[str, Path]]]) -> Iterator[Scene]:
    """Give scenes of equal name a suffix: name, name-2, name-3."""
    seen: set[str] = set()
    for name, path in named:
        unique, count = name, 1
        while unique in seen:
            count += 1
            unique = f"{name}-{count}"
        seen.add(unique)
        yield Scene(unique, path)
