"""Where on earth does a synthetic scene lie? A grid of square ground pixels in any CRS."""

from __future__ import annotations

from typing import Protocol

from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Transformer

from hedgerow.errors import ConfigError


class Placed(Protocol):
    """What must be known of a scene to place it."""

    @property
    def gsd_m(self) -> float: ...
    @property
    def height_px(self) -> int: ...
    @property
    def width_px(self) -> int: ...
    @property
    def epsg(self) -> int: ...
    @property
    def longitude(self) -> float | None: ...
    @property
    def latitude(self) -> float | None: ...


def place(config: Placed) -> GeoBox:
    """Return the grid of a scene, north up, its pixels `gsd_m` wide and high on the ground at the centre.

    Raises:
        ConfigError: the CRS is unknown or has no place for the centre.
    """
    try:
        crs = CRS.from_epsg(config.epsg)
    except Exception as error:
        raise ConfigError(f"synthetic scene: EPSG:{config.epsg} is unknown; give a code such as 32633") from error
    lon, lat = _centre(config, crs)
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    if not abs(x) + abs(y) < 1e12:
        raise ConfigError(
            f"synthetic scene: ({lon}, {lat}) degrees has no place in EPSG:{config.epsg}; move the centre"
        )
    if crs.is_geographic:
        step_x, step_y = _degrees(lon, lat, config.gsd_m)
        left, top = x - step_x * config.width_px / 2, y + step_y * config.height_px / 2
    else:
        step_x = step_y = config.gsd_m / crs.axis_info[0].unit_conversion_factor
        left = round((x - step_x * config.width_px / 2) / step_x) * step_x
        top = round((y + step_y * config.height_px / 2) / step_y) * step_y
    return GeoBox((config.height_px, config.width_px), Affine(step_x, 0, left, 0, -step_y, top), f"EPSG:{config.epsg}")


def _centre(config: Placed, crs: CRS) -> tuple[float, float]:
    """Return longitude and latitude: as given, else in the middle of where the CRS is used, at 45 degrees or near."""
    area = crs.area_of_use
    west, south, east, north = (area.west, area.south, area.east, area.north) if area else (-180, -80, 180, 80)
    south, north = south + 0.05 * (north - south), north - 0.05 * (north - south)
    longitude = (west + east) / 2 if config.longitude is None else config.longitude
    target = 45.0 if north > 0 else -30.0
    return longitude, min(max(target, south), north) if config.latitude is None else config.latitude


def _degrees(lon: float, lat: float, gsd_m: float) -> tuple[float, float]:
    """Return how many degrees of longitude and of latitude `gsd_m` metres are."""
    geod = Geod(ellps="WGS84")
    _, _, east_m = geod.inv(lon - 0.005, lat, lon + 0.005, lat)
    _, _, north_m = geod.inv(lon, lat - 0.005, lon, lat + 0.005)
    return gsd_m * 0.01 / east_m, gsd_m * 0.01 / north_m
