"""What is learned from? Entries of the data list: synthetic scenes, and rasters with parcels beside them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator

from hedgerow.config import Settings, TruthRule
from hedgerow.records import CLASSES
from hedgerow.registry import configure, unknown


def _rising(span: tuple[float, float]) -> tuple[float, float]:
    if not 0 < span[0] <= span[1]:
        raise ValueError(f"{span}: give the smallest and the largest, both above 0")
    return span


def _classes(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in CLASSES:
            raise ValueError(unknown("class", name, CLASSES))
    return names


Span = Annotated[tuple[float, float], AfterValidator(_rising)]
Names = Annotated[tuple[str, ...], AfterValidator(_classes)]


class SyntheticData(Settings):
    """Scenes made on the fly by sources/synthetic."""

    kind: Literal["synthetic"] = "synthetic"
    weight: float = Field(1.0, ge=0)
    scenes: int = Field(64, ge=1)
    scene_px: int = Field(512, ge=64)
    gsd_m: Span = (0.1, 10.0)
    """Metres per pixel, within 0.05 to 10: scenes are spread evenly over the logarithm of this range."""
    land: Mapping[str, Any] = Field(default_factory=dict)
    """Further settings of the scenes, as sources/synthetic knows them: lakes, waterways, crowns, style, season, ..."""
    unlabelled: Names = ("other",)

    @field_validator("gsd_m")
    @classmethod
    def _can_be_made(cls, gsd_m: Span) -> Span:
        if gsd_m[0] < 0.05 or gsd_m[1] > 10:
            raise ValueError(f"{gsd_m} reaches beyond what scenes are made for, 0.05 to 10 m")
        return gsd_m

    @field_validator("land")
    @classmethod
    def _land_of_the_scenes(cls, land: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in ("kind", "name", "seed", "gsd_m", "height_px", "width_px"):
            if name in land:
                raise ValueError(f"{name} is drawn for every scene, or follows from gsd_m and scene_px: leave it out")
        configure("sources", {"kind": "synthetic", **land})
        return land


class FolderData(Settings):
    """Rasters with vector truth beside them."""

    kind: Literal["folder"] = "folder"
    weight: float = Field(1.0, ge=0)
    path: Path
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    """Patterns of stems."""
    rows: tuple[float, float] = (0.0, 1.0)
    """Which part of each raster, as shares of its height: a fixed split inside one scene."""
    bands: Mapping[str, str] | None = None
    stored_bands: tuple[str, ...] | None = None
    nodata: float | None = None
    """Stored value that is no measurement, where the file does not tell; it overrides what the file tells."""
    scaling: Mapping[str, tuple[float, ...]] | None = None
    """Constants {low: [...], high: [...]} per band of `bands` in the training; None: percentiles of each raster."""
    truth: str = "auto"
    truth_rule: TruthRule = TruthRule()
    unlabelled: Names = ("other", "forest", "border")
    """What a pixel outside the drawn polygons may be: with only fields drawn, anything but field."""
    zoom: Span = (1.0, 1.0)
    """Network pixels per stored pixel, drawn from this range: 0.5 looks at half the resolution."""

    @field_validator("rows")
    @classmethod
    def _part_of_a_raster(cls, rows: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= rows[0] < rows[1] <= 1:
            raise ValueError(f"{rows}: give the first and the last share of the height, from 0 to 1")
        return rows

    @field_validator("zoom")
    @classmethod
    def _can_be_cut(cls, zoom: Span) -> Span:
        if zoom[0] < 0.01 or zoom[1] > 16:
            raise ValueError(f"{zoom} reaches beyond what crops are made for, 0.01 to 16")
        return zoom


def _kind_of(entry: Any) -> str:
    """Return which of the two an entry is; one that does not say is a folder if it has a path."""
    if isinstance(entry, Mapping):
        return str(entry.get("kind", "folder" if "path" in entry else "synthetic"))
    return str(getattr(entry, "kind", ""))


Data = Annotated[
    Annotated[SyntheticData, Tag("synthetic")] | Annotated[FolderData, Tag("folder")],
    Discriminator(_kind_of, custom_error_type="kind", custom_error_message="kind must be synthetic or folder"),
]
