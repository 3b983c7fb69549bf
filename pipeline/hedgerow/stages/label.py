"""From pixels to regions: seeds, flooding and 4-connected areas on the fixed block grid, joined exactly.

Pass 1 finds seeds per block and joins them into seeds of the scene. Pass 2 floods each block with its halo, keeps
the core, and labels its 4-connected areas, which a second join turns into regions. Both joins number by first pixel
in raster order, and the grid never changes, so regions do not depend on tiles, workers or order.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hedgerow.contracts import Each, Tracer, WindowReader, one_by_one
from hedgerow.edges.blocks import BLOCK_PX, ArrayReader, BlockStore, Index
from hedgerow.edges.components import BlockComponents, Components, block_components, join
from hedgerow.edges.regions import VOID, RegionStore
from hedgerow.errors import GeometryError
from hedgerow.geo.windows import Window, grid
from hedgerow.records import FIELD, OTHER

_VOID_LABEL, _OTHER_LABEL = 0, 1
"""Labels of a flooded scene: invalid, `other` (which has no instances: one label for all of it), then the seeds."""

Block = tuple[Index, Window]


def label_scene(
    pixels: WindowReader,
    valid: WindowReader,
    tracer: Tracer,
    store_folder: Path,
    *,
    each: Each = one_by_one,
    block_px: int = BLOCK_PX,
) -> RegionStore:
    """Return the regions of a scene, stored block by block.

    Args:
        pixels: what the tracer reads: probabilities (classes, height, width) uint8, or integer labels (height, width).
        valid: (height, width) bool, True = valid.
        tracer: how pixels become regions.
        store_folder: a folder for the blocks; it must outlive the result.
        each: how the blocks are worked through.
        block_px: side of the blocks; results depend on it through the flooding, so keep it fixed between runs.

    Raises:
        GeometryError: `pixels` and `valid` do not cover the same raster.
    """
    shape = _common_shape(pixels, valid)
    seeds = BlockStore(store_folder / "seeds", shape, block_px)
    areas = BlockStore(store_folder / "regions", shape, block_px)
    found = join(list(each(_SeedBlock(pixels, valid, tracer, seeds), seeds.blocks())))
    label_of, class_of_label = _labels_of_seeds(found, tracer)
    markers = seeds.renumber((index, label_of[table]) for index, table in found.tables.items())
    flooded = list(each(_FloodBlock(pixels, valid, tracer, markers, areas), areas.blocks()))
    shutil.rmtree(seeds.folder, ignore_errors=True)
    regions = _voids_last(join(flooded))
    ids = areas.renumber(regions.tables.items())
    return RegionStore(ids, class_of_label[_label_of_key(regions.key)], regions.area_px)


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
    lowest = int(labels.min()) if labels.size else 0
    blocks = []
    for index, window in grid(shape, block_px):
        part = labels[window.slices]
        usable = part != 0 if valid is None else valid[window.slices]
        label = np.where(usable, part.astype(np.int64) - lowest + _OTHER_LABEL, _VOID_LABEL)
        ids[window.slices], summary = block_components(_key_of_label(label), index, window, shape[1])
        blocks.append(summary)
    regions = _voids_last(join(blocks))
    for index, window in grid(shape, block_px):
        ids[window.slices] = regions.tables[index][ids[window.slices]]
    kind = np.where(_label_of_key(regions.key) == _VOID_LABEL, VOID, FIELD).astype(np.uint8)
    return RegionStore(ArrayReader(ids), kind, regions.area_px)


@dataclass(frozen=True)
class _SeedBlock:
    """Find, label and store the seeds of one block; a value that pickles into any process."""

    pixels: WindowReader
    valid: WindowReader
    tracer: Tracer
    store: BlockStore

    def __call__(self, block: Block) -> BlockComponents:
        index, window = block
        keys = self.tracer.seeds(self.pixels.read(window), self.valid.read(window))
        ids, summary = block_components(keys, index, window, self.store.shape[1])
        self.store.write(index, ids)
        return summary


@dataclass(frozen=True)
class _FloodBlock:
    """Flood one block from the seeds of the scene, label and store its 4-connected areas."""

    pixels: WindowReader
    valid: WindowReader
    tracer: Tracer
    markers: BlockStore
    store: BlockStore

    def __call__(self, block: Block) -> BlockComponents:
        index, window = block
        seen = window.padded(self.tracer.halo_px).clipped(self.store.shape)
        valid = self.valid.read(seen)
        flooded = self.tracer.flood(self.markers.read(seen), self.pixels.read(seen), valid)
        core = window.inside(seen).slices
        label = np.where(valid[core], np.maximum(flooded[core], _OTHER_LABEL), _VOID_LABEL)
        ids, summary = block_components(_key_of_label(label), index, window, self.store.shape[1])
        self.store.write(index, ids)
        return summary


def _labels_of_seeds(found: Components, tracer: Tracer) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Label of each seed (0: too small to grow), and class of each label."""
    kind = _classes(found.key, tracer)
    large = found.area_px >= tracer.min_seed_px
    large[0] = False
    instance = large & (kind != OTHER)
    label_of = np.where(instance, _OTHER_LABEL + np.cumsum(instance), 0).astype(np.int32)
    label_of[large & ~instance] = _OTHER_LABEL
    return label_of, np.concatenate([np.asarray([VOID, OTHER], np.uint8), kind[instance]])


def _classes(key: NDArray[np.int64], tracer: Tracer) -> NDArray[np.uint8]:
    keys, where = np.unique(key, return_inverse=True)
    kinds = [tracer.class_of(int(k)) if k > 0 else OTHER for k in keys]
    return np.asarray(kinds, np.uint8)[where]


def _key_of_label(label: NDArray[Any]) -> NDArray[np.int64]:
    """Keys above 0, so that invalid areas are components as well."""
    return label.astype(np.int64) + 1


def _label_of_key(key: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum(key - 1, _VOID_LABEL)


def _voids_last(components: Components) -> Components:
    return components.with_last(_label_of_key(components.key) == _VOID_LABEL)


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
