"""What does the network learn from? Scenes in memory: scaled pixels, and the polygons that are known of them."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt, maximum_filter

from hedgerow import registry
from hedgerow.errors import SourceError
from hedgerow.geo.metres import ground_sampling_distance_m
from hedgerow.geo.windows import Window
from hedgerow.randomness import integer_seed, rng_for
from hedgerow.records import BORDER, CLASSES
from hedgerow.scaling import constant_scaling, scaling_of
from hedgerow.sources._truth import find_truth, read_truth
from hedgerow.training.data import FolderData, SyntheticData
from hedgerow.training.folders import first_file, images

ANY = (1 << len(CLASSES)) - 1
"""The set of all classes: nothing is known of a pixel."""

_STRIP_PX = 2


@dataclass(frozen=True)
class LabelledScene:
    """One image of the training set."""

    name: str
    image: NDArray[np.float32]
    """(bands, height, width) in [0, 1]."""
    valid: NDArray[np.bool_]
    transform: Affine
    gsd_m: float
    """Metres per stored pixel: the geometric mean of both axes at the centre."""
    polygons: NDArray[np.object_]
    classes: NDArray[np.uint8]
    unlabelled: int
    """Set of classes that a pixel outside every polygon may have."""
    zoom: tuple[float, float]

    @property
    def finest(self) -> float:
        """Stored pixels per network pixel of the crops that look closest."""
        return 1 / self.zoom[1]

    def known(self, scale: float, part: tuple[slice, slice] = np.s_[:, :]) -> NDArray[np.bool_]:
        """Say where the truth can be trusted: not within 2 network px of nodata or frame, where it just ends.

        Args:
            scale: stored pixels per network pixel: who looks from afar must keep further away.
            part: rows and columns that are asked for.
        """
        return np.asarray(self._depth_px[part] > _strip_px(scale))

    def border_points(self, scale: float) -> NDArray[np.int32]:
        """Return the known pixels on a border, (n, 2) row and column: where crops are laid that must show one."""
        points, depths_px = self._outline
        return points[np.searchsorted(depths_px, _strip_px(scale), side="right") :]

    def certain(self) -> int:
        """Return the set of classes that are drawn, or are all that is left outside, where pixels are known."""
        rest = self.known(self.finest)
        found = 1 << BORDER if len(self.border_points(self.finest)) else 0
        for c in np.unique(self.classes):
            met = self._burned(self.polygons[self.classes == c], all_touched=True) & self.known(self.finest)
            found |= 1 << int(c) if met.any() else 0
            rest &= ~met
        return found | (self.unlabelled if self.unlabelled.bit_count() == 1 and rest.any() else 0)

    @cached_property
    def _depth_px(self) -> NDArray[np.uint16]:
        """Stored pixels, along rows, columns and diagonals, to the nearest that is not valid or beyond the frame."""
        depth_px = distance_transform_cdt(np.pad(self.valid, 1), metric="chessboard")[1:-1, 1:-1]
        return np.asarray(np.minimum(depth_px, np.iinfo(np.uint16).max), np.uint16)

    @cached_property
    def _outline(self) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
        """Pixels on a border, (n, 2), and their depths, least first."""
        lines = self._burned(shapely.boundary(self.polygons))
        order = np.argsort(self._depth_px[lines], kind="stable")
        return np.argwhere(lines)[order].astype(np.int32), self._depth_px[lines][order]

    def _burned(self, shapes: NDArray[np.object_], *, all_touched: bool = False) -> NDArray[np.bool_]:
        """Say which stored pixels shapes cover."""
        shape = (self.valid.shape[0], self.valid.shape[1])
        if not len(shapes):
            return np.zeros(shape, bool)
        burned = rasterio.features.rasterize(
            shapes, out_shape=shape, transform=self.transform, all_touched=all_touched, dtype="uint8"
        )
        return np.asarray(burned > 0)

    def targets(self, transform: Affine, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Burn the sets of possible classes onto a grid: polygons, then their borders, 3 px wide."""
        shapes = [(p, 1 << int(c)) for p, c in zip(self.polygons, self.classes, strict=True)]
        if not shapes:
            return np.full(shape, self.unlabelled, np.uint8)
        sets = rasterio.features.rasterize(
            shapes, out_shape=shape, transform=transform, fill=self.unlabelled, dtype="uint8"
        )
        lines = rasterio.features.rasterize(  # 1 px more on every side: a border just outside reaches in
            shapely.boundary(self.polygons),
            out_shape=(shape[0] + 2, shape[1] + 2),
            transform=transform @ Affine.translation(-1, -1),
        )
        near = maximum_filter(lines, 3)[1:-1, 1:-1] > 0
        return np.where(near, np.uint8(1 << BORDER), sets)


