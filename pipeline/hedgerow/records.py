"""What travels between the parts? Frozen values that check themselves at birth; arrays inside are read-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NewType

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from hedgerow.errors import GeometryError, ScoreError
from hedgerow.geo.windows import Window

if TYPE_CHECKING:  # geopandas stays out of floor 0 at run time
    from geopandas import GeoDataFrame

CLASSES = ("other", "field", "forest", "border")
"""The classes of every probability raster, in band order."""

OTHER, FIELD, FOREST, BORDER = range(4)

REGION_CLASSES = CLASSES[:3]
"""The classes that a region can have: border pixels have been given to their regions."""

Bytes = NewType("Bytes", int)

Better = Literal["higher", "lower", "zero", "one", "neither"]
"""Which way a score is good: as high or low as can be, as near to 0 or 1 as can be, or it only informs."""


def class_pair(a: int, b: int) -> str:
    """Name the kind of border between two region classes, independent of their order: 'field|forest'."""
    order = (FIELD, FOREST, OTHER)
    first, second = sorted((a, b), key=order.index)
    return f"{CLASSES[first]}|{CLASSES[second]}"


def level_name(name: str, level: float) -> str:
    """Name the sum that counts how often `level` was booked: 'distance=2.5'."""
    return f"{name}={level:.9g}"


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True)
class Tile:
    """One piece of a raster: cores partition it exactly, the padded window contains the core."""

    index: tuple[int, int]
    core: Window
    padded: Window
    geobox: GeoBox

    def __post_init__(self) -> None:
        if not self.padded.contains(self.core):
            raise GeometryError(f"tile {self.index}: padded window {self.padded} does not contain core {self.core}")

    @property
    def id(self) -> str:
        """A name that is stable between runs: row and column."""
        return f"r{self.index[0]:04d}c{self.index[1]:04d}"


@dataclass(frozen=True, slots=True)
class Patch:
    """Pixels read from a source: `data` (bands, height, width), `valid` (height, width), True = valid.

    Nodata value, alpha band and mask are already combined in `valid`; NaN never means nodata.
    """

    data: NDArray[Any]
    valid: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.data.ndim != 3 or self.data.shape[1:] != self.valid.shape or self.valid.dtype != np.bool_:
            raise GeometryError(
                f"a patch needs data (bands, height, width) and a bool mask (height, width), "
                f"got {self.data.shape} and {self.valid.shape} {self.valid.dtype}"
            )
        object.__setattr__(self, "data", _frozen(self.data))
        object.__setattr__(self, "valid", _frozen(self.valid))


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which model to run: small and hashable, it travels in the graph instead of the model.

    `path` is a model folder (model.safetensors and model.json) or `module:factory`; `digest` is that of its weights.
    """

    arm: str
    path: str
    digest: str
    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one arm says of one tile's core: probabilities (classes, height, width) float32 in [0, 1]."""

    tile: Tile
    arm: str
    probabilities: NDArray[np.float32]
    valid: NDArray[np.bool_]
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.probabilities.shape != (len(CLASSES), *self.tile.core.shape):
            raise GeometryError(
                f"tile {self.tile.id}, arm {self.arm}: probabilities of shape {self.probabilities.shape}, "
                f"expected {(len(CLASSES), *self.tile.core.shape)}"
            )
        object.__setattr__(self, "probabilities", _frozen(self.probabilities))
        object.__setattr__(self, "valid", _frozen(self.valid))

    def as_bytes(self) -> NDArray[np.uint8]:
        """Return the probabilities as written: round(255 p), 0 where invalid."""
        scaled = np.rint(self.probabilities * np.float32(255)).astype(np.uint8)
        return np.where(self.valid, scaled, np.uint8(0))


