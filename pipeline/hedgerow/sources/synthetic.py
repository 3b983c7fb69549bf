"""What would a known landscape look like? Synthetic scenes, from drone to satellite, with exact vector truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pydantic import BaseModel, ConfigDict, Field

from hedgerow.geo.windows import Window
from hedgerow.randomness import rng_for
from hedgerow.records import FIELD, FOREST, Patch
from hedgerow.sources import _synthetic_sensor as sensor
from hedgerow.sources._synthetic_layout import Layout, Waters, lay_out
from hedgerow.sources._synthetic_place import place
from hedgerow.sources._synthetic_render import Sun, label_raster, reflectance
from hedgerow.sources._synthetic_surfaces import CROPS, FORESTS, SEASONS, draw_surfaces
from hedgerow.sources._synthetic_write import write

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

Sensor = Literal["satellite", "aerial", "drone"]
StyleName = Literal["section", "european", "strips", "contour", "paddies"]
Season = Literal["spring", "summer", "autumn", "monsoon", "garden"]

BANDS: dict[str, tuple[str, ...]] = {
    "satellite": ("blue", "green", "red", "nir"),
    "aerial": ("red", "green", "blue"),
    "drone": ("red", "green", "blue", "alpha"),
}


class Config(BaseModel):
    """A scene; what is None is drawn from the seed.

    `satellite` stores uint16 reflectance x 10000, `aerial` bytes, `drone` bytes and an alpha band with a transparent
    collar around a turned flight block.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0)
    gsd_m: float = Field(1.0, ge=0.05, le=10.0, description="ground sampling distance, metres per pixel")
    height_px: int = Field(512, ge=16, le=8192)
    width_px: int = Field(512, ge=16, le=8192)
    sensor: Sensor = "aerial"
    epsg: int = 32633
    longitude: float | None = Field(None, ge=-180, le=180, description="of the centre, degrees")
    latitude: float | None = Field(None, ge=-85, le=85, description="of the centre, degrees")
    style: StyleName | None = None
    season: Season | None = None
    haze: float | None = Field(None, ge=0, le=2, description="0 = clear air, 1 = a hazy day")
    noise: float | None = Field(None, ge=0, le=5, description="1 = an ordinary camera")
    lakes: float = Field(0, ge=0, le=10, description="mean number of lakes and wide rivers in a scene")
    waterways: float = Field(1, ge=0, le=1, description="share of grassed waterways that cut their field in two")
    crowns: float | None = Field(1, ge=0, le=1, description="contrast of tree crowns; None: drawn, 0.1 to 1")
    name: str = "synthetic"


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and its truth.

    `image` (bands, height, width) with names `bands`; `valid` (height, width), True = valid; `truth` holds columns
    class, crop, geometry in the CRS of `geobox`; `classes` (height, width) is the region class (other, field, forest)
    and `parcels` (height, width) the row of `truth` plus one (0 = neither), both at pixel centres.
    """

    image: NDArray[Any]
    bands: tuple[str, ...]
    valid: NDArray[np.bool_]
    geobox: GeoBox
    truth: GeoDataFrame
    classes: NDArray[np.uint8]
    parcels: NDArray[np.int32]


def render(config: Config) -> Scene:
    """Return the scene of a config: the same config, the same bytes."""
    shape = (config.height_px, config.width_px)
    geobox = place(config)
    style = config.style or _style(config)
    footprint = _flight_block(config) if config.sensor == "drone" else None
    size_m = (shape[0] * config.gsd_m, shape[1] * config.gsd_m)
    waters = Waters(config.lakes, config.waterways, rng_for(config.seed, "synthetic", "waters"))
    layout = lay_out(size_m, config.gsd_m, style, rng_for(config.seed, "synthetic", "layout"), waters, footprint)
    crops, woods = _crops(config, style, layout)
    polygons = np.concatenate([layout.fields, layout.forests])
    parcels = label_raster(polygons, shape, config.gsd_m)
    class_of = np.array([0] + [FIELD] * len(layout.fields) + [FOREST] * len(layout.forests), dtype=np.uint8)
    valid = np.ones(shape, bool) if footprint is None else label_raster(np.array([footprint]), shape, config.gsd_m) > 0
    image = _expose(_reflect(config, layout, crops, woods, shape), valid, config)
    truth = _truth(polygons, crops, woods, geobox, config.gsd_m)
    return Scene(image, BANDS[config.sensor], valid, geobox, truth, class_of[parcels], parcels)


def _style(config: Config) -> StyleName:
    """Draw a kind of landscape that a scene of this extent can show."""
    extent_m = math.sqrt(config.height_px * config.width_px) * config.gsd_m
    names: tuple[StyleName, ...] = ("section", "european", "strips", "contour", "paddies")
    if extent_m < 130:
        chances = (0.10, 0.15, 0.20, 0.05, 0.50)
    elif extent_m < 1500:
        chances = (0.50, 0.25, 0.10, 0.10, 0.05)
    else:
        chances = (0.35, 0.40, 0.15, 0.10, 0.00)
    return names[rng_for(config.seed, "synthetic", "style").choice(5, p=chances)]


def _flight_block(config: Config) -> Any:
    """Return the outline of a turned flight block, in metres: what lies outside is transparent."""
    rng = rng_for(config.seed, "synthetic", "flight")
    height, width = config.height_px * config.gsd_m, config.width_px * config.gsd_m
    turn = math.radians(rng.uniform(4, 14) * rng.choice([-1, 1]))
    corners = np.array([(-1, -1), (0, -1.03), (1, -1), (1.02, 0), (1, 1), (0, 1.02), (-1, 1), (-1.03, 0)]) * 0.47
    corners += rng.uniform(-0.015, 0.015, corners.shape)
    c, s = math.cos(turn), math.sin(turn)
    turned = np.column_stack([c * corners[:, 0] - s * corners[:, 1], s * corners[:, 0] + c * corners[:, 1]])
    inside = np.clip(turned + 0.5, 0.004, 0.996) * (width, height)
    return shapely.Polygon(np.rint(inside * 1000) / 1000).buffer(0)


def _crops(config: Config, style: str, layout: Layout) -> tuple[list[str], list[str]]:
    """Draw a crop for every field out of the few that a landscape grows, and a kind for every wood."""
    rng = rng_for(config.seed, "synthetic", "crops")
    small = style == "paddies" or config.gsd_m * config.height_px < 120
    season = config.season or str(rng.choice(["monsoon", "garden"] if small else ["spring", "summer", "autumn"]))
    names, weights = list(SEASONS[season]), np.array(list(SEASONS[season].values()))
    kept = rng.choice(
        len(names), size=min(len(names), int(rng.integers(3, 8))), replace=False, p=weights / weights.sum()
    )
    share = weights[kept] * rng.gamma(2.0, 0.5, len(kept))
    crops = [names[kept[i]] for i in rng.choice(len(kept), len(layout.fields), p=share / share.sum())]
    leaves = (0.15, 0.2, 0.65) if season == "autumn" else (0.72, 0.26, 0.02)
    woods = [tuple(FORESTS)[i] for i in rng.choice(3, len(layout.forests), p=leaves)]
    return crops, woods


def _reflect(
    config: Config, layout: Layout, crops: list[str], woods: list[str], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Return reflectance (height, width, bands), bands blue, green, red (and near infrared for a satellite)."""
    rng = rng_for(config.seed, "synthetic", "land")
    surfaces = draw_surfaces(crops, woods, _working_directions(layout, rng), _widths_m(layout), rng)
    azimuth = rng.uniform(0, 2 * math.pi)
    sun = Sun((math.cos(azimuth), math.sin(azimuth)), float(rng.uniform(0.4, 1.3)))
    bands = (0, 1, 2, 3) if config.sensor == "satellite" else (0, 1, 2)
    relief = config.crowns
    if relief is None:
        relief = float(rng_for(config.seed, "synthetic", "crowns").uniform(0.1, 1.0))
    return reflectance(layout, surfaces, shape, config.gsd_m, bands, sun, relief, rng)


