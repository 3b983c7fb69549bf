"""Where was most lost? Pictures of the worst tiles, and their ranking."""

from dataclasses import dataclass
from typing import Any

from pyproj import CRS

from hedgerow.errors import HedgerowError
from hedgerow.report import pictures
from hedgerow.report.leavings import REFERENCE, Leavings
from hedgerow.report.standings import low_bit_arms
from hedgerow.report.wording import TIMES
from hedgerow.report.worst import FEWEST_BORDER_PX, WorstTile, judged_arms, pixel_window, ranking, worst_tiles
from hedgerow.writers._probability import ProbabilityFile

MOST_TILES = 6
MOST_RANKED = 20


@dataclass(frozen=True, slots=True)
class TileRow:
    """One of the worst tiles: what it is, and its pictures as data URIs (image None where the input is gone)."""

    tile: WorstTile
    image: str | None
    reference: str
    arm: str
    overlay: str
    counts: pictures.Overlay
    part: str


def section(run: Leavings) -> dict[str, Any]:
    """Return what the section shows, as values for the template."""
    return {
        "tiles": [row for tile in worst_tiles(run, most=MOST_TILES) if (row := _tile_row(run, tile))],
        "ranking": ranking(run, most=MOST_RANKED),
        "judged_arms": judged_arms(run),
        "fewest_border_px": FEWEST_BORDER_PX,
        "few_bits": bool(low_bit_arms(run.arms)),
        "tolerance_px": pictures.TOLERANCE_PX,
        "classes": pictures.CLASS_COLOURS,
        "overlay_colours": {
            "kept": pictures.KEPT,
            "missing": pictures.MISSING,
            "misplaced": pictures.MISPLACED,
        },
    }


def _tile_row(run: Leavings, tile: WorstTile) -> TileRow | None:
    """Return the pictures of one tile; None where a raster of it is gone."""
    rasters = [ProbabilityFile(run.out / tile.input / arm / "probability.tif") for arm in (REFERENCE, tile.arm)]
    try:
        box = rasters[0].geobox
        window = pixel_window(tile.footprint, CRS.from_user_input(str(box.crs)), box.transform, rasters[0].shape)
        whole = pictures.overlay(rasters[1].read(window), rasters[0].read(window))
        part = pictures.worst_part(window, whole.picture)
        pixels = [raster.read(part) for raster in rasters]
        masks = [raster.valid.read(part) for raster in rasters]
    except (HedgerowError, OSError, ValueError):
        return None
    compared = pictures.overlay(pixels[1], pixels[0])
    reference, arm = (pictures.jpeg(pictures.class_map(*pair)) for pair in zip(pixels, masks, strict=True))
    image = next((pictures.image_of(r, part) for r in run.inputs if r.get("name") == tile.input), None)
    return TileRow(
        tile=tile,
        image=None if image is None else pictures.jpeg(image),
        reference=reference,
        arm=arm,
        overlay=pictures.png(compared.picture),
        counts=compared,
        part=f"{part.shape[1]}{TIMES}{part.shape[0]} px from row {part.y0}, column {part.x0}",
    )