@dataclass(frozen=True, slots=True)
class Regions:
    """A map as regions: `labels` (height, width) int32, 0 = invalid; `class_of[label]` is the region's class.

    Several disjoint areas may share a label; each 4-connected area becomes one polygon.
    """

    labels: NDArray[np.int32]
    class_of: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or self.labels.dtype != np.int32:
            raise GeometryError(f"labels must be (height, width) int32, got {self.labels.shape} {self.labels.dtype}")
        if self.labels.size and (self.labels.min() < 0 or self.labels.max() >= len(self.class_of)):
            raise GeometryError("a label has no class: `class_of` must cover 0..labels.max() and labels be >= 0")
        object.__setattr__(self, "labels", _frozen(self.labels))
        object.__setattr__(self, "class_of", _frozen(self.class_of))

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(height, width), True = valid."""
        return np.not_equal(self.labels, 0)

    def without(self, classes: frozenset[int]) -> Regions:
        """Return the map as one would see it who cannot tell `classes` from `other`: they share one label with it."""
        as_other = np.isin(self.class_of, [*classes, OTHER])
        as_other[0] = False
        label = np.where(as_other, np.flatnonzero(as_other)[:1].sum(), np.arange(len(self.class_of)))
        return Regions(label[self.labels].astype(np.int32), np.where(as_other, OTHER, self.class_of).astype(np.uint8))


@dataclass(frozen=True, slots=True)
class FieldMap:
    """A finished map: `fields` (field and forest polygons out of a valid coverage) and `borders` (each line once).

    `fields` columns: id, class, area_m2, perimeter_m, confidence, source, geometry.
    `borders` columns: id, left_id, right_id, class_pair, length_m, confidence, open, geometry.
    """

    fields: GeoDataFrame
    borders: GeoDataFrame
    arm: str = "fp32"
    summary: Mapping[str, float] = field(default_factory=dict)

    @property
    def crs(self) -> Any:
        """The CRS of both layers."""
        return self.fields.crs

    @property
    def polygons(self) -> GeoDataFrame:
        """The fields, by their geometric name."""
        return self.fields


@dataclass(frozen=True, slots=True)
class Tally:
    """Named sums of one metric over some pixels; the tally of a scene is the sum of its tiles' tallies."""

    metric: str
    parameters: tuple[tuple[str, Any], ...]
    sums: Mapping[str, float]

    def __add__(self, other: Tally) -> Tally:
        if (self.metric, self.parameters) != (other.metric, other.parameters):
            raise ScoreError(
                f"cannot add tallies of {self.metric} and {other.metric}: metric and parameters must agree"
            )
        keys = self.sums.keys() | other.sums.keys()
        return Tally(
            self.metric, self.parameters, {k: self.sums.get(k, 0) + other.sums.get(k, 0) for k in sorted(keys)}
        )

    @classmethod
    def zero(cls, metric: str, parameters: tuple[tuple[str, Any], ...] = ()) -> Tally:
        """Return the tally of no pixel at all."""
        return cls(metric, parameters, {})


@dataclass(frozen=True, slots=True)
class Value:
    """One concluded number: `value` None where it does not apply, then `flag` says why; `n` is its support."""

    name: str
    value: float | None
    unit: str
    n: int
    flag: str | None = None
    terms_used: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.unit:
            raise ScoreError(f"score {self.name} has no unit: write '1' for a ratio")
        if self.value is None and not self.flag:
            raise ScoreError(f"score {self.name} has no value and no flag that says why")
        if self.value is not None and not isfinite(self.value):
            raise ScoreError(f"score {self.name} is {self.value}: a value that does not apply is None with a flag")


@dataclass(frozen=True, slots=True)
class Score:
    """A value with its address: which arm, against what, which kind of border, which input (None = all pooled)."""

    metric: str
    arm: str
    against: str
    layer: str
    input: str | None
    value: float | None
    unit: str
    n: int
    low: float | None = None
    high: float | None = None
    flag: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    terms_used: tuple[str, ...] = ()

    def as_row(self) -> dict[str, Any]:
        """Return the score as a row of scores.json."""
        return asdict(self)
