"""The whole of `hedgerow score`: two maps in, scores out, whatever network or person they come from."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from hedgerow.edges.matching import match_edges
from hedgerow.edges.views import Pair
from hedgerow.errors import ConfigError, ScoreError
from hedgerow.geo.tiling import tile_geobox
from hedgerow.jobs.grids import Ground, common_ground
from hedgerow.jobs.loading import load
from hedgerow.jobs.mapfiles import AUTO, IMAGES, MapFile, map_files
from hedgerow.jobs.partners import partners
from hedgerow.jobs.told import as_told
from hedgerow.metrics._overlay import overlay_of
from hedgerow.records import Score
from hedgerow.stages.bootstrap import resample as resample_tiles
from hedgerow.stages.bootstrap import with_intervals
from hedgerow.stages.measure import DEFAULT_METRICS, Measured, Scorers, measure, scorers, scores
from hedgerow.writers._staging import staged
from hedgerow.writers._tables import write_scores

log = logging.getLogger(__name__)

AGAINST, ARM = "reference", "candidate"
SCORES, OVERLAY = "scores.json", "overlay.png"
TILE_PX = 512
_SEED = 0  # of the intervals


@dataclass(frozen=True)
class Comparison:
    """Two files and the grid on which they are compared: settled before a pixel is judged."""

    candidate: MapFile
    reference: MapFile
    ground: Ground

    def pair(self) -> Pair:
        """Load both maps on their common valid area.

        Raises:
            ScoreError: there is none, or a map that does not hold what it should.
        """
        ours, theirs = load(self.candidate, self.ground), load(self.reference, self.ground)
        common = ours.valid & theirs.valid
        if not common.any():
            raise ScoreError(f"{self.candidate.path} and {self.reference.path} have no valid pixel in common")
        one, other = (loaded.view(common, self.ground.pixel_size_m) for loaded in (ours, theirs))
        return Pair(one if theirs.known is None else as_told(one, theirs.known), other)


def score(
    candidate: Path | str,
    reference: Path | str,
    *,
    out: Path | str | None = None,
    kind: str = AUTO,
    reference_kind: str | None = None,
    gsd_m: float | None = None,
    resample: bool = False,
    metrics: Sequence[str | Mapping[str, Any]] | None = None,
    tile_px: int = TILE_PX,
    overwrite: bool = False,
) -> list[Score]:
    """Return every score of a candidate map against a reference map.

    Only what is valid in both maps counts. Rasters whose pixels fall together are cropped to what both cover. Against
    polygons, classes that these do not tell of (parcels say nothing of forests) count as `other`.

    Args:
        candidate: a raster (a probability raster of hedgerow, or one band: probability, mask, classes or labels), a
            vector file, or a folder of them (or a pattern, 'maps/*.tif').
        reference: likewise; folders are matched by stem.
        out: folder that gets `scores.json`, and the edges kept (white), missing (blue) and misplaced (red) as
            `overlay.png` or `STEM_overlay.png`.
        kind: what rasters of one band are: auto, probability, mask, classes or labels; see `jobs.mapfiles.map_files`.
        reference_kind: the same for the reference; None: as `kind`.
        gsd_m: metres per pixel, for two vector files or two rasters without CRS.
        resample: whether a candidate on another grid is brought onto the reference's: codes by the nearest pixel,
            probabilities by bilinear interpolation, or area averages where the reference's pixels are larger.
        metrics: settings of each metric, such as its name; None: the default set.
        tile_px: tiles of the sums and of the bootstrap intervals; no score depends on it.
        overwrite: whether results in `out` may be replaced.

    Raises:
        ConfigError: a file that does not exist, one that may not be replaced, or an option that is needed or unknown.
        ScoreError: grids that differ, nothing in common, folders without a common stem, values that a kind lacks.
        SourceError: a file that cannot be read as a map.
    """
    pairs = partners(Path(candidate), Path(reference))
    target = None if out is None else Path(out)
    if target is not None:
        _refuse_existing(target, [_overlay_name(name) for name in pairs], overwrite=overwrite)
    chosen = _chosen(metrics)
    planned = _planned(pairs, (kind, reference_kind or kind), gsd_m, resample=resample)
    measured: dict[str | None, Measured] = {}
    pictures: dict[str, bytes] = {}
    for name, comparison in planned.items():
        tiles = tile_geobox(comparison.ground.geobox, tile_px, 0)
        pair = comparison.pair()
        measured[name] = measure(pair, chosen.metrics, tiles)
        if target is not None:
            pictures[_overlay_name(name)] = _overlay(pair)
    found = scores(measured, chosen, arm=ARM, against=AGAINST, pooled=None not in measured)
    found = with_intervals(found, resample_tiles(measured.values(), chosen, seed=_SEED))
    if target is not None:
        _write(found, pictures, target)
    return found


def _planned(
    pairs: Mapping[str | None, tuple[Path, Path]],
    kinds: tuple[str, str],
    gsd_m: float | None,
    *,
    resample: bool,
) -> dict[str | None, Comparison]:
    ours = map_files([one for one, _ in pairs.values()], kinds[0])
    theirs = map_files([other for _, other in pairs.values()], kinds[1])
    planned = {
        name: Comparison(one, other, common_ground(one, other, gsd_m=gsd_m, resample=resample))
        for name, one, other in zip(pairs, ours, theirs, strict=True)
    }
    _tell_if_unlike(list(planned.values()))
    return planned


def _tell_if_unlike(comparisons: Sequence[Comparison]) -> None:
    """An image against regions is seldom what is meant, and a byte raster is easily taken for the wrong one."""
    for comparison in comparisons:
        one, other = sorted((comparison.candidate, comparison.reference), key=lambda file: file.kind not in IMAGES)
        if one.kind in IMAGES and other.kind not in IMAGES:
            log.warning(
                "%s is read as a %s, %s as %s: if one of them is something else (such as labels), say so with --as "
                "or --reference-as",
                one.path, one.kind, other.path, other.kind,
            )  # fmt: skip
            return


def _chosen(metrics: Sequence[str | Mapping[str, Any]] | None) -> Scorers:
    if metrics is None:
        return scorers(DEFAULT_METRICS)
    if not metrics:
        raise ConfigError("no metric is named: name some, for instance erqa and boundary_f1, or leave the choice open")
    names = [metric for metric in metrics if isinstance(metric, str)]
    if len(set(names)) < len(names):
        raise ConfigError(f"metrics {', '.join(names)}: name each once")
    return scorers(metrics)


def _refuse_existing(out: Path, overlays: Sequence[str], *, overwrite: bool) -> None:
    blocked = next((place for place in (out, *out.parents) if place.exists() and not place.is_dir()), None)
    if blocked is not None:
        raise ConfigError(f"{blocked}: is a file; give a folder for the results")
    there = next((out / name for name in (SCORES, *overlays) if (out / name).exists()), None)
    if there is not None and not overwrite:
        raise ConfigError(f"{there}: exists already; choose another folder or pass --overwrite")


def _overlay_name(name: str | None) -> str:
    return OVERLAY if name is None else f"{name}_{OVERLAY}"


def _overlay(pair: Pair) -> bytes:
    """Return the picture as PNG: it is for looking, and opens anywhere."""
    picture = overlay_of(match_edges(pair.candidate.edges, pair.reference.edges))
    return bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1])


def _write(found: Sequence[Score], pictures: Mapping[str, bytes], out: Path) -> None:
    """Write everything or nothing; the scores come last."""
    with staged(out / SCORES) as folder:
        for name, picture in pictures.items():
            (folder / name).write_bytes(picture)
        write_scores([one.as_row() for one in found], folder / SCORES)
