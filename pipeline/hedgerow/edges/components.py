"""Which pixels belong together? 4-connected components of equal keys, found block by block and joined exactly.

Each block is labelled on its own; a scene-wide union over the pixels on both sides of every block line then says
which local components are one. Components are numbered by their first pixel in raster order, so the numbers do not
depend on the blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from skimage.measure import label

from hedgerow.errors import GeometryError
from hedgerow.geo.windows import Window

Ids = NDArray[np.int64]

MOST = 2**31 - 1
"""How many components a scene can have: their numbers are int32."""


@dataclass(frozen=True)
class BlockComponents:
    """The components of one block: local ids are 1..n, in raster order of their first pixel.

    `key`, `first_px` (flat index in the scene) and `area_px` are (n,); the four frames hold local ids, 0 = no
    component.
    """

    index: tuple[int, int]
    key: Ids
    first_px: Ids
    area_px: Ids
    top: Ids
    bottom: Ids
    left: Ids
    right: Ids


@dataclass(frozen=True)
class Components:
    """All components of a scene, numbered 1..n; entry 0 of `key`, `first_px` and `area_px` stands for no component.

    `tables[block index][local id]` is the scene's id.
    """

    key: Ids
    first_px: Ids
    area_px: Ids
    tables: dict[tuple[int, int], NDArray[np.int32]]

    @property
    def count(self) -> int:
        """How many components there are."""
        return len(self.key) - 1

    def with_last(self, last: NDArray[np.bool_]) -> Components:
        """Renumber so that the components marked in `last` (n + 1,) come after all others."""
        order = np.r_[0, 1 + np.argsort(last[1:], kind="stable")]
        number = np.empty(len(order), np.int32)
        number[order] = np.arange(len(order), dtype=np.int32)
        tables = {index: number[table] for index, table in self.tables.items()}
        return Components(self.key[order], self.first_px[order], self.area_px[order], tables)


def label_equal(keys: NDArray[np.integer]) -> NDArray[np.int64]:
    """Give the 4-connected components of equal keys the numbers 1..n, by first pixel in raster order; 0 stays 0."""
    if not keys.size:
        return np.zeros(keys.shape, np.int64)
    return np.asarray(label(keys.astype(np.int64, copy=False), background=0, connectivity=1), np.int64)  # type: ignore[no-untyped-call]


def block_components(
    keys: NDArray[np.integer], index: tuple[int, int], window: Window, scene_width_px: int
) -> tuple[NDArray[np.integer], BlockComponents]:
    """Label one block.

    Args:
        keys: (height, width) integers; 0 is no component.
        index: (row, col) of the block.
        window: where the block lies in the scene.
        scene_width_px: width of the scene, for the raster order of first pixels.

    Returns:
        The local ids (height, width), in the smallest type that holds them, and what the join needs to know.
    """
    ids = label_equal(keys)
    first = _first_pixels(ids)
    rows, cols = np.divmod(first, max(ids.shape[1], 1))
    summary = BlockComponents(
        index=index,
        key=keys.ravel()[first].astype(np.int64),
        first_px=(rows + window.y0) * scene_width_px + cols + window.x0,
        area_px=np.bincount(ids.ravel(), minlength=len(first) + 1)[1:],
        top=ids[0].copy(), bottom=ids[-1].copy(), left=ids[:, 0].copy(), right=ids[:, -1].copy(),
    )  # fmt: skip
    return ids.astype(np.min_scalar_type(len(first))), summary


def join(blocks: Sequence[BlockComponents]) -> Components:
    """Join the components of all blocks of a scene into components of the scene, numbered by their first pixel.

    Raises:
        GeometryError: there are more than can be numbered.
    """
    offsets = np.cumsum([0, *(len(block.key) for block in blocks)])
    local = [_joined([getattr(block, name) for block in blocks]) for name in ("key", "first_px", "area_px")]
    key, first_px, area_px = local
    a, b = _touching(blocks, offsets, key)
    total = int(offsets[-1])
    links = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(total, total))
    groups, group_of = connected_components(links, directed=False) if total else (0, np.zeros(0, np.int64))
    if groups > MOST:
        raise GeometryError(
            f"{groups} areas are more than can be numbered ({MOST}): cut the raster, or smooth it first"
        )
    first = np.full(groups, np.iinfo(np.int64).max)
    np.minimum.at(first, group_of, first_px)
    order = np.argsort(first)
    number = np.empty(groups, np.int32)
    number[order] = np.arange(1, groups + 1, dtype=np.int32)
    ids = number[group_of]
    tables = {
        block.index: np.r_[np.int32(0), ids[start : start + len(block.key)]].astype(np.int32)
        for block, start in zip(blocks, offsets[:-1], strict=True)
    }
    scene_key = np.zeros(groups + 1, np.int64)
    scene_key[ids] = key
    area = np.bincount(ids, weights=area_px, minlength=groups + 1).astype(np.int64)
    return Components(scene_key, np.r_[-1, first[order]], area, tables)


def _first_pixels(ids: NDArray[np.int64]) -> Ids:
    """Flat index of the first pixel of ids 1..n; ids rise with their first pixel."""
    if not ids.size:
        return np.zeros(0, np.int64)
    # Rows first: only ids above all of the rows before can be new, and few pixels are.
    highest = np.maximum.accumulate(ids.max(axis=1))
    before = np.concatenate([[0], highest[:-1]])
    new = np.flatnonzero(ids > before[:, None])
    first = np.empty(int(highest[-1]) + 1, np.int64)
    first[ids.ravel()[new[::-1]]] = new[::-1]  # the first pixel is written last
    return first[1:]


def _joined(parts: list[Ids]) -> Ids:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _touching(blocks: Sequence[BlockComponents], offsets: Ids, key: Ids) -> tuple[Ids, Ids]:
    """Pairs of local components (as positions in the concatenation) that are one across a block line."""
    pairs = [np.zeros((2, 0), np.int64), *_strip_pairs(blocks, offsets)]
    a, b = np.concatenate(pairs, axis=1)
    same = key[a] == key[b] if len(a) else np.zeros(0, bool)
    return a[same], b[same]


def _strip_pairs(blocks: Sequence[BlockComponents], offsets: Ids) -> Iterator[Ids]:
    at = {block.index: i for i, block in enumerate(blocks)}
    for (row, col), i in at.items():
        for neighbour, mine, theirs in (((row, col + 1), "right", "left"), ((row + 1, col), "bottom", "top")):
            j = at.get(neighbour)
            if j is None:
                continue
            a, b = getattr(blocks[i], mine), getattr(blocks[j], theirs)
            both = (a > 0) & (b > 0)
            yield np.stack([a[both] - 1 + offsets[i], b[both] - 1 + offsets[j]])
