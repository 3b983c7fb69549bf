"""Do the tiles show? One raster traced with three tile sizes and compared feature by feature: `--check-seams`."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from hedgerow.contracts import Progress, silent
from hedgerow.edges.blocks import BLOCK_PX
from hedgerow.graph import Graph
from hedgerow.jobs.tracing import AS_IS, Rules, open_raster, ticking, work_folder
from hedgerow.stages.trace import TILE_PX

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_DIGEST_BYTES = 16
_NUMBERS = ("id", "left_id", "right_id", "source")
"""Columns that say which feature it is, not what it is: one field more would change them all."""


@dataclass(frozen=True)
class Difference:
    """A feature that one tile size gives and the first one does not, or the other way round; bounds in the CRS."""

    layer: str
    tile_px: int
    bounds: tuple[float, float, float, float]
    """(west, south, east, north)."""


@dataclass(frozen=True)
class SeamReport:
    """What three tile sizes made of one raster."""

    tile_px: tuple[int, int, int]
    fields: int
    borders: int
    differences: tuple[Difference, ...]

    def as_row(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        first, *others = self.tile_px
        return (
            f"{self.fields} fields and {self.borders} borders at tiles of {first} px; "
            f"{len(self.differences)} features differ at tiles of {' and '.join(map(str, others))} px"
        )


@dataclass(frozen=True)
class _Features:
    """The features of one layer: a digest of each (n,), and their bounds (n, 4)."""

    digest: NDArray[np.void]
    bounds: NDArray[np.float64]

    def without(self, other: "_Features") -> NDArray[np.float64]:
        """Return the bounds of the features that `other` does not have."""
        return self.bounds[~np.isin(self.digest, other.digest)]


def check_seams(
    raster: Path,
    *,
    kind: str | None = None,
    tracer: str | Mapping[str, Any] = "arcs",
    tile_px: int = TILE_PX,
    rules: Rules = AS_IS,
    scheduler: str = "threads",
    workers: int | None = None,
    progress: Progress = silent,
) -> SeamReport:
    """Trace a raster with three tile sizes and say where the maps differ; nothing is written.

    Args:
        raster: labels, classes or probabilities.
        kind, tracer: as in `trace_file`.
        tile_px: the first tile size; the others have other lines.
        rules: what becomes of small and ragged things.
        scheduler, workers, progress: as in `trace_file`.

    Raises:
        HedgerowError: as in `trace_file`.
    """
    found = open_raster(raster, kind, tracer, rules)
    sizes = tile_sizes(tile_px)
    features: dict[int, dict[str, _Features]] = {}
    with work_folder() as work, Graph(scheduler, workers) as graph:
        regions = found.regions(work, ticking(graph, progress, "label", found.geobox, BLOCK_PX))
        for size in sizes:
            each = ticking(graph, progress, f"{size} px", found.geobox, size)
            layers = found.scene(regions, rules, tile_px=size, each=each).outlines.layers(graph.each)
            features[size] = {name: features_of(parts) for name, parts in layers.items()}
    first = features[sizes[0]]
    return SeamReport(
        sizes, len(first["fields"].digest), len(first["borders"].digest),
        tuple(chain.from_iterable(differences(first, features[size], size) for size in sizes[1:])),
    )  # fmt: skip


def tile_sizes(tile_px: int) -> tuple[int, int, int]:
    """Return a tile size, and two others whose tiles lie across its own."""
    return tile_px, tile_px // 3 if tile_px >= 6 else tile_px + 1, 2 * tile_px + 1


def differences(first: dict[str, _Features], other: dict[str, _Features], tile_px: int) -> Iterator[Difference]:
    """Yield the features of two maps that only one of them has, layer by layer."""
    for layer, ours in first.items():
        theirs = other[layer]
        for bounds in (*ours.without(theirs), *theirs.without(ours)):
            west, south, east, north = map(float, bounds)
            yield Difference(layer, tile_px, (west, south, east, north))


def features_of(parts: "Iterator[GeoDataFrame]") -> _Features:
    """Digest a layer part by part: normalised geometries and everything that is said of them."""
    digests: list[bytes] = []
    bounds = [np.zeros((0, 4))]
    for part in parts:
        shapes = part.geometry.to_numpy()
        said = part.drop(columns=[part.geometry.name, *(name for name in _NUMBERS if name in part.columns)])
        rows = zip(shapely.to_wkb(shapely.normalize(shapes)), said.itertuples(index=False, name=None), strict=True)
        digests += [blake2b(wkb + repr(row).encode(), digest_size=_DIGEST_BYTES).digest() for wkb, row in rows]
        bounds.append(shapely.bounds(shapes).reshape(-1, 4))
    return _Features(np.frombuffer(b"".join(digests), f"V{_DIGEST_BYTES}"), np.concatenate(bounds))
