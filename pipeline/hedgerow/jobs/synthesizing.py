"""Where do pictures with exact truth come from? Render synthetic scenes and write each beside its truth."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from hedgerow.contracts import Progress, silent
from hedgerow.errors import ConfigError
from hedgerow.randomness import rng_for
from hedgerow.registry import configure, module_of

DEFAULT_CYCLE: tuple[dict[str, Any], ...] = (
    {"sensor": "aerial", "gsd_m": 1.0, "epsg": 32615, "longitude": -92.1, "latitude": 41.9, "style": "section"},
    {"sensor": "satellite", "gsd_m": 10.0, "epsg": 32633, "longitude": 13.1, "latitude": 48.3, "style": "european"},
    {"sensor": "drone", "gsd_m": 0.25, "epsg": 32750, "longitude": 115.2, "latitude": -8.5, "style": "paddies"},
    {"sensor": "aerial", "gsd_m": 1.0, "epsg": 4326, "longitude": -89.6, "latitude": 42.4, "style": "european"},
    {"sensor": "satellite", "gsd_m": 10.0, "epsg": 25832, "longitude": 9.3, "latitude": 56.1, "style": "section"},
    {"sensor": "drone", "gsd_m": 0.1, "epsg": 32633, "longitude": 15.4, "latitude": 47.2, "style": "strips"},
)
"""Six scenes that show every sensor twice, in five CRSs; a longer series goes round and draws other seeds."""


def synth(
    out: Path, *, scenes: int = 6, seed: int = 0, overwrite: bool = False, progress: Progress = silent, **settings: Any
) -> list[Path]:
    """Write synthetic scenes STEM.tif, each with its truth STEM.gpkg (layer `fields`, columns class and crop).

    Args:
        out: folder; made if it is not there.
        scenes: how many scenes.
        seed: same seed and settings, same files.
        overwrite: replace scenes of the same names; without it they are refused.
        progress: hears of every scene written.
        settings: options of the source `synthetic` that hold for all scenes (sensor, gsd_m, epsg, style, season,
            height_px, width_px, ...); with a sensor of one's own choice nothing of the default cycle is used.

    Returns:
        The pictures, in order.

    Raises:
        ConfigError: a wrong setting, no scenes asked for, or a scene that is already there.
    """
    if scenes < 1:
        raise ConfigError(f"synth: {scenes} scenes cannot be made; ask for 1 or more")
    planned = list(_plan(scenes, seed, settings))
    _refuse_existing(out, [stem for stem, _ in planned], overwrite=overwrite)
    out.mkdir(parents=True, exist_ok=True)
    source, pictures = module_of("sources", "synthetic"), []
    for done, (stem, options) in enumerate(planned, start=1):
        picture, _ = source.write(source.render(configure("sources", {"kind": "synthetic", **options})), out, stem)
        pictures.append(picture)
        progress("synth", done, scenes)
    return pictures


def _plan(scenes: int, seed: int, settings: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield stem and options of every scene; all options are checked before the first scene is rendered."""
    bases = ({},) if "sensor" in settings else DEFAULT_CYCLE
    seen: dict[str, int] = {}
    for index, base in enumerate(islice(cycle(bases), scenes)):
        drawn = int(rng_for(seed, "synth", index).integers(2**31))
        config: Any = configure("sources", {"kind": "synthetic", **base, "seed": drawn, **settings})
        number = seen[config.sensor] = seen.get(config.sensor, -1) + 1
        stem = f"{config.sensor}_{_metres(config.gsd_m)}_{_letters(number)}"
        yield stem, config.model_copy(update={"name": stem}).model_dump()


def _metres(gsd_m: float) -> str:
    """Write a pixel size so that it fits a file name: 10m, 25cm."""
    return f"{gsd_m:g}m".replace(".", "p") if gsd_m >= 1 else f"{100 * gsd_m:g}cm".replace(".", "p")


def _letters(number: int) -> str:
    """Count a, b, ..., z, aa, ab, ..."""
    head, tail = divmod(number, 26)
    return (_letters(head - 1) if head else "") + ascii_lowercase[tail]


def _refuse_existing(out: Path, stems: list[str], *, overwrite: bool) -> None:
    there = [stem for stem in stems if (out / f"{stem}.tif").exists() or (out / f"{stem}.gpkg").exists()]
    if there and not overwrite:
        raise ConfigError(f"synth: {out} already holds {there[0]}; give --overwrite or another folder")
