"""What does each surface look like? Reflectance (blue, green, red, near infrared) and texture of crops and materials.

Every surface has two colours: what it mostly is, and what shows where it is thin, worn, wet or between the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Look:
    """Colours and metric texture of one kind of surface; amplitudes are shares of the second colour, or of light."""

    main: Colour
    thin: Colour
    patches: float = 0.10
    streaks: float = 0.05
    grain: float = 0.04
    row_m: float = 0.0
    row_depth: float = 0.0
    tram: float = 0.0
    spread: float = 0.12


_SOIL: Colour = (0.095, 0.130, 0.170, 0.230)
_DARK_SOIL: Colour = (0.060, 0.075, 0.092, 0.130)
_STRAW: Colour = (0.095, 0.140, 0.190, 0.290)
_GRASS: Colour = (0.042, 0.092, 0.058, 0.380)

CROPS: dict[str, Look] = {
    "maize": Look((0.030, 0.070, 0.036, 0.44), _SOIL, 0.12, 0.05, 0.03, 0.75, 0.35, 0.0),
    "young maize": Look((0.060, 0.095, 0.090, 0.28), _SOIL, 0.30, 0.14, 0.04, 0.75, 0.75, 0.2),
    "soy": Look((0.034, 0.088, 0.044, 0.50), _SOIL, 0.13, 0.06, 0.03, 0.45, 0.30, 0.3),
    "green cereal": Look((0.032, 0.072, 0.040, 0.42), _SOIL, 0.12, 0.06, 0.03, 0.15, 0.20, 0.9),
    "yellowing cereal": Look(
        (0.058, 0.115, 0.105, 0.34), (0.075, 0.125, 0.155, 0.3), 0.45, 0.12, 0.04, 0.15, 0.15, 0.8
    ),
    "ripe cereal": Look((0.085, 0.145, 0.190, 0.33), (0.075, 0.115, 0.135, 0.3), 0.25, 0.10, 0.03, 0.15, 0.15, 0.8),
    "stubble": Look((0.105, 0.155, 0.200, 0.30), _SOIL, 0.25, 0.22, 0.05, 0.30, 0.25, 0.4),
    "rapeseed": Look((0.050, 0.175, 0.165, 0.46), (0.04, 0.11, 0.06, 0.42), 0.22, 0.08, 0.03, 0.15, 0.10, 0.8),
    "beet": Look((0.030, 0.088, 0.034, 0.52), _SOIL, 0.12, 0.05, 0.03, 0.50, 0.35, 0.6),
    "bare soil": Look(_SOIL, (0.07, 0.09, 0.115, 0.16), 0.40, 0.20, 0.05, 0.30, 0.20, 0.15, 0.22),
    "dark soil": Look(_DARK_SOIL, (0.085, 0.11, 0.14, 0.19), 0.35, 0.18, 0.05, 0.30, 0.20, 0.10, 0.20),
    "red soil": Look((0.058, 0.085, 0.140, 0.22), (0.05, 0.07, 0.105, 0.16), 0.35, 0.18, 0.05, 0.30, 0.2, 0.1, 0.2),
    "pale soil": Look((0.135, 0.175, 0.212, 0.28), (0.11, 0.14, 0.17, 0.22), 0.45, 0.18, 0.04, 0.30, 0.15, 0.1, 0.15),
    "pasture": Look(_GRASS, (0.065, 0.115, 0.110, 0.32), 0.30, 0.03, 0.06),
    "lush pasture": Look((0.034, 0.105, 0.036, 0.48), (0.045, 0.09, 0.06, 0.38), 0.30, 0.03, 0.05),
    "dry grass": Look((0.068, 0.115, 0.125, 0.29), (0.09, 0.13, 0.155, 0.27), 0.40, 0.06, 0.07),
    "hay": Look((0.056, 0.122, 0.092, 0.36), (0.085, 0.14, 0.145, 0.33), 0.30, 0.35, 0.04, 6.0, 0.40),
    "clover": Look((0.036, 0.082, 0.038, 0.48), _GRASS, 0.25, 0.05, 0.04),
    "young rice": Look((0.038, 0.082, 0.046, 0.30), (0.055, 0.07, 0.06, 0.06), 0.30, 0.05, 0.05, 0.30, 0.40),
    "flooded": Look((0.058, 0.078, 0.072, 0.06), (0.075, 0.095, 0.105, 0.10), 0.35, 0.05, 0.04),
    "mud": Look((0.050, 0.056, 0.062, 0.10), (0.055, 0.080, 0.055, 0.20), 0.40, 0.12, 0.10, 0.40, 0.25),
    "vegetables": Look((0.036, 0.088, 0.044, 0.42), _DARK_SOIL, 0.15, 0.05, 0.06, 1.40, 0.85),
    "strawed beds": Look((0.080, 0.115, 0.110, 0.30), _STRAW, 0.25, 0.10, 0.06, 1.10, 0.60),
}

SEASONS: dict[str, dict[str, float]] = {
    "spring": {
        "bare soil": 4, "dark soil": 2, "red soil": 0.5, "pale soil": 1, "green cereal": 4, "rapeseed": 1,
        "pasture": 1.5, "lush pasture": 1, "young maize": 1.5, "clover": 1,
    },
    "summer": {
        "maize": 4, "soy": 4, "green cereal": 1, "yellowing cereal": 1.5, "ripe cereal": 1.5, "beet": 1, "pasture": 1.5,
        "lush pasture": 0.8, "hay": 1.2, "stubble": 0.6, "bare soil": 0.8, "dry grass": 0.6, "young maize": 0.8,
    },
    "autumn": {
        "stubble": 3, "bare soil": 3, "pale soil": 2, "yellowing cereal": 2, "dry grass": 1.5, "maize": 1, "beet": 1,
        "dark soil": 1, "pasture": 1.5, "lush pasture": 0.8, "hay": 0.8,
    },
    "monsoon": {
        "mud": 4, "flooded": 1.5, "young rice": 3, "dry grass": 0.8, "vegetables": 1, "strawed beds": 0.6, "stubble": 1,
        "lush pasture": 0.5,
    },
    "garden": {
        "vegetables": 2, "strawed beds": 1.5, "bare soil": 2, "dark soil": 1.5, "young maize": 1.5, "green cereal": 2,
        "soy": 1.5, "hay": 0.8, "clover": 1, "ripe cereal": 1, "pasture": 1, "stubble": 1,
    },
}  # fmt: skip
"""How often a crop is seen, by season (or way of farming)."""

MATERIALS: dict[str, Look] = {
    "margin": Look((0.048, 0.088, 0.066, 0.34), (0.075, 0.115, 0.12, 0.29), 0.5, 0.03, 0.10, spread=0.2),
    "hedge": Look((0.020, 0.042, 0.026, 0.29), (0.03, 0.06, 0.04, 0.3), 0.3, 0.0, 0.10, spread=0.2),
    "bund": Look((0.042, 0.075, 0.055, 0.28), (0.075, 0.095, 0.10, 0.2), 0.5, 0.0, 0.12, spread=0.25),
    "track": Look((0.150, 0.190, 0.225, 0.29), (0.07, 0.11, 0.10, 0.3), 0.35, 0.0, 0.06, spread=0.14),
    "gravel": Look((0.190, 0.222, 0.240, 0.29), (0.13, 0.16, 0.17, 0.24), 0.3, 0.0, 0.04, spread=0.10),
    "asphalt": Look((0.115, 0.122, 0.126, 0.16), (0.08, 0.085, 0.09, 0.13), 0.3, 0.0, 0.03, spread=0.22),
    "concrete": Look((0.270, 0.300, 0.315, 0.35), (0.2, 0.225, 0.24, 0.28), 0.3, 0.0, 0.03, spread=0.08),
    "water": Look((0.045, 0.052, 0.040, 0.015), (0.070, 0.085, 0.075, 0.03), 0.5, 0.0, 0.01, spread=0.35),
    "lawn": Look((0.046, 0.090, 0.058, 0.37), (0.09, 0.12, 0.125, 0.28), 0.35, 0.0, 0.10, spread=0.15),
    "yard": Look((0.230, 0.265, 0.290, 0.34), (0.12, 0.15, 0.16, 0.25), 0.4, 0.0, 0.10, spread=0.25),
    "roof_white": Look((0.560, 0.580, 0.590, 0.58), (0.4, 0.42, 0.43, 0.43), 0.2, 0.0, 0.03, spread=0.2),
    "roof_grey": Look((0.220, 0.230, 0.240, 0.26), (0.17, 0.18, 0.18, 0.2), 0.2, 0.0, 0.04, spread=0.35),
    "roof_red": Look((0.090, 0.110, 0.230, 0.30), (0.07, 0.09, 0.16, 0.22), 0.3, 0.0, 0.05, spread=0.2),
    "roof_brown": Look((0.110, 0.130, 0.160, 0.21), (0.08, 0.09, 0.11, 0.16), 0.3, 0.0, 0.05, spread=0.3),
    "roof_blue": Look((0.360, 0.230, 0.130, 0.22), (0.3, 0.19, 0.11, 0.2), 0.2, 0.0, 0.03, spread=0.2),
    "rough": Look((0.040, 0.074, 0.056, 0.30), (0.080, 0.110, 0.115, 0.26), 0.6, 0.03, 0.14, spread=0.25),
    "tree": Look((0.021, 0.044, 0.026, 0.30), (0.032, 0.064, 0.038, 0.33), 0.3, 0.0, 0.10, spread=0.2),
}

FORESTS: dict[str, Look] = {
    "broadleaf": Look((0.022, 0.050, 0.028, 0.33), (0.034, 0.066, 0.040, 0.36), 0.4, 0.0, 0.08, spread=0.15),
    "conifer": Look((0.016, 0.031, 0.020, 0.21), (0.024, 0.046, 0.030, 0.25), 0.4, 0.0, 0.08, spread=0.15),
    "turning": Look((0.028, 0.056, 0.048, 0.31), (0.040, 0.072, 0.085, 0.33), 0.6, 0.0, 0.10, spread=0.15),
}

CANOPY = ("hedge", "tree")
"""Materials with crowns."""


class Column(IntEnum):
    """What the texture table holds: shares (0 to 1), metres, radians."""

    PATCHES, STREAKS, GRAIN, ROW_M, ROW_DEPTH, TRAM, TRAM_M, ANGLE, SWALES, EDGE, HEADLAND_M, OFFSET_M, MIX_X, MIX_Y = (
        range(14)
    )


@dataclass(frozen=True, slots=True)
class Surfaces:
    """A table of surfaces: one row per material, then per parcel; columns are what the renderer looks up by pixel."""

    main: NDArray[np.float32]
    thin: NDArray[np.float32]
    texture: NDArray[np.float32]
    """(surfaces, columns): the columns are named by `Column`."""
    canopy: NDArray[np.bool_]


def draw_surfaces(
    crops: list[str], forests: list[str], angles: NDArray[np.float64], widths_m: NDArray[np.float64],
    rng: np.random.Generator,
) -> Surfaces:  # fmt: skip
    """Draw the surfaces of a scene: every parcel differs a little from all others of its crop.

    Args:
        crops: the crop of each field, in the order of the labels.
        forests: the kind of each wood, after the fields.
        angles: working direction of each field, radians.
        widths_m: how wide each field is about (twice its area over its perimeter).
        rng: source of chance.
    """
    names = [*MATERIALS, *crops, *forests]
    looks = [*MATERIALS.values(), *(CROPS[c] for c in crops), *(FORESTS[f] for f in forests)]
    spread = np.array([k.spread for k in looks])[:, None]
    # One drift per scene and crop (variety, date), a smaller one per parcel: neighbours of one crop are hard to tell.
    drift = _by_kind(names, rng) + rng.uniform(0.2, 0.6) * rng.normal(size=(len(looks), 3))
    tint = np.exp(0.85 * spread * drift[:, :1] + 0.6 * spread * drift[:, 1:] @ _DRIFTS)
    main = np.array([k.main for k in looks]) * tint
    thin = np.array([k.thin for k in looks]) * np.sqrt(tint)
    texture = _texture(looks, slice(len(MATERIALS), len(MATERIALS) + len(crops)), angles, widths_m, rng)
    canopy = np.array([name in CANOPY or name in FORESTS for name in names])
    return Surfaces(main.astype(np.float32), thin.astype(np.float32), texture.astype(np.float32), canopy)


_DRIFTS = np.array([(-0.5, 0.0, 0.5, 0.1), (-0.10, 0.30, -0.25, 0.30)])
"""Directions of colour change: warmer, greener (blue, green, red, near infrared)."""


def _texture(
    looks: list[Look], fields: slice, angles: NDArray[np.float64], widths_m: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:  # fmt: skip
    """Return the texture table: as the looks say, with what only fields have drawn for each field."""
    count, n = len(looks), fields.stop - fields.start
    table = np.zeros((count, len(Column)))
    table[:, : Column.TRAM_M] = [(k.patches, k.streaks, k.grain, k.row_m, k.row_depth, k.tram) for k in looks]
    table[:, : Column.GRAIN] *= np.exp(rng.normal(0, 0.5, (count, 2)))
    table[:, Column.ROW_M] *= np.exp(rng.normal(0, 0.1, count))
    table[:, Column.TRAM] *= rng.random(count) < 0.75
    table[:, Column.TRAM_M] = rng.choice((12.0, 18.0, 24.0, 30.0, 36.0), count)
    table[:, Column.OFFSET_M] = rng.uniform(0, 400, count)
    mix = rng.uniform(0, 2 * np.pi, count)
    table[:, Column.MIX_X], table[:, Column.MIX_Y] = np.cos(mix), np.sin(mix)
    table[fields, Column.ANGLE] = angles
    table[fields, Column.SWALES] = rng.gamma(0.6, 0.35, n) * (rng.random(n) < 0.5)
    table[fields, Column.EDGE] = rng.normal(0.25, 0.3, n)
    table[fields, Column.HEADLAND_M] = np.minimum(rng.uniform(7, 26, n), 0.16 * widths_m) * (rng.random(n) < 0.6)
    return table


def _by_kind(names: list[str], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw three normal numbers per kind, the same for all surfaces of the kind."""
    kinds = {name: rng.normal(size=3) for name in dict.fromkeys(names)}
    return np.array([kinds[name] for name in names])
