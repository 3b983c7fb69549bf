"""How are map tiles kept in one file? PMTiles version 3: header, root directory, metadata, leaf directories, tiles.

After the specification at https://github.com/protomaps/PMTiles (spec/v3). Tiles are numbered along a Hilbert curve,
zoom by zoom, and lie in the file in that order, so neighbours are read together.
"""

import gzip
import json
import shutil
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

Bounds = tuple[float, float, float, float]
"""(west, south, east, north) in degrees."""

_HEADER_BYTES = 127
_ROOT_BYTES = 16_384 - _HEADER_BYTES
_LEAF_ENTRIES = 4_096
_GZIP, _MVT = 2, 1  # codes of the specification


@dataclass(frozen=True, slots=True)
class _Entry:
    """A run of equal tiles from `tile` on, or with a run of 0 a leaf directory; where its bytes are."""

    tile: int
    run: int
    offset: int
    length: int


def tile_number(zoom: int, column: int, row: int) -> int:
    """Return the number of a tile: those of all smaller zooms come first, then its place on the Hilbert curve."""
    number, x, y = ((1 << 2 * zoom) - 1) // 3, column, row
    for side in (1 << k for k in range(zoom - 1, -1, -1)):
        right, low = int(bool(x & side)), int(bool(y & side))
        number += side * side * ((3 * right) ^ low)
        if not low:
            if right:
                x, y = side - 1 - x, side - 1 - y
            x, y = y, x
    return number


def write_pmtiles(
    tiles: Iterable[tuple[int, bytes]],
    path: Path,
    *,
    bounds: Bounds,
    zooms: tuple[int, int],
    metadata: Mapping[str, Any],
) -> None:
    """Write vector tiles, each a number and its bytes, in the order of their numbers.

    Args:
        tiles: at least one; the bytes are Mapbox vector tiles, not compressed.
        path: the file.
        bounds: of what the tiles show.
        zooms: the smallest and the largest zoom.
        metadata: `vector_layers` and what else readers shall know.
    """
    entries: list[_Entry] = []
    with TemporaryFile(dir=path.parent) as body, path.open("wb") as file:
        for number, data in tiles:
            packed = gzip.compress(data, mtime=0)
            entries.append(_Entry(number, 1, body.tell(), len(packed)))
            body.write(packed)
        root, leaves = _directories(entries)
        about = gzip.compress(json.dumps(metadata).encode(), mtime=0)
        file.write(_header((len(root), len(about), len(leaves), body.tell()), len(entries), bounds, zooms))
        for part in (root, about, leaves):
            file.write(part)
        body.seek(0)
        shutil.copyfileobj(body, file)


def _directories(entries: Sequence[_Entry]) -> tuple[bytes, bytes]:
    """Return the root directory, which has to be small, and the leaf directories for what has no room there."""
    root, leaves, size = _directory(entries), b"", _LEAF_ENTRIES
    while len(root) > _ROOT_BYTES:
        root, leaves = _with_leaves(entries, size)
        size *= 2
    return root, leaves


def _with_leaves(entries: Sequence[_Entry], size: int) -> tuple[bytes, bytes]:
    pointers: list[_Entry] = []
    leaves = b""
    for start in range(0, len(entries), size):
        leaf = _directory(entries[start : start + size])
        pointers.append(_Entry(entries[start].tile, 0, len(leaves), len(leaf)))
        leaves += leaf
    return _directory(pointers), leaves


def _directory(entries: Sequence[_Entry]) -> bytes:
    numbers = [len(entries)]
    previous = 0
    for entry in entries:
        numbers.append(entry.tile - previous)
        previous = entry.tile
    numbers += [entry.run for entry in entries]
    numbers += [entry.length for entry in entries]
    end = -1  # 0 stands for: right behind the one before
    for entry in entries:
        numbers.append(0 if entry.offset == end else entry.offset + 1)
        end = entry.offset + entry.length
    return gzip.compress(b"".join(map(varint, numbers)), mtime=0)


def empty_tile(layers: Iterable[str]) -> bytes:
    """Return a vector tile with layers of these names and nothing in them."""
    messages = [b"\x0a" + _counted(name.encode()) + b"\x28" + varint(4096) + b"\x78\x02" for name in layers]
    return b"".join(b"\x1a" + _counted(message) for message in messages)


def _counted(data: bytes) -> bytes:
    return varint(len(data)) + data


def varint(number: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first, as protocol buffers write it."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _header(lengths: Sequence[int], tiles: int, bounds: Bounds, zooms: tuple[int, int]) -> bytes:
    """Return the header: where each section of `lengths` bytes is, how tiles are packed, and what they show."""
    west, south, east, north = (round(degrees * 1e7) for degrees in bounds)
    starts = accumulate(lengths, initial=_HEADER_BYTES)
    clustered = 1
    return (
        b"PMTiles\x03"
        + struct.pack("<8Q", *chain.from_iterable(zip(starts, lengths, strict=False)))
        + struct.pack("<3Q", tiles, tiles, tiles)
        + struct.pack("<6B", clustered, _GZIP, _GZIP, _MVT, *zooms)
        + struct.pack("<4iB2i", west, south, east, north, zooms[0], (west + east) // 2, (south + north) // 2)
    )
