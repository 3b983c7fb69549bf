"""How far does one get without a network? Canny edges and a watershed between them, with settings from a grid.

Edges of the brightness -> distance to the nearest edge -> seeds where that distance is large -> watershed, so that
every seed grows to the edges around it -> fields: the regions that are large and smooth enough. A baseline to compare
with, not product code.

Source: Canny 1986 and the watershed of Meyer 1994 as in scikit-image; the chain is that of many field delineation
studies (see Waldner and Diakogiannis 2020, arXiv 1910.12023, for an account).
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from fold_scores import Case, Sums, pooled, worth
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, label
from skimage.feature import canny
from skimage.segmentation import watershed

from hedgerow.arcs.join import join_tiles
from hedgerow.arcs.tile import tile_pieces
from hedgerow.geo.windows import whole

AERIAL_GRID: Mapping[str, Sequence[Any]] = {
    "work_m": (1.0, 2.0), "sigma_m": (2.0, 3.0), "contrast": (0.125, 0.16, 0.2), "low_share": (0.2,),
    "marker_m": (2.9, 3.9, 5.0), "min_area_m2": (3000.0, 5000.0), "min_width_m": (0.0, 20.0),
    "max_texture": (0.1, 0.12, None),
}  # fmt: skip
SENTINEL2_GRID: Mapping[str, Sequence[Any]] = {
    "work_m": (5.0, 10.0), "sigma_m": (5.0, 7.5, 10.0, 15.0), "contrast": (0.06, 0.1, 0.125, 0.16),
    "low_share": (0.2,), "marker_m": (4.9, 6.9, 9.9, 14.0), "min_area_m2": (1000.0, 3000.0, 6000.0),
    "min_width_m": (0.0,), "max_texture": (0.05, 0.08, 0.12, None),
}  # fmt: skip
"""What is tried; a wider grid was looked through by hand first (sigma 2 to 8 m, seeds 4 to 20 m off the edges)."""
_WHAT_IS_A_FIELD: Mapping[str, Any] = {"min_area_m2": 0.0, "min_width_m": 0.0, "max_texture": None}
_TEXTURE_PX = 4.0  # standard deviation of the window, stored pixels


@dataclass(frozen=True)
class Settings:
    """One way to do it; brightness runs from 0 to 1 (2nd to 98th percentile of each band)."""

    work_m: float
    """Resolution at which edges are looked for."""
    sigma_m: float
    """Canny's smoothing."""
    contrast: float
    """The step in brightness between two flat areas that just makes an edge, whatever the smoothing."""
    low_share: float
    """Weaker edges, of this share of it, are followed from strong ones."""
    marker_m: float
    """Seeds are connected areas at least this far from every edge."""
    min_area_m2: float
    """Smaller regions are no fields."""
    min_width_m: float
    """Regions of which twice the area by the perimeter is less are no fields, as in the preset `aerial`."""
    max_texture: float | None
    """Regions in which brightness varies more from pixel to pixel (standard deviation) are no fields; None: all are."""

    def coarser(self, pixel_m: tuple[float, float]) -> "Settings":
        """Return the settings for larger pixels: no length below what these can show, all else the same."""
        half_m = math.sqrt(pixel_m[0] * pixel_m[1]) / 2
        return replace(
            self,
            work_m=max(self.work_m, half_m),
            sigma_m=max(self.sigma_m, half_m),
            marker_m=max(self.marker_m, 0.98 * 2 * half_m),
        )


@dataclass(frozen=True)
class Segments:
    """Regions at the working resolution, with what decides whether they are fields; number 0 is none."""

    labels: NDArray[np.int32]
    area_m2: NDArray[np.float64]
    width_m: NDArray[np.float64]
    texture: NDArray[np.float64]

    def fields(self, settings: Settings, shape: tuple[int, int]) -> NDArray[np.int32]:
        """Return the fields (height, width) on the stored grid, 0 elsewhere."""
        kept = (self.area_m2 >= settings.min_area_m2) & (self.width_m >= settings.min_width_m)
        if settings.max_texture is not None:
            kept &= self.texture <= settings.max_texture
        kept[0] = False
        fields = np.where(kept[self.labels], self.labels, np.int32(0))
        return np.asarray(cv2.resize(fields, shape[::-1], interpolation=cv2.INTER_NEAREST), np.int32)


def classical_fields(case: Case, settings: Settings) -> NDArray[np.int32]:
    """Return the fields (height, width) of a scene, numbered from 1; 0 is `other`."""
    _, segments = next(_segmented(case, [settings]))
    return segments.fields(settings, case.valid.shape)


def grid(axes: Mapping[str, Sequence[Any]]) -> list[Settings]:
    """Return every combination of the settings."""
    return [Settings(**dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())]