def _working_directions(layout: Layout, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the direction (radians) in which each field is worked: mostly along its longer side."""
    if not len(layout.fields):
        return np.zeros(0)
    boxes = shapely.get_coordinates(shapely.oriented_envelope(layout.fields)).reshape(len(layout.fields), -1, 2)
    first, second = boxes[:, 1] - boxes[:, 0], boxes[:, 2] - boxes[:, 1]
    longer = np.where((np.hypot(*first.T) > np.hypot(*second.T))[:, None], first, second)
    turn = np.where(rng.random(len(longer)) < 0.12, math.pi / 2, 0) + rng.normal(0, 0.01, len(longer))
    return np.asarray(np.arctan2(longer[:, 1], longer[:, 0]) + turn)


def _widths_m(layout: Layout) -> NDArray[np.float64]:
    return np.asarray(2 * shapely.area(layout.fields) / shapely.length(layout.fields))


def _expose(land: NDArray[np.float32], valid: NDArray[np.bool_], config: Config) -> NDArray[Any]:
    """Return the stored picture (bands, height, width)."""
    rng = rng_for(config.seed, "synthetic", "sensor")
    blur = sensor.blurred(land, rng.uniform(0.4, 0.7))
    haze = rng.uniform(0, 1) if config.haze is None else config.haze
    noise = rng.uniform(0.3, 1.2) if config.noise is None else config.noise
    if config.sensor == "satellite":
        return np.ascontiguousarray(sensor.satellite(blur, haze, noise, rng).transpose(2, 0, 1))
    contrast = rng.uniform(1.15, 1.5) if config.sensor == "drone" else 1.0
    picture = sensor.camera(blur, haze, noise, contrast, rng)
    if config.sensor == "aerial":
        return np.ascontiguousarray(picture.transpose(2, 0, 1))
    alpha = valid[..., None] * np.uint8(255)
    return np.ascontiguousarray(
        np.concatenate([np.where(valid[..., None], picture, 0), alpha], axis=-1).transpose(2, 0, 1)
    )


def _truth(polygons: NDArray[Any], crops: list[str], woods: list[str], geobox: GeoBox, gsd_m: float) -> GeoDataFrame:
    """Return the parcels in map coordinates: one affine map for all vertices keeps shared borders shared."""
    import geopandas

    a = geobox.transform

    def to_map(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = xy[:, 0] / gsd_m, xy[:, 1] / gsd_m
        return np.column_stack([a.a * x + a.b * y + a.c, a.d * x + a.e * y + a.f])

    columns = {"class": ["field"] * len(crops) + ["forest"] * len(woods), "crop": [*crops, *woods]}
    return geopandas.GeoDataFrame(columns, geometry=shapely.transform(polygons, to_map), crs=str(geobox.crs))


@dataclass(frozen=True)
class SyntheticSource:
    """A scene as a source of imagery; it is rendered at the first read and never stored with a pickle."""

    config: Config

    @property
    def name(self) -> str:
        """What outputs are called after."""
        return self.config.name

    @property
    def geobox(self) -> GeoBox:
        """CRS, transform, shape; known without rendering."""
        return place(self.config)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands; alpha is a mask, not a band."""
        return tuple(b for b in BANDS[self.config.sensor] if b != "alpha")

    def read(self, window: Window) -> Patch:
        """Return the pixels of a window that lies inside the scene."""
        rows, cols = window.slices
        return Patch(self.scene.image[: len(self.bands), rows, cols], self.scene.valid[rows, cols])

    @cached_property
    def scene(self) -> Scene:
        """The whole scene with its truth."""
        return render(self.config)

    def __getstate__(self) -> dict[str, Any]:
        return {"config": self.config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def build(config: Config) -> SyntheticSource:
    """Return the scene of `config` as a source."""
    return SyntheticSource(config)


__all__ = ["BANDS", "CROPS", "Config", "Scene", "SyntheticSource", "build", "render", "write"]
