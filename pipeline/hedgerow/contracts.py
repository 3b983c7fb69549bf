"""What does each family promise? One protocol per family; stages know these and never a concrete file.

A family file is `<family>/<kind>.py` with a frozen pydantic `Config` and `build(config)` that returns the promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from hedgerow.geo.windows import Window
from hedgerow.records import FieldMap, Patch, Regions, Value

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from torch import Tensor, nn

    from hedgerow.quantization.taps import TapPoint

T = TypeVar("T")
R = TypeVar("R")


class Each(Protocol):
    """How a plain function is applied to many items: a for loop, or a scheduler (see graph.py). Keeps the order."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]: ...


def one_by_one(function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
    """Apply `function` in a for loop: the simplest `Each`."""
    return map(function, items)


class Progress(Protocol):
    """Hears of long work: `stage` names it, `done` of `total` steps are finished."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


def silent(stage: str, done: int, total: int) -> None:
    """Hear nothing: the default `Progress`."""


@runtime_checkable
class Source(Protocol):
    """Imagery on one grid, read by windows. Picklable; opens late, one handle per thread."""

    @property
    def name(self) -> str:
        """What outputs are called after (STEM)."""

    @property
    def geobox(self) -> GeoBox:
        """CRS, transform, shape."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands in the order in which `read` gives them."""

    def read(self, window: Window) -> Patch:
        """Return the pixels of a window that lies inside the raster, as stored (unscaled)."""


@runtime_checkable
class Composed(Protocol):
    """A source made of others; the three tuples run side by side, in the order in which members are asked for a pixel.

    What lies in no extent is invalid: nobody needs to read it to know.
    """

    @property
    def members(self) -> tuple[Source, ...]:
        """The sources it is made of, each on its own grid."""

    @property
    def extents(self) -> tuple[Window, ...]:
        """Where each member may hold valid pixels."""

    @property
    def methods(self) -> tuple[str, ...]:
        """How each member's pixels are brought onto the grid, in words."""


def may_hold(source: Source, window: Window) -> bool:
    """Say, without reading, whether a window may hold a valid pixel."""
    return not isinstance(source, Composed) or any(extent.common(window) for extent in source.extents)


class WindowReader(Protocol):
    """An array that is read by windows: a raster on disk, or an array in memory."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""

    def read(self, window: Window) -> NDArray[Any]:
        """Return (height, width) or (bands, height, width) of a window that lies inside."""


class Backbone(Protocol):
    """A segmentation network: an nn.Module in eval mode, as `build` returns it; its weights are loaded afterwards.

    Its inside is looked at by names that are the same whether it is float or quantized (quantization/taps.py); a
    network without `tap_points`, such as a user's own, is asked by the names of those submodules that return one
    tensor.
    """

    def __call__(self, image: Tensor, /) -> Tensor:
        """Map (n, bands, height, width) in [0, 1] to logits (n, classes, height, width)."""

    def tap_points(self) -> Mapping[str, TapPoint]:
        """Return what can be looked at inside: tokens, facets and maps of attention, features of the decoder."""


class Quantizer(Protocol):
    """A way to make a network smaller. `apply` leaves the input model untouched and is the same for the same seed."""

    def apply(self, model: nn.Module, calibration: Sequence[Tensor]) -> nn.Module:
        """Return a new quantized module; `calibration` holds scaled images (bands, height, width)."""


class Tracer(Protocol):
    """How pixels become regions. Every rule is local within a reach, so that blocks agree with the whole."""

    @property
    def halo_px(self) -> int:
        """What `flood` must see around a block."""

    @property
    def seed_reach_px(self) -> int:
        """What `seeds` must see around a block."""

    @property
    def min_seed_px(self) -> int:
        """Seeds smaller than this (over the whole scene) do not grow a region."""

    @property
    def neck_m(self) -> float:
        """Seeds are parted where they are narrower than this between wide parts, metres; 0: they are not."""

    def seeds(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return a key per pixel (height, width): equal neighbouring keys > 0 are one seed, 0 is no seed."""

    def class_of(self, key: int) -> int:
        """Return the region class (other, field, forest) of a seed key."""

    def flood(self, markers: NDArray[np.int32], pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Give every valid pixel to one of the numbered seeds in `markers`; 0 only where invalid or out of reach."""


class Booking(Protocol):
    """Sums booked on pixels: see metrics/_booking.py."""

    @property
    def rows(self) -> NDArray[np.int64]: ...
    @property
    def cols(self) -> NDArray[np.int64]: ...
    @property
    def values(self) -> Mapping[str, NDArray[Any]]: ...
    @property
    def levels(self) -> Mapping[str, NDArray[np.float64]]: ...


class Metric(Protocol):
    """A score whose sums are booked on pixels: the tally of a tile is what was booked in its core.

    So the tally of any tiling adds up to the tally of the scene, by construction.
    """

    @property
    def name(self) -> str: ...

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        """What the sums depend on; tallies with other parameters cannot be added."""

    @property
    def by_layer(self) -> bool:
        """Whether the score is also given for each kind of border."""

    def book(self, pair: Any) -> Sequence[Booking]:
        """Book every contribution of a pair of maps (edges.views.Pair) on a pixel."""

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        """Turn sums into scores; all sums absent or zero means nothing to compare."""


class Composite(Protocol):
    """A score concluded from named scores of the same arm, tile and layer."""

    def compose(self, values: Mapping[str, Value]) -> Sequence[Value]:
        """Return the composite values; a missing term is left out, weights are renormalised, `terms_used` says so."""


class Writer(Protocol):
    """A file format for a field map."""

    @property
    def extension(self) -> str: ...

    @property
    def crs(self) -> str | None:
        """The one CRS that the format knows; None: any."""

    def write(self, field_map: FieldMap, path: Path) -> Sequence[Path]:
        """Write atomically (temp, then rename) and return the files made; styles beside them are not listed."""

    def write_layers(self, layers: Mapping[str, GeoDataFrame], path: Path) -> Sequence[Path]:
        """Write layers of any name; a format that holds one layer gives one that comes alone to `path` itself."""

    def write_parts(self, layers: Mapping[str, Iterable[GeoDataFrame]], path: Path) -> Sequence[Path]:
        """Do the same with layers that come part by part, one part at least; not whole in memory where it can be."""


__all__ = [
    "Backbone", "Booking", "Composed", "Composite", "Each", "Metric", "Progress", "Quantizer", "Regions", "Source",
    "Tracer", "WindowReader", "Writer", "may_hold", "one_by_one", "silent",
]  # fmt: skip