def grid_sums(case: Case, settings: Sequence[Settings]) -> Iterator[tuple[Settings, Sums]]:
    """Yield what the metrics count in the map of every one of the settings."""
    for group, segments in _segmented(case, settings):
        for one in group:
            yield one, case.sums_of_fields(segments.fields(one, case.valid.shape))


def best(table: Sequence[Mapping[Settings, Sums]], *, texture: bool = True) -> Settings:
    """Return the settings that are worth most on some scenes together.

    Args:
        table: for every scene, what was counted with each of the settings.
        texture: whether regions may be turned down for their texture.
    """
    allowed = [one for one in table[0] if texture or one.max_texture is None]
    return max(allowed, key=lambda one: worth(pooled(scene[one] for scene in table)))


def _segmented(case: Case, settings: Sequence[Settings]) -> Iterator[tuple[list[Settings], Segments]]:
    """Yield the regions of settings that differ only in what a field is; edges are looked for once."""
    rgb = case.rgb()
    brightness = rgb.mean(axis=0)
    texture = _deviation(brightness)
    for edge, by_edge in _grouped(settings, marker_m=0.0, **_WHAT_IS_A_FIELD).items():
        cell_m, seen = _resampled(brightness, case.pixel_m, edge.work_m)
        depth_m = _depth_m(seen, edge, cell_m)
        fine = cv2.resize(texture, seen.shape[::-1], interpolation=cv2.INTER_AREA)
        for marked, group in _grouped(by_edge, **_WHAT_IS_A_FIELD).items():
            yield group, _grown(depth_m, marked.marker_m, fine, cell_m)


def _grouped(settings: Sequence[Settings], **same: Any) -> dict[Settings, list[Settings]]:
    groups: dict[Settings, list[Settings]] = {}
    for one in settings:
        groups.setdefault(replace(one, **same), []).append(one)
    return groups


def _resampled(
    brightness: NDArray[np.float32], pixel_m: tuple[float, float], work_m: float
) -> tuple[tuple[float, float], NDArray[np.float32]]:
    """Return (height, width) of a cell in metres, and the image (rows, columns) in such cells."""
    rows, cols = (max(1, round(n * m / work_m)) for n, m in zip(brightness.shape, pixel_m, strict=True))
    cell_m = (brightness.shape[0] * pixel_m[0] / rows, brightness.shape[1] * pixel_m[1] / cols)
    method = cv2.INTER_AREA if rows <= brightness.shape[0] else cv2.INTER_LINEAR
    return cell_m, np.asarray(cv2.resize(brightness, (cols, rows), interpolation=method), np.float32)


def _depth_m(seen: NDArray[np.float32], settings: Settings, cell_m: tuple[float, float]) -> NDArray[np.float64]:
    """Distance to the nearest edge.

    A step of height c under a Gaussian of s cells has the slope c / (sqrt(2 pi) s); scikit-image's Canny compares with
    eight times the slope, as its Sobel operator is not normalised.
    """
    sigma = settings.sigma_m / math.sqrt(cell_m[0] * cell_m[1])
    high = 8 * settings.contrast / (math.sqrt(2 * math.pi) * sigma)
    edges = canny(seen, sigma, settings.low_share * high, high)  # type: ignore[no-untyped-call]
    if not edges.any():
        return np.full(seen.shape, np.inf)
    return np.asarray(distance_transform_edt(~edges, sampling=cell_m))


def _grown(
    depth_m: NDArray[np.float64], marker_m: float, texture: NDArray[np.float32], cell_m: tuple[float, float]
) -> Segments:
    seeds, _ = label(depth_m >= marker_m)
    labels = np.asarray(watershed(-depth_m, seeds) if seeds.any() else seeds, np.int32)  # type: ignore[no-untyped-call]
    flat = labels.ravel()
    cells = np.bincount(flat)
    mean = np.bincount(flat, weights=texture.ravel()) / np.maximum(cells, 1)
    area_m2 = cells * (cell_m[0] * cell_m[1])
    return Segments(labels, area_m2, 2 * area_m2 / np.maximum(_perimeters_m(labels, cell_m), 1e-9), mean)


def _perimeters_m(labels: NDArray[np.int32], cell_m: tuple[float, float]) -> NDArray[np.float64]:
    """Return the perimeter of every region by number, measured as our maps do it."""
    window = whole(labels.shape)
    arcs = join_tiles([tile_pieces(np.pad(labels + 1, 1), window, labels.shape)])
    sides, lengths = np.concatenate([arcs.left, arcs.right]), np.tile(arcs.lengths_m(cell_m), 2)
    return np.asarray(np.bincount(sides, lengths, minlength=int(labels.max()) + 2)[1:])


def _deviation(brightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """Standard deviation of the brightness in a window around each pixel."""
    mean, square = (gaussian_filter(part.astype(np.float64), _TEXTURE_PX) for part in (brightness, brightness**2))
    return np.sqrt(np.maximum(square - mean**2, 0)).astype(np.float32)
