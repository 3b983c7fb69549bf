"""From pixels to regions: seeds, flooding and 4-connected areas on the fixed block grid, joined exactly.

Pass 1 finds seeds per block and joins them into seeds of the scene. Pass 2 floods each block with its halo, keeps
the core, and labels its 4-connected areas, which a second join turns into regions. Both joins number by first pixel
in raster order, and the grid never changes, so regions do not depend on tiles, workers or order.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hedgerow.contracts import Each, Tracer, WindowReader, one_by_one
from hedgerow.edges.blocks import BLOCK_PX, ArrayReader, BlockStore
from hedgerow.edges.components import BlockComponents, Components, block_components, join
from hedgerow.edges.regions import VOID, RegionStore
from hedgerow.errors import GeometryError
from hedgerow.geo.windows import grid
from hedgerow.records import FIELD
from hedgerow.stages.seeds import OTHER_LABEL, VOID_LABEL, Block, scene_markers, stored


def label_scene(
    pixels: WindowReader,
    valid: WindowReader,
    tracer: Tracer,
    store_folder: Path,
    *,
    pixel_m: tuple[float, float] | None = None,
    each: Each = one_by_one,
    block_px: int = BLOCK_PX,
) -> RegionStore:
    """Return the regions of a scene, stored block by block.

    Args:
        pixels: what the tracer reads: probabilities (classes, height, width) uint8, or integer labels (height, width).
        valid: (height, width) bool, True = valid.
        tracer: how pixels become regions.
        store_folder: a folder for the blocks; it must outlive the result.
        pixel_m: (height, width) of a pixel; only a tracer that cuts necks needs it.
        each: how the blocks are worked through.
        block_px: side of the blocks; results depend on it through the flooding, so keep it fixed between runs.

    Raises:
        GeometryError: `pixels` and `valid` do not cover the same raster, or the tracer needs the size of a pixel.
    """
    shape = _common_shape(pixels, valid)
    markers = scene_markers(pixels, valid, tracer, store_folder, pixel_m=pixel_m, each=each, block_px=block_px)
    areas = BlockStore(store_folder / "regions", shape, block_px)
    flooded = list(each(_FloodBlock(pixels, valid, tracer, markers.labels, areas), areas.blocks()))
    markers.forget()
    regions = _voids_last(join(flooded))
    ids = areas.renumber(regions.tables.items())
    return RegionStore(ids, markers.class_of[_label_of_key(regions.key)], regions.area_px)


def label_raster(
    labels: WindowReader,
    valid: WindowReader,
    store_folder: Path,
    *,
    each: Each = one_by_one,
    block_px: int = BLOCK_PX,
) -> RegionStore:
    """Return the regions of a label raster, stored block by block: every 4-connected area of one value is a field.

    Args:
        labels: (height, width) integers.
        valid: (height, width) bool, True = valid.
        store_folder: a folder for the blocks; it must outlive the result.
        each: how the blocks are worked through.
        block_px: side of the blocks; the result does not depend on it.

    Raises:
        GeometryError: `labels` and `valid` do not cover the same raster, or there are more areas than numbers.
    """
    areas = BlockStore(store_folder / "regions", _common_shape(labels, valid), block_px)
    found = list(each(_LabelBlock(labels, valid, areas), areas.blocks()))
    regions = _voids_last(join(found))
    return RegionStore(areas.renumber(regions.tables.items()), _field_or_void(regions), regions.area_px)


def label_array(
    labels: NDArray[Any], valid: NDArray[np.bool_] | None = None, *, block_px: int = BLOCK_PX
) -> RegionStore:
    """Return the regions of a label raster in memory: every 4-connected area of one value is a field.

    Args:
        labels: (height, width) integers.
        valid: (height, width), True = valid; None: valid where the label is not 0.
        block_px: side of the blocks that are labelled at a time; the result does not depend on it.

    Raises:
        GeometryError: the labels are no integers, or the shapes differ.
    """
    _check_labels(labels, valid)
    shape = (labels.shape[0], labels.shape[1])
    ids = np.zeros(shape, np.int32)
    blocks = []
    for index, window in grid(shape, block_px):
        part = labels[window.slices]
        keys = _keys_of_labels(part, part != 0 if valid is None else valid[window.slices])
        ids[window.slices], summary = block_components(keys, index, window, shape[1])
        blocks.append(summary)
    regions = _voids_last(join(blocks))
    for index, window in grid(shape, block_px):
        ids[window.slices] = regions.tables[index][ids[window.slices]]
    return RegionStore(ArrayReader(ids), _field_or_void(regions), regions.area_px)


@dataclass(frozen=True)
class _LabelBlock:
    """Label and store the areas of one block of a label raster; a value that pickles into any process."""

    labels: WindowReader
    valid: WindowReader
    store: BlockStore

    def __call__(self, block: Block) -> BlockComponents:
        _, window = block
        keys = _keys_of_labels(self.labels.read(window), self.valid.read(window))
        return stored(keys, self.store, block)


@dataclass(frozen=True)
class _FloodBlock:
    """Flood one block from the seeds of the scene, label and store its 4-connected areas."""

    pixels: WindowReader
    valid: WindowReader
    tracer: Tracer
    markers: WindowReader
    store: BlockStore

    def __call__(self, block: Block) -> BlockComponents:
        _, window = block
        seen = window.padded(self.tracer.halo_px).clipped(self.store.shape)
        valid = self.valid.read(seen)
        flooded = self.tracer.flood(self.markers.read(seen), self.pixels.read(seen), valid)
        core = window.inside(seen).slices
        label = np.where(valid[core], np.maximum(flooded[core], OTHER_LABEL), VOID_LABEL)
        return stored(_key_of_label(label), self.store, block)


def _keys_of_labels(labels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Keys above 0 for every label: 1 is invalid, then 2, 4, … for 0, 1, …, and 3, 5, … for -1, -2, …"""
    keys = labels.astype(np.int64)
    negative = keys >> 63  # -1 or 0
    keys <<= 1
    keys ^= negative
    keys += 2
    keys[~valid] = VOID_LABEL + 1
    return keys


def _field_or_void(regions: Components) -> NDArray[np.uint8]:
    return np.where(_label_of_key(regions.key) == VOID_LABEL, VOID, FIELD).astype(np.uint8)


def _key_of_label(label: NDArray[Any]) -> NDArray[np.int64]:
    """Keys above 0, so that invalid areas are components as well."""
    return label.astype(np.int64) + 1


def _label_of_key(key: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum(key - 1, VOID_LABEL)


def _voids_last(components: Components) -> Components:
    return components.with_last(_label_of_key(components.key) == VOID_LABEL)


def _common_shape(pixels: WindowReader, valid: WindowReader) -> tuple[int, int]:
    if pixels.shape != valid.shape:
        raise GeometryError(
            f"pixels of shape {pixels.shape} and their valid mask of {valid.shape} differ: give one raster"
        )
    return pixels.shape


def _check_labels(labels: NDArray[Any], valid: NDArray[np.bool_] | None) -> None:
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise GeometryError(
            f"labels must be (height, width) integers, got {labels.shape} {labels.dtype}: "
            f"classify probabilities first, or cast whole numbers with .astype('int32')"
        )
    if valid is not None and valid.shape != labels.shape:
        raise GeometryError(f"labels of shape {labels.shape} and their valid mask of {valid.shape} differ")