def unseen_classes(scenes: Iterable[LabelledScene]) -> tuple[str, ...]:
    """Return the names of the classes that no known pixel of any scene has for certain."""
    seen = 0
    for scene in scenes:
        seen |= scene.certain()
        if seen == ANY:
            break
    return tuple(name for c, name in enumerate(CLASSES) if not seen & 1 << c)


def load_scenes(data: SyntheticData | FolderData, bands: tuple[str, ...], seed: int) -> Iterator[LabelledScene]:
    """Yield the scenes of one entry of the data list."""
    return _synthetic(data, bands, seed) if isinstance(data, SyntheticData) else _from_folder(data, bands, seed)


def _synthetic(data: SyntheticData, bands: tuple[str, ...], seed: int) -> Iterator[LabelledScene]:
    rng = rng_for(seed, "scenes")
    low, high = np.log(data.gsd_m)
    for i in range(data.scenes):
        gsd_m = float(np.exp(low + (high - low) * (i + rng.random()) / data.scenes))
        sensor = "satellite" if gsd_m > 4 else "aerial" if gsd_m > 0.4 else "drone"
        drawn = {"seed": integer_seed(seed, "scene", i) % 2**31, "gsd_m": gsd_m, "sensor": sensor}
        size = {"height_px": data.scene_px, "width_px": data.scene_px}
        source: Any = registry.build("sources", {"kind": "synthetic", **drawn, **size, **data.land})
        if missing := [band for band in bands if band not in source.bands]:
            raise SourceError(
                f"synthetic scenes of {gsd_m:.2g} m have {', '.join(source.bands)}, not {', '.join(missing)}: "
                "train on folders alone, or on other `bands`"
            )
        scene, order = source.scene, [source.bands.index(b) for b in bands]
        scaling = scaling_of(source, seed)
        patch = source.read(Window(0, 0, *scene.valid.shape))
        if scaling is None:
            continue
        yield LabelledScene(
            name=f"synthetic-{i}",
            image=scaling.apply(patch)[order],
            valid=patch.valid,
            transform=scene.geobox.transform,
            gsd_m=gsd_m,
            polygons=np.asarray(scene.truth.geometry.values, dtype=object),
            classes=np.asarray([CLASSES.index(c) for c in scene.truth["class"]], np.uint8),
            unlabelled=_bits(data.unlabelled),
            zoom=(1.0, 1.0),
        )


def _from_folder(data: FolderData, bands: tuple[str, ...], seed: int) -> Iterator[LabelledScene]:
    for name, place in images(data):
        stored = {"stored_bands": data.stored_bands, "nodata": data.nodata}
        source = registry.build("sources", {"kind": "geotiff", "path": place, "bands": bands, **stored})
        scaling = scaling_of(source, seed)
        truth_path = find_truth(data.truth, first_file(place), name)
        if scaling is None:
            raise SourceError(f"{first_file(place)}: has no valid pixel: leave it out (`exclude: [{name}]`)")
        if truth_path is None:
            raise SourceError(
                f"{first_file(place)}: has no truth beside it ({name}.gpkg or {name}_fields.gpkg): add it, name it "
                f"(`truth`), or leave the raster out (`exclude: [{name}]`)"
            )
        truth = read_truth(truth_path, source.geobox, truth_rule=data.truth_rule)
        rows, cols = source.geobox.shape
        window = Window(round(data.rows[0] * rows), 0, round(data.rows[1] * rows), cols)
        if window.y0 == window.y1:
            raise SourceError(f"{first_file(place)}: has {rows} rows, of which `rows: {list(data.rows)}` leaves none")
        patch = source.read(window)
        scaling = scaling if data.scaling is None else constant_scaling(data.scaling, bands)
        yield LabelledScene(
            name=name,
            image=scaling.apply(patch),
            valid=patch.valid,
            transform=source.geobox.transform @ Affine.translation(0, window.y0),
            gsd_m=ground_sampling_distance_m(source.geobox),
            polygons=truth.geometries,
            classes=truth.classes,
            unlabelled=_bits(data.unlabelled),
            zoom=data.zoom,
        )


def _strip_px(scale: float) -> int:
    """Return the width in stored pixels of the strip of which nothing is known."""
    return math.ceil(_STRIP_PX * scale)


def _bits(names: Sequence[str]) -> int:
    """Return a set of classes; no name says as little as all of them."""
    return sum(1 << CLASSES.index(name) for name in set(names)) or ANY
