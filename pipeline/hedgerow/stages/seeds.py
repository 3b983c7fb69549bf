"""Where do regions start? The seeds of a whole scene: found block by block, joined, and parted at narrow passages.

A passage is cut where it joins two bodies, wherever in the scene these lie: bodies and all that is connected with
them are found by a second join, over the pixels that are wide enough. What holds no body is a seed as it is, so that
narrow fields stay.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hedgerow.contracts import Each, Tracer, WindowReader
from hedgerow.edges.blocks import BlockStore, Index
from hedgerow.edges.components import BlockComponents, Components, block_components, join
from hedgerow.edges.necks import BODY, CORE, reach_px, widths
from hedgerow.edges.regions import VOID
from hedgerow.errors import GeometryError
from hedgerow.geo.windows import Window
from hedgerow.records import OTHER

VOID_LABEL, OTHER_LABEL = 0, 1
"""Labels of a flooded scene: invalid, `other` (which has no instances: one label for all of it), then the seeds."""

Block = tuple[Index, Window]


@dataclass(frozen=True)
class Markers:
    """The seeds of a scene: `labels` reads the label (height, width) of each pixel, 0 where there is no seed.

    `class_of` is the class of each label. The blocks lie in `folders`.
    """

    labels: WindowReader
    class_of: NDArray[np.uint8]
    folders: tuple[Path, ...]

    def forget(self) -> None:
        """Remove the blocks."""
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


def scene_markers(
    pixels: WindowReader,
    valid: WindowReader,
    tracer: Tracer,
    store_folder: Path,
    *,
    pixel_m: tuple[float, float] | None,
    each: Each,
    block_px: int,
) -> Markers:
    """Return the seeds of a scene that are large enough to grow, the same for every block size, order and process.

    Raises:
        GeometryError: the tracer cuts necks, and the size of a pixel is not known.
    """
    areas = BlockStore(store_folder / "seeds", pixels.shape, block_px)
    if tracer.neck_m <= 0:
        found = join(list(each(_SeedBlock(pixels, valid, tracer, areas), areas.blocks())))
        labels, class_of = _labels_of(found.key, found.area_px, tracer)
        return Markers(_read_as(areas, found, labels), class_of, (areas.folder,))
    if pixel_m is None:
        raise GeometryError(f"neck_m = {tracer.neck_m:g} counts metres: say how large a pixel is (pixel_m)")
    cores = BlockStore(store_folder / "cores", pixels.shape, block_px)
    blocks = list(each(_PartedBlock(pixels, valid, tracer, pixel_m, areas, cores), areas.blocks()))
    return _parted(blocks, areas, cores, tracer)


@dataclass(frozen=True)
class _SeedBlock:
    """Find, label and store the seeds of one block; a value that pickles into any process."""

    pixels: WindowReader
    valid: WindowReader
    tracer: Tracer
    store: BlockStore

    def __call__(self, block: Block) -> BlockComponents:
        _, window = block
        seen = window.padded(self.tracer.seed_reach_px).clipped(self.store.shape)
        keys = self.tracer.seeds(self.pixels.read(seen), self.valid.read(seen))[window.inside(seen).slices]
        return stored(keys, self.store, block)


@dataclass(frozen=True)
class _Parted:
    """The areas of a block and their cores: which local area each core is part of, and whether it is a body here."""

    areas: BlockComponents
    cores: BlockComponents
    area_of_core: NDArray[np.int64]
    is_body: NDArray[np.bool_]


@dataclass(frozen=True)
class _PartedBlock:
    """Find, label and store the seeds of one block, as they are and without narrow passages."""

    pixels: WindowReader
    valid: WindowReader
    tracer: Tracer
    pixel_m: tuple[float, float]
    areas: BlockStore
    cores: BlockStore

    def __call__(self, block: Block) -> _Parted:
        _, window = block
        neck_m = self.tracer.neck_m
        seen = window.padded(self.tracer.seed_reach_px + reach_px(neck_m, self.pixel_m)).clipped(self.areas.shape)
        keys = self.tracer.seeds(self.pixels.read(seen), self.valid.read(seen))
        wide = widths(keys, neck_m=neck_m, pixel_m=self.pixel_m)[window.inside(seen).slices]
        keys = keys[window.inside(seen).slices]
        areas = stored(keys, self.areas, block)
        cores = stored(np.where(wide >= CORE, keys, 0), self.cores, block)
        core, area = (store.read(window).ravel() for store in (self.cores, self.areas))
        area_of_core = np.zeros(len(cores.key) + 1, np.int64)
        area_of_core[core] = area
        is_body = np.zeros(len(cores.key) + 1, bool)
        is_body[core[wide.ravel() == BODY]] = True
        return _Parted(areas, cores, area_of_core[1:], is_body[1:])


def stored(keys: NDArray[np.integer], store: BlockStore, block: Block) -> BlockComponents:
    """Label the 4-connected areas of a block's keys (height, width), store their ids and return what they are."""
    index, window = block
    ids, summary = block_components(keys, index, window, store.shape[1])
    store.write(index, ids)
    return summary


def _parted(blocks: Sequence[_Parted], areas: BlockStore, cores: BlockStore, tracer: Tracer) -> Markers:
    """Seeds are all cores with a body in them, and all areas without such a core."""
    area, core = join([block.areas for block in blocks]), join([block.cores for block in blocks])
    is_body, area_of_core = np.zeros(core.count + 1, bool), np.zeros(core.count + 1, np.int64)
    for block in blocks:
        ids = core.tables[block.cores.index][1:]
        np.logical_or.at(is_body, ids, block.is_body)
        area_of_core[ids] = area.tables[block.areas.index][block.area_of_core]
    is_whole = np.ones(area.count + 1, bool)
    is_whole[area_of_core[is_body]] = False
    labels, class_of = _labels_of(
        np.r_[np.where(is_whole, area.key, 0), np.where(is_body, core.key, 0)],
        np.r_[area.area_px, core.area_px],
        tracer,
    )
    of_area, of_core = labels[: area.count + 1], labels[area.count + 1 :]
    return Markers(
        _Either(_read_as(cores, core, of_core), _read_as(areas, area, of_area)),
        class_of,
        (areas.folder, cores.folder),
    )


@dataclass(frozen=True)
class _Either:
    """Reads the first, and the second where the first has none."""

    first: WindowReader
    second: WindowReader

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.first.shape

    def read(self, window: Window) -> NDArray[np.int32]:
        """Return the labels (height, width) of a window."""
        first = self.first.read(window)
        return np.where(first > 0, first, self.second.read(window)).astype(np.int32, copy=False)


def _read_as(store: BlockStore, found: Components, labels: NDArray[np.int32]) -> BlockStore:
    return store.renumber((index, labels[table]) for index, table in found.tables.items())


def _labels_of(
    key: NDArray[np.int64], area_px: NDArray[np.int64], tracer: Tracer
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Label of each seed (0: too small to grow, or none), and class of each label."""
    kind = _classes(key, tracer)
    large = (area_px >= tracer.min_seed_px) & (key > 0)
    instance = large & (kind != OTHER)
    label = np.where(instance, OTHER_LABEL + np.cumsum(instance), 0).astype(np.int32)
    label[large & ~instance] = OTHER_LABEL
    return label, np.concatenate([np.asarray([VOID, OTHER], np.uint8), kind[instance]])


def _classes(key: NDArray[np.int64], tracer: Tracer) -> NDArray[np.uint8]:
    keys, where = np.unique(key, return_inverse=True)
    kinds = [tracer.class_of(int(k)) if k > 0 else OTHER for k in keys]
    return np.asarray(kinds, np.uint8)[where]
